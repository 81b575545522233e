// Chunks: what is sealed comes back, and what is malformed is refused with a reason.
#include <gmock/gmock.h>
#include <zstd.h>

#include <random>

#include "formats/transcript/chunk_head.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ChunkTest : public testing::Test {
 protected:
  void add(SessionId session, TimeNs time, EventKind kind, std::string_view data) {
    slab_.append(session, time, kind, as_bytes(data));
    written_.push_back({session, time, kind, std::string(data)});
  }
  std::shared_ptr<const Chunk> seal_and_open() {
    records_.clear();
    head_ = encoder_.encode(slab_, records_);
    return Chunk::decode(head_, body(), error_);
  }
  [[nodiscard]] ByteView body() const { return ByteView(records_).last(head_.stored_bytes); }
  static std::vector<Seen> events_of(const Chunk& chunk) {
    std::vector<Seen> events;
    for (std::size_t i = 0; i < chunk.size(); ++i) events.push_back(seen(chunk.event(i)));
    return events;
  }
  // Decodes columns made by hand.
  std::shared_ptr<const Chunk> decode_raw(const ByteBuffer& raw, std::uint32_t events,
                                          std::uint32_t sessions) {
    ChunkHead head;
    head.last_time = 1'000'000;
    head.event_count = events;
    head.raw_bytes = static_cast<std::uint32_t>(raw.size());
    for (std::uint32_t i = 0; i < sessions; ++i) head.sessions.push_back({{1, i}, false, false});
    ByteBuffer stored(ZSTD_compressBound(raw.size()));
    stored.resize(ZSTD_compress(stored.data(), stored.size(), raw.data(), raw.size(), 1));
    return Chunk::decode(head, stored, error_);
  }

  Slab slab_;
  std::vector<Seen> written_;
  ChunkEncoder encoder_;
  ByteBuffer records_;
  ChunkHead head_;
  std::string error_;
};

