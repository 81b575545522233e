// What a recording that begins late is shown of a session's state: each hazard is a state that would be made
// wrongly, or answered otherwise than a server answers it.
#include "proxy/recording_join.h"

#include <gtest/gtest.h>

#include <string>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"

namespace understudy::proxy {
namespace {

using Texts = std::vector<std::string>;

// One letter a message, with the text of those that have one.
std::string in_short(ByteView bytes) {
  std::string result;
  while (bytes.size() >= 5) {
    const std::size_t size = std::size_t{load_be32(bytes.data() + 1)} + 1;
    const std::string_view payload = as_text(bytes.subspan(5, size - 5));
    const char type = static_cast<char>(bytes.front());
    if (!result.empty()) result += " | ";
    result += type;
    if (type == 'Q' || type == 'C') result += " " + std::string(payload.substr(0, payload.size() - 1));
    if (type == 'S' && !payload.empty()) {
      const std::size_t end = payload.find('\0');
      result += " " + std::string(payload.substr(0, end)) + "=" +
                std::string(payload.substr(end + 1, payload.size() - end - 2));
    }
    bytes = bytes.subspan(size);
  }
  return result;
}

class RecordingJoinTest : public ::testing::Test {
 protected:
  // A Query, answered.
  void ask(const std::string& sql, const std::string& tag, const std::string& reports = {},
           const std::string& value = {}) {
    ByteBuffer request;
    wire::append_query(request, sql);
    join_.client_bytes(request);
    ByteBuffer answer;
    wire::append_command_complete(answer, tag);
    if (!reports.empty()) wire::append_parameter_status(answer, reports, value);
    wire::append_ready_for_query(answer, wire::TransactionStatus::kIdle);
    join_.server_bytes(answer, true);
  }
  void prepare(const std::string& name, const std::string& sql) {
    ByteBuffer request;
    wire::append_parse(request, name, sql);
    wire::append_sync(request);
    join_.client_bytes(request);
    ByteBuffer answer;
    wire::append_empty_message(answer, '1');
    wire::append_ready_for_query(answer, wire::TransactionStatus::kIdle);
    join_.server_bytes(answer, true);
  }
  Texts restored() {
    EXPECT_TRUE(join_.followed()->quiet());
    ByteBuffer state;
    join_.followed()->append_state(state);
    Texts texts;
    for (const StateExchange& exchange :
         state_exchanges(state, traits_, join_.at_login(), join_.followed()->settings())) {
      texts.push_back(in_short(exchange.request) + " -> " + in_short(exchange.answer));
    }
    return texts;
  }

