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

// Nothing is asked of the server here.
TEST_F(RecordingJoinTest, WhatCodeMayHaveChangedIsNotKnown) {
  const auto follows = [this](const std::string& sql, const std::string& tag) {
    ask("DISCARD ALL", "DISCARD ALL");
    ask(sql, tag);
    const std::string why = join_.followed()->cannot_move();
    EXPECT_TRUE(why.empty() || why == kChangedUnseen) << why;
    return why.empty();
  };
  for (const char* code :
       {"begin perform set_config('work_mem', '13MB', false); end", "begin set work_mem = '13MB'; end",
        "begin execute 'set work_mem to 1'; end", "begin SET app.u = 1; end", "begin -- a\nset a.b = 1; end",
        "begin if true then reset work_mem; end if; end", "begin create temp table t (a int); end",
        "begin create local temporary table t (a int); end", "begin insert into pg_temp.t values (1); end",
        "begin perform pg_advisory_lock(1); end", "begin call p(); end", "begin discard all; end"}) {
    EXPECT_FALSE(follows("DO $$ " + std::string(code) + " $$", "DO")) << code;
  }
  for (const char* code :
       {"begin create type mood as enum ('sad'); exception when duplicate_object then null; end",
        "begin update t set a = 1; insert into t values (1) on conflict do nothing; end",
        "declare temp int; begin select 1 into b; perform f(); end", "begin -- set work_mem\n null; end"}) {
    EXPECT_TRUE(follows("DO $$ " + std::string(code) + " $$", "DO")) << code;
  }
  EXPECT_FALSE(follows("DO LANGUAGE plpython3u $$ pass $$", "DO"));
  EXPECT_FALSE(follows("CALL p()", "CALL"));
  EXPECT_TRUE(follows("SELECT f()", "SELECT 1"));
}

TEST_F(RecordingJoinTest, WhatATextDidThatWasNotParsedIsNotKnown) {
  ask("SET standard_conforming_strings = off", "SET");
  EXPECT_EQ(join_.followed()->cannot_move(), "");
  ask("SELEKT 'a\\'b'", "SELECT 1");
  EXPECT_EQ(join_.followed()->cannot_move(), "");
  ask("PREPARE w AS SELECT 'a\\'b'", "PREPARE");
  EXPECT_EQ(join_.followed()->cannot_move(), kChangedUnseen);
  ask("DISCARD ALL", "DISCARD ALL");
  ask("INSERT INTO t VALUES ('" + std::string(2'000'000, 'x') + "')", "INSERT 0 1");
  EXPECT_EQ(join_.followed()->cannot_move(), "");
  ask("SET a.b = '" + std::string(2'000'000, 'x') + "'", "SET");
  EXPECT_EQ(join_.followed()->cannot_move(), kChangedUnseen);
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