TEST_F(ChunkTest, EventsComeBackInTheOrderTheyWereAppended) {
  std::mt19937 random(std::hash<std::string>{}("EventsComeBackInTheOrderTheyWereAppended"));
  const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
  for (int round = 0; round < 50; ++round) {
    slab_.clear();
    written_.clear();
    TimeNs time = 1'700'000'000'000'000'000;
    for (std::uint32_t left = 1 + below(400); left > 0; --left) {
      time += below(100'000);
      const SessionId session{1 + below(2), below(round % 2 == 0 ? 5 : 3'000)};
      add(session, time, static_cast<EventKind>(below(9)),
          std::string(below(300), static_cast<char>(below(256))));
    }
    const auto chunk = seal_and_open();
    ASSERT_TRUE(chunk) << error_;
    ASSERT_EQ(events_of(*chunk), written_);
    for (const ChunkHead::Session& session : head_.sessions) {
      for (const std::uint32_t index : chunk->events_of(session.id))
        ASSERT_EQ(written_[index].session, session.id);
    }
  }
}

TEST_F(ChunkTest, HeadSaysTimesAndSessionsAndWhoOpensAndCloses) {
  add({1, 9}, 300, EventKind::kOpened, "o");
  add({1, 2}, 100, EventKind::kClientBytes, "x");
  add({1, 2}, 500, EventKind::kClosed, "c");
  ASSERT_TRUE(seal_and_open());
  EXPECT_EQ(head_.first_time, 100);
  EXPECT_EQ(head_.last_time, 500);
  EXPECT_EQ(head_.event_count, 3U);
  EXPECT_THAT(head_.sessions,
              ElementsAre(ChunkHead::Session{{1, 2}, false, true}, ChunkHead::Session{{1, 9}, true, false}));
}

TEST_F(ChunkTest, SessionNotInTheChunkHasNoEvents) {
  add({1, 2}, 1, EventKind::kClientBytes, "x");
  const auto chunk = seal_and_open();
  EXPECT_TRUE(chunk->events_of({1, 1}).empty());
  EXPECT_TRUE(chunk->events_of({2, 2}).empty());
  EXPECT_THAT(chunk->events_of({1, 2}), ElementsAre(0U));
}

TEST_F(ChunkTest, TimesThatJumpOrRunBackwardsAreExact) {
  for (const TimeNs time : {TimeNs{0}, TimeNs{4'294'967'294}, TimeNs{2 * 4'294'967'295}, TimeNs{5},
                            TimeNs{4'294'967'300}, INT64_MAX, INT64_MIN, TimeNs{-1}}) {
    add({1, 1}, time, EventKind::kClientBytes, "x");
  }
  const auto chunk = seal_and_open();
  ASSERT_TRUE(chunk) << error_;
  EXPECT_EQ(events_of(*chunk), written_);
}

TEST_F(ChunkTest, EmptyAndLargeDataAreExact) {
  add({1, 1}, 1, EventKind::kServerBytes, "");
  add({1, 1}, 2, EventKind::kServerBytes, std::string(5'000'000, 'r'));
  add({1, 1}, 3, EventKind::kCancelled, "");
  const auto chunk = seal_and_open();
  ASSERT_TRUE(chunk) << error_;
  EXPECT_EQ(events_of(*chunk), written_);
}

TEST_F(ChunkTest, EncoderIsReusedWithoutTraceOfTheChunkBefore) {
  for (std::uint32_t i = 0; i < 500; ++i) add({1, i}, i, EventKind::kClientBytes, "first");
  ASSERT_TRUE(seal_and_open());
  slab_.clear();
  written_.clear();
  add({1, 7}, 9, EventKind::kServerBytes, "second");
  const auto chunk = seal_and_open();
  EXPECT_EQ(events_of(*chunk), written_);
  ByteBuffer fresh;
  ChunkEncoder().encode(slab_, fresh);
  EXPECT_EQ(records_, fresh);
}

TEST_F(ChunkTest, EmptySlabIsRefused) { EXPECT_THROW(encoder_.encode(slab_, records_), std::length_error); }

TEST_F(ChunkTest, KindOfALaterVersionKeepsItsData) {
  add({1, 1}, 1, static_cast<EventKind>(200), "unknown");
  add({1, 1}, 2, EventKind::kClientBytes, "known");
  const auto chunk = seal_and_open();
  ASSERT_TRUE(chunk) << error_;
  EXPECT_EQ(events_of(*chunk), written_);
}

TEST_F(ChunkTest, BodyTruncatedAnywhereIsRefused) {
  for (int i = 0; i < 20; ++i)
    add({1, 1}, i, EventKind::kClientBytes, "some bytes " + std::to_string(i * 7'919));
  ASSERT_TRUE(seal_and_open());
  for (std::size_t length = 0; length < body().size(); ++length) {
    EXPECT_FALSE(Chunk::decode(head_, body().first(length), error_));
    EXPECT_NE(error_, "");
  }
}

TEST_F(ChunkTest, HeadThatPromisesMoreThanTheBodyHoldsIsRefused) {
  add({1, 1}, 1, EventKind::kClientBytes, "x");
  ASSERT_TRUE(seal_and_open());
  ChunkHead lie = head_;
  lie.event_count = 0xFFFFFFFF;
  EXPECT_FALSE(Chunk::decode(lie, body(), error_));
  EXPECT_THAT(error_, HasSubstr("more events than its body has room for"));
  lie = head_;
  lie.raw_bytes = 0xFFFFFFFF;
  EXPECT_FALSE(Chunk::decode(lie, body(), error_));
  EXPECT_THAT(error_, HasSubstr("larger than any writer makes"));
  lie = head_;
  lie.raw_bytes += 1;
  EXPECT_FALSE(Chunk::decode(lie, body(), error_));
  EXPECT_THAT(error_, HasSubstr("not the zstd frame its head describes"));
  lie = head_;
  lie.sessions.clear();
  EXPECT_FALSE(Chunk::decode(lie, body(), error_));
}

// sizes: sessions 1, lengths 1, late times 0; session 0; kind 0; length 3; "abc"; time planes.
const ByteBuffer kGood = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 5};

TEST_F(ChunkTest, ColumnsMadeByHandAreRead) {
  const auto chunk = decode_raw(kGood, 1, 1);
  ASSERT_TRUE(chunk) << error_;
  EXPECT_EQ(events_of(*chunk), (std::vector<Seen>{{{1, 0}, 5, EventKind::kClientBytes, "abc"}}));
}

TEST_F(ChunkTest, EveryByteOfTheColumnsMayLie) {
  for (std::size_t at = 0; at < kGood.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      ByteBuffer raw = kGood;
      raw[at] = static_cast<Byte>(value);
      const auto chunk = decode_raw(raw, 1, 1);
      ASSERT_EQ(chunk == nullptr, !error_.empty());
      if (chunk) {
        ASSERT_EQ(events_of(*chunk).size(), 1U);
      }
    }
  }
}

TEST_F(ChunkTest, SessionThatIsNotInTheHeadIsRefused) {
  ByteBuffer raw = kGood;
  raw[12] = 1;
  EXPECT_FALSE(decode_raw(raw, 1, 1));
  EXPECT_THAT(error_, HasSubstr("columns disagree"));
}

TEST_F(ChunkTest, LengthsThatDoNotAddUpToTheBytesAreRefused) {
  for (const Byte length : {Byte{2}, Byte{4}, Byte{127}}) {
    ByteBuffer raw = kGood;
    raw[14] = length;
    EXPECT_FALSE(decode_raw(raw, 1, 1));
  }
}

TEST_F(ChunkTest, TimeOutsideTheHeadsRangeIsRefused) {
  ByteBuffer raw = kGood;
  raw[raw.size() - 4] = 1;  // 16 ms after the first; the head ends at 1 ms
  EXPECT_FALSE(decode_raw(raw, 1, 1));
}

TEST(ChunkHeadTest, TruncatedAnywhereIsRefused) {
  ChunkHead head{
      10, 20, 3, 100, 50, 0xABCD, {{{1, 2}, true, false}, {{1, 300}, false, true}, {{7, 1}, true, true}}};
  ByteBuffer bytes;
  encode(head, bytes);
  ChunkHead out;
  ASSERT_TRUE(decode(bytes, out));
  EXPECT_EQ(out, head);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode(ByteView(bytes).first(length), out)) << length;
  }
}

TEST(ChunkHeadTest, CountOfSessionsThatCannotBeIsRefusedBeforeMemoryIsTaken) {
  ChunkHead head{10, 20, 0xFFFFFFFF, 100, 50, 0, {{{1, 2}, true, false}}};
  ByteBuffer bytes;
  encode(head, bytes);
  bytes.resize(32);
  append_varint(bytes, 0xFFFFFFFF);
  ChunkHead out;
  EXPECT_FALSE(decode(bytes, out));
}

}  // namespace
}  // namespace understudy::test
