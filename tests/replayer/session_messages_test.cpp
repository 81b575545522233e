// A session as messages: whatever the pieces, holes, damage and sizes.
#include "replayer/session_messages.h"

#include <gmock/gmock.h>

#include "formats/wire/content_hash.h"
#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using replayer::SessionItem;
using replayer::SessionMessages;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// "client Q select 1", "server Z I", "closed", with NULs as "0" so that a failure can be read.
std::string shown(const SessionItem& item) {
  if (!item.is_message) return "event " + std::to_string(static_cast<int>(item.event.kind));
  std::string payload(as_text(item.message.payload));
  std::replace(payload.begin(), payload.end(), '\0', '0');
  return std::string(item.direction == Direction::kFromClient ? "client " : "server ") + item.message.type +
         " " + payload;
}

constexpr const char* kOpened = "event 2";
constexpr const char* kClosed = "event 3";
constexpr const char* kGapEvent = "event 6";

class SessionMessagesTest : public RecordingTest {
 protected:
  std::vector<std::string> read(SessionId session = kA,
                                std::size_t cap_bytes = wire::MessageAssembler::kDefaultCapBytes) {
    recording_.emplace(directory_);
    messages_.emplace(*recording_, SessionSummary{descriptor(session, 100), {}}, cap_bytes);
    std::vector<std::string> items;
    while (const SessionItem* const item = messages_->next()) items.push_back(shown(*item));
    return items;
  }

  std::optional<Recording> recording_;
  std::optional<SessionMessages> messages_;
};

TEST_F(SessionMessagesTest, AreTheSameWhereverTheStreamIsCut) {
  const std::string asked = query("select 1") + query("") + sync();
  const std::vector<std::string> expected = {kOpened,     "client Q select 10", "client Q 0",
                                             "client S ", "server Z I",         kClosed};
  for (std::size_t cut = 0; cut <= asked.size(); ++cut) {
    for (const bool across_chunks : {false, true}) {
      begin_segment(1, 1);
      open_session(kA, 100);
      from_client(kA, 110, asked.substr(0, cut));
      if (across_chunks) seal();
      from_client(kA, 120, asked.substr(cut));
      from_server(kA, 130, ready());
      close_session(kA, 140);
      seal();
      finish_and_save();
      ASSERT_EQ(read(), expected) << "cut at " << cut;
      ASSERT_THAT(messages_->hole(), IsEmpty());
      ASSERT_FALSE(messages_->inside_message(Direction::kFromClient));
    }
  }
}

TEST_F(SessionMessagesTest, ByteByByteBothSidesTogetherTheyStayApart) {
  const std::string asked = query("select 'a'");
  const std::string answered = complete("SELECT 1");
  begin_segment(1, 1);
  open_session(kA, 100);
  for (std::size_t i = 0; i < std::max(asked.size(), answered.size()); ++i) {
    if (i < asked.size()) from_client(kA, 110, asked.substr(i, 1));
    if (i < answered.size()) from_server(kA, 110, answered.substr(i, 1));
    seal();
  }
  finish_and_save();
  EXPECT_THAT(read(), testing::UnorderedElementsAre(kOpened, "client Q select 'a'0", "server C SELECT 10"));
}

TEST_F(SessionMessagesTest, HaveTheTimeOfTheirLastByte) {
  const std::string asked = query("select 1");
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, asked.substr(0, 3));
  from_client(kA, 120, asked.substr(3));
  seal();
  finish_and_save();
  const Recording recording(directory_);
  SessionMessages messages(recording, {descriptor(kA, 100), {}});
  ASSERT_NE(messages.next(), nullptr);
  const SessionItem* const item = messages.next();
  ASSERT_NE(item, nullptr);
  EXPECT_EQ(item->time, 120);
}

TEST_F(SessionMessagesTest, ARecordingThatEndsInsideAMessageSaysSo) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("select 1").substr(0, 7));
  seal();
  finish_and_save();
  EXPECT_THAT(read(), ElementsAre(kOpened));
  EXPECT_TRUE(messages_->inside_message(Direction::kFromClient));
  EXPECT_FALSE(messages_->inside_message(Direction::kFromServer));
}

TEST_F(SessionMessagesTest, BytesBehindAGapAreCountedAndNotReadAsMessages) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("select 1"));
  gap(kA, 120, {GapReason::kDiskError, 111, 119, 10, 20, 3});
  from_client(kA, 130, query("select 2"));
  from_server(kA, 140, ready());
  close_session(kA, 150);
  seal();
  finish_and_save();
  EXPECT_THAT(read(), ElementsAre(kOpened, "client Q select 10", kGapEvent, kClosed));
  EXPECT_EQ(messages_->hole(), "a gap");
  EXPECT_EQ(messages_->bytes_behind_hole(), query("select 2").size() + ready().size());
}