  StatementTraitsCache traits_;
  RecordingJoin join_{SessionDescriptor{}, {{"TimeZone", "UTC"}, {"application_name", ""}}, traits_, true};
};

TEST_F(RecordingJoinTest, AFreshSessionHasNoState) { EXPECT_EQ(restored(), Texts{}); }

TEST_F(RecordingJoinTest, SettingsAreMadeAgainWithWhatTheServerTellsOfThem) {
  ask("SET timezone = 'Asia/Tokyo'", "SET", "TimeZone", "Asia/Tokyo");
  ask("SET work_mem = '8MB'", "SET");
  ask("SET application_name = ''", "SET");  // as it was: the server tells nothing
  EXPECT_EQ(restored(),
            (Texts{"Q SET timezone = 'Asia/Tokyo' -> C SET | S TimeZone=Asia/Tokyo | Z",
                   "Q SET work_mem = '8MB' -> C SET | Z", "Q SET application_name = '' -> C SET | Z"}));
}

TEST_F(RecordingJoinTest, AResultThatIsNotKnownIsAvoided) {
  ask("select set_config('work_mem', '8MB', false)", "SELECT 1");
  EXPECT_EQ(restored(), Texts{"Q DO $understudy$BEGIN PERFORM set_config('work_mem', '8MB', false)\n; "
                              "END$understudy$ -> C DO | Z"});
}

TEST_F(RecordingJoinTest, StatementsAndChannelsAreMadeAgain) {
  ask("LISTEN news", "LISTEN");
  ask("PREPARE one AS SELECT 1", "PREPARE");
  prepare("two", "SELECT 2");
  EXPECT_EQ(restored(), (Texts{"Q LISTEN \"news\" -> C LISTEN | Z",
                               "Q PREPARE one AS SELECT 1 -> C PREPARE | Z", "P | S -> 1 | Z"}));
}

TEST_F(RecordingJoinTest, WhatIsGoneIsNotMadeAgain) {
  ask("SET work_mem = '8MB'", "SET");
  ask("LISTEN news", "LISTEN");
  ask("DISCARD ALL", "DISCARD ALL");
  EXPECT_EQ(restored(), Texts{});
}

TEST_F(RecordingJoinTest, InTheMiddleOfARequestNothingIsQuiet) {
  ByteBuffer request;
  wire::append_query(request, "SELECT 1");
  join_.client_bytes(ByteView(request).first(3));
  EXPECT_FALSE(join_.followed()->quiet());
  join_.client_bytes(ByteView(request).subspan(3));
  EXPECT_FALSE(join_.followed()->quiet());
}

TEST_F(RecordingJoinTest, ATemporaryTableCannotBeMadeAgain) {
  ask("CREATE TEMP TABLE t (a int)", "CREATE TABLE");
  EXPECT_NE(join_.followed()->cannot_move(), "");
}

TEST_F(RecordingJoinTest, MoreStateThanIsKeptIsNoLongerFollowed) {
  const std::string text = "SELECT '" + std::string(100'000, 'x') + "'";
  for (int n = 0; n < 4; ++n) prepare("s" + std::to_string(n), text);
  EXPECT_FALSE(join_.gave_up()) << "0.8 MB";
  ask("DISCARD ALL", "DISCARD ALL");
  for (int n = 0; n < 4; ++n) prepare("s" + std::to_string(n), text);
  ASSERT_NE(join_.followed(), nullptr) << "what is gone does not count";
  for (int n = 4; n < 6; ++n) prepare("s" + std::to_string(n), text);
  EXPECT_TRUE(join_.gave_up());
  EXPECT_EQ(join_.followed(), nullptr);
  ask("SELECT 1", "SELECT 1");  // nobody looks at it
}

TEST_F(RecordingJoinTest, ATransactionsChangesAreBoundedToo) {
  const auto ask_within = [this](const std::string& sql, const std::string& tag) {
    ByteBuffer request;
    wire::append_query(request, sql);
    join_.client_bytes(request);
    ByteBuffer answer;
    wire::append_command_complete(answer, tag);
    wire::append_ready_for_query(answer, wire::TransactionStatus::kInTransaction);
    join_.server_bytes(answer, false);
  };
  const std::string setting = "SET my.value = '" + std::string(100'000, 'x') + "'";
  ask_within("BEGIN", "BEGIN");
  for (int n = 0; n < 20; ++n) {
    ask_within("SAVEPOINT s", "SAVEPOINT");
    ask_within(setting, "SET");
    ask_within("ROLLBACK TO s", "ROLLBACK");
  }
  EXPECT_FALSE(join_.gave_up()) << "what was undone does not count";
  for (int n = 0; n < 20; ++n) ask_within(setting, "SET");
  EXPECT_TRUE(join_.gave_up());
}

TEST_F(RecordingJoinTest, WhoWaitsIsCountedUntilItIsDoneOrGone) {
  const auto tally = std::make_shared<JoinTally>();
  {
    RecordingJoin one(SessionDescriptor{}, {}, traits_, true);
    RecordingJoin other(SessionDescriptor{}, {}, traits_, true);
    one.wait(tally);
    other.wait(tally);
    EXPECT_EQ(tally->waiting, 2U);
    EXPECT_EQ(one.done(), tally);
    EXPECT_FALSE(one.waits());
    EXPECT_EQ(tally->waiting, 1U);
  }
  EXPECT_EQ(tally->waiting, 0U);
  EXPECT_EQ(tally->left, 1U);
}

}  // namespace
}  // namespace understudy::proxy