TEST_F(SessionMessagesTest, ABrokenLengthEndsTheMessagesAndNotTheEvents) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("select 1") + std::string("Q\0\0\0\3bad", 8));
  from_server(kA, 120, ready());
  close_session(kA, 130);
  seal();
  finish_and_save();
  EXPECT_THAT(read(), ElementsAre(kOpened, "client Q select 10", kClosed));
  EXPECT_THAT(messages_->hole(), HasSubstr("the client's bytes are no messages"));
  EXPECT_THAT(messages_->hole(), HasSubstr("byte " + std::to_string(query("select 1").size() + 1)));
  EXPECT_EQ(messages_->bytes_behind_hole(), ready().size());
}

TEST_F(SessionMessagesTest, ADamagedChunkIsAHoleAndNothingIsPutTogetherAcrossIt) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("select 1").substr(0, 9));
  seal();
  from_client(kA, 120, query("select 1").substr(9));
  seal();
  from_client(kA, 130, query("select 2"));
  close_session(kA, 140);
  seal();
  finish();
  flip_byte(chunk_ends_[1] - 1);  // of the second chunk's body
  save();
  EXPECT_THAT(read(), ElementsAre(kOpened, kClosed));
  EXPECT_EQ(messages_->hole(), "a damaged chunk");
  EXPECT_EQ(messages_->bytes_behind_hole(), query("select 2").size());
}

TEST_F(SessionMessagesTest, ADamagedLastChunkIsAHoleToo) {
  begin_segment(1, 1);
  open_session(kA, 100);
  seal();
  from_client(kA, 120, query("select 1"));
  seal();
  finish();
  flip_byte(chunk_ends_[1] - 1);
  save();
  EXPECT_THAT(read(), ElementsAre(kOpened));
  EXPECT_EQ(messages_->hole(), "a damaged chunk");
}

TEST_F(SessionMessagesTest, AHugeMessageIsToldByLengthAndHashAndItsNeighboursAreWhole) {
  constexpr std::size_t kCap = 64;
  const std::string big = query(std::string(1000, 'x'));
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("before") + big.substr(0, 300));
  seal();
  from_client(kA, 120, big.substr(300) + query("after"));
  seal();
  finish_and_save();
  const Recording recording(directory_);
  SessionMessages messages(recording, {descriptor(kA, 100), {}}, kCap);
  ASSERT_NE(messages.next(), nullptr);  // opened
  EXPECT_EQ(shown(*messages.next()), "client Q before0");
  const SessionItem* const item = messages.next();
  ASSERT_NE(item, nullptr);
  EXPECT_TRUE(item->message.truncated);
  EXPECT_EQ(item->message.payload_length, 1001U);
  EXPECT_EQ(item->message.payload.size(), kCap);
  EXPECT_EQ(item->message.hash, wire::content_hash(as_bytes(big).subspan(5)));
  EXPECT_EQ(shown(*messages.next()), "client Q after0");
  EXPECT_EQ(messages.next(), nullptr);
}

// Segments before were deleted, or one is read alone: the session may be met anywhere.
TEST_F(SessionMessagesTest, ASessionMetInsideAMessageIsJoinedAtAPieceOfWholeMessages) {
  const std::string answered = row({std::string(50, 'd')}) + complete("SELECT 1") + ready();
  for (std::size_t cut = 1; cut < answered.size() - ready().size(); ++cut) {
    // Cut between two messages, the rest is whole messages.
    const bool inside = cut != row({std::string(50, 'd')}).size();
    begin_segment(1, 2, {descriptor(kA, 100)});
    from_server(kA, 110, answered.substr(cut));
    from_client(kA, 120, query("select 1"));
    from_server(kA, 130, ready());
    close_session(kA, 140);
    seal();
    finish_and_save();
    const std::vector<std::string> items = read();
    ASSERT_EQ(items.back(), kClosed);
    ASSERT_THAT(items, testing::Contains("client Q select 10"));
    ASSERT_EQ(messages_->bytes_before_joining(), inside ? answered.size() - cut : 0) << "cut at " << cut;
    ASSERT_THAT(messages_->hole(), IsEmpty());
    if (inside) {
      ASSERT_THAT(items, ElementsAre("client Q select 10", "server Z I", kClosed));
    }
  }
}

TEST_F(SessionMessagesTest, WhatIsLetGoComesBackInItsPlace) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("one"));
  seal();
  from_client(kA, 120, query("two"));
  seal();
  finish_and_save();
  const Recording recording(directory_);
  SessionMessages messages(recording, {descriptor(kA, 100), {}});
  std::vector<std::string> items;
  while (messages.next_time_lower_bound()) {
    const SessionItem* const item = messages.next();
    if (item != nullptr) items.push_back(shown(*item));
    messages.release();
  }
  EXPECT_THAT(items, ElementsAre(kOpened, "client Q one0", "client Q two0"));
}

}  // namespace
}  // namespace understudy::test
