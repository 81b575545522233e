// Settings that DO and CALL have made out of sight: found by a question behind them, made again at another
// server.
#include <algorithm>

#include "proxy/unseen_settings.h"
#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

TEST(UnseenSettings, NamesWithADotAreFoundWhereverTheyAreSet) {
  struct Row {
    const char* code;
    const char* sought;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"BEGIN PERFORM set_config('app.who', 'me', false); END", "app.who"},
           {"perform pg_catalog.SET_CONFIG\t( 'App.Who' , x, false)", "app.who"},
           {"SET app.a = 1; set session app.b TO 2; SET\n app.c.d = 3", "app.a app.b app.c.d"},
           {"EXECUTE 'SET app.a = 1'; EXECUTE 'SELECT set_config(''app.b'', ''1'', false)'", "app.a app.b"},
           {"SET app.a = 1; SET app.a = 2", "app.a"},
           {"SET work_mem = '1MB'; RESET app.a; SET LOCAL app.b = 1", ""},
           {"PERFORM set_config(name, value, false); offset app.a; SET", ""},
           {"SET sessions.a = 1", "sessions.a"},
       }) {
    EXPECT_EQ(settings_named_in(row.code), row.sought) << row.code;
  }
}

TEST(UnseenSettings, OnlyDoAndCallAreAskedBehind) {
  const auto sought = [](std::string_view sql) { return classify_statement(sql).statements.front().sought; };
  EXPECT_EQ(sought("DO LANGUAGE plpgsql $$BEGIN SET app.a = 1; END$$"), "app.a");
  EXPECT_EQ(sought("CALL shop.enter(set_config('app.b', 'x', true))"), "enter()");
  for (const char* sql : {"SELECT enter()", "INSERT INTO t VALUES ('SET app.a = 1')", "SET app.a = 1"}) {
    EXPECT_EQ(sought(sql), "") << sql;
    EXPECT_EQ(classify_statement(sql).statements.front().unseen, 0) << sql;
  }
}

TEST(UnseenSettings, WhatIsSoughtIsPlainAndBounded) {
  std::string sought;
  seek_also(sought, "app.a it's p() app.a \xc3\xa4.b p()");
  EXPECT_EQ(sought, "app.a p()");
  for (int i = 0; i < 10000; ++i) seek_also(sought, "app.n" + std::to_string(i));
  EXPECT_LT(sought.size(), 5000U);
  EXPECT_EQ(procedure_sought("Odd'Name"), "");
  EXPECT_NE(from_settings(sought).find("'app.n1'"), std::string::npos);
  EXPECT_NE(from_settings(sought).find("ARRAY['p']"), std::string::npos);
  EXPECT_EQ(from_settings("app.a").find("pg_proc"), std::string::npos);
}

TEST(UnseenSettings, ARowThatSaysNothingSaysNothing) {
  const std::string_view value = "31";
  for (const char* name : {"", "6", "zz", "6x"}) EXPECT_EQ(read_setting(name, &value).name, "") << name;
  const std::string_view path = "2270675f74656d70222c2061";  // "pg_temp", a
  EXPECT_EQ(read_setting("7365617263685f70617468", &path).pins, "search_path that begins with pg_temp");
}

TEST(UnseenSettings, AProcedureThatSetsNothingIsAskedBehindLessAndLess) {
  QuietProcedures procedures;
  unsigned asked = 0;
  for (int call = 0; call < 1000; ++call) {
    if (!procedures.due("quiet()")) continue;
    ++asked;
    procedures.answered("app.a quiet()", false);
  }
  EXPECT_EQ(asked, 10U);  // 1, 3, 7, ... 255, then each 256th
  for (int call = 0; call < 100; ++call) {
    EXPECT_TRUE(procedures.due("sets()"));
    procedures.answered("sets()", call == 0);
  }
  for (int call = 0; call < 3; ++call) EXPECT_TRUE(procedures.due("never_answered()"));
}

class ContinuitySettingsTest : public ContinuityTest {
 protected:
  static std::string hexadecimal(std::string_view text) {
    std::string digits;
    for (const char c : text) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      digits += kDigits[static_cast<unsigned char>(c) >> 4U];
      digits += kDigits[static_cast<unsigned char>(c) & 15U];
    }
    return digits;
  }
  struct Row {
    std::string name;
    std::optional<std::string> value;
  };
  // The server's answer to the question: nothing held, and these settings.
  static ByteBuffer settings(const std::vector<Row>& rows, bool fails = false) {
    ByteBuffer bytes;
    for (const Row& row : rows) {
      const std::string name = hexadecimal(row.name);
      const std::string value = row.value == "long" ? "long" : hexadecimal(row.value.value_or(""));
      const wire::Value no{as_bytes(std::string_view("f"))};
      const wire::Value columns[] = {
          no, no, no, {as_bytes(name)}, row.value ? wire::Value{as_bytes(value)} : wire::Value::null()};
      wire::append_data_row(bytes, columns);
    }
    append_bytes(bytes, fails ? failed('I') : done("SELECT 1", 'I'));
    return bytes;
  }
  static ByteBuffer failed_with(std::string_view sqlstate, char status) {
    ByteBuffer bytes = error(sqlstate);
    wire::append_ready_for_query(bytes, static_cast<wire::TransactionStatus>(status));
    return bytes;
  }
  static std::string made_again(const std::string& name, std::string_view value) {
    return "Q SELECT pg_catalog.set_config('" + name + "', pg_catalog.convert_from(pg_catalog.decode('" +
           hexadecimal(value) + "', 'hex'), pg_catalog.getdatabaseencoding()), false)";
  }
  // Whether the server is asked for settings; of those with a dot for all of `names`.
  static bool asks_for_settings(const Lines& said, const std::vector<std::string>& names = {}) {
    return std::any_of(said.begin(), said.end(), [&](const std::string& line) {
      return line.starts_with("own: SELECT EXISTS") &&
             line.find("pg_show_all_settings()") != std::string::npos &&
             std::all_of(names.begin(), names.end(), [&](const std::string& name) {
               return line.find("'" + name + "'") != std::string::npos;
             });
    });
  }
  void run_code(const std::vector<Row>& found) {
    EXPECT_TRUE(asks_for_settings(ask("DO $$BEGIN END$$")));
    EXPECT_EQ(answer(done("DO", 'I')), Lines{"C DO"});
    EXPECT_TRUE(session_->holds_client());
    EXPECT_EQ(answer(settings(found)), Lines{"Z I"});
    EXPECT_FALSE(session_->holds_client());
  }
};

TEST_F(ContinuitySettingsTest, WhatADoHasSetIsMadeAgain) {
  EXPECT_TRUE(
      asks_for_settings(ask("DO $$BEGIN PERFORM set_config('app.who', 'x', false); END$$"), {"app.who"}));
  (void)answer(done("DO", 'I'));
  EXPECT_EQ(answer(settings({{"", ""},
                             {"TimeZone", "Asia/Kathmandu"},
                             {"app.who", "it's \\ \xc3\xbc"},
                             {"my.unknown", std::nullopt},
                             {"session_authorization", "me"},
                             {"role", "none"}})),
            Lines{"Z I"});
  // (Who logged in was not told: so that is said as well.)
  EXPECT_EQ(move(),
            (Lines{made_again("timezone", "Asia/Kathmandu"), made_again("app.who", "it's \\ \xc3\xbc"),
                   made_again("session_authorization", "me")}));
}

TEST_F(ContinuitySettingsTest, WhoLoggedInIsNotSaidAgainAndARoleComesLast) {
  session_->served_by(1, {{"TimeZone", "UTC"}, {"session_authorization", "me"}});
  run_code({{"session_authorization", "me"}, {"role", "none"}});
  run_code({{"role", "clerk"}, {"session_authorization", "me"}, {"log_statement", "all"}});
  EXPECT_EQ(move(), (Lines{made_again("log_statement", "all"), made_again("role", "clerk")}));
}

TEST_F(ContinuitySettingsTest, AnotherUserIsMadeBeforeItsRole) {
  session_->served_by(1, {{"TimeZone", "UTC"}, {"session_authorization", "me"}});
  exchange("SET ROLE old", "SET", 'I');
  run_code({{"session_authorization", "other"}, {"role", "clerk"}});
  EXPECT_EQ(move(), (Lines{made_again("session_authorization", "other"), made_again("role", "clerk")}));
}

TEST_F(ContinuitySettingsTest, WhatWasKnownStaysInItsPlace) {
  exchange("SET log_statement = 'all'", "SET", 'I');
  exchange("SET ROLE clerk", "SET", 'I');
  exchange("SET work_mem = '4MB'", "SET", 'I');
  EXPECT_TRUE(asks_for_settings(ask("CALL shop.login()"), {"log_statement", "work_mem", "login"}));
  (void)answer(done("CALL", 'I'));
  (void)answer(settings({{"log_statement", "mod"}, {"work_mem", std::nullopt}, {"role", "clerk"}}));
  EXPECT_EQ(move(), (Lines{made_again("log_statement", "mod"), made_again("role", "clerk")}));
}

TEST_F(ContinuitySettingsTest, WhatTheAnswerDoesNotNameStaysAsItWas) {
  exchange("SET dynamic_library_path = 'x'", "SET", 'I');
  exchange("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, DEFERRABLE", "SET", 'I');
  run_code({{"default_transaction_read_only", "on"}, {"default_transaction_deferrable", "on"}});
  EXPECT_EQ(move(),
            (Lines{"Q SET dynamic_library_path = 'x'", made_again("default_transaction_read_only", "on"),
                   made_again("default_transaction_deferrable", "on")}));
}

TEST_F(ContinuitySettingsTest, SetLocalIsOverWhenItIsAsked) {
  exchange("BEGIN", "BEGIN", 'T');
  EXPECT_FALSE(asks_for_settings(ask("DO $$BEGIN SET app.who = 'x'; END$$")));
  (void)answer(done("DO", 'T'));
  EXPECT_FALSE(asks_for_settings(ask("SELECT 1")));
  (void)answer(done("SELECT 1", 'T'));
  EXPECT_TRUE(asks_for_settings(ask("ROLLBACK"), {"app.who"}));
  (void)answer(done("ROLLBACK", 'I'));
  (void)answer(settings({{"app.who", std::nullopt}}));
  EXPECT_EQ(move(), Lines{});
}

TEST_F(ContinuitySettingsTest, AQuestionThatFailsIsSeenByNobodyAndPinsTheSession) {
  (void)ask("DO $$BEGIN SET app.who = 'x'; END$$");
  (void)answer(done("DO", 'I'));
  EXPECT_EQ(answer(settings({{"work_mem", "64"}}, true)), Lines{"Z I"});
  EXPECT_FALSE(session_->holds_client());
  EXPECT_FALSE(asks_for_settings(ask("SELECT 1")));
  (void)answer(done("SELECT 1", 'I'));
  session_->server_lost();
  EXPECT_EQ(session_->cannot_move(),
            "what DO or CALL left, of which the server tells nothing (SQLSTATE 22012)");
}

TEST_F(ContinuitySettingsTest, ACancelThatHitsTheQuestionPutsItOff) {
  (void)ask("DO $$BEGIN SET app.who = 'x'; END$$");
  (void)answer(done("DO", 'I'));
  EXPECT_EQ(answer(failed_with("57014", 'I')), Lines{"Z I"});
  EXPECT_TRUE(asks_for_settings(ask("SELECT 1"), {"app.who"}));
}

TEST_F(ContinuitySettingsTest, InATransactionThatDidNotEndItIsAskedAgainBehindItsEnd) {
  EXPECT_TRUE(
      asks_for_settings(ask("DO $$BEGIN SET app.who = 'x'; END$$; COMMIT; BEGIN; SELECT 1/0; COMMIT")));
  EXPECT_EQ(answer(failed('E')), Lines{"E 22012"});
  EXPECT_EQ(answer(failed_with("25P02", 'E')), Lines{"Z E"});
  EXPECT_FALSE(asks_for_settings(ask("SELECT 1")));
  (void)answer(failed('E'));
  EXPECT_TRUE(asks_for_settings(ask("ROLLBACK"), {"app.who"}));
}

TEST_F(ContinuitySettingsTest, APipelineIsAskedAboutBehindItsSync) {
  ByteBuffer bytes;
  wire::append_parse(bytes, "", "CALL login()");
  wire::append_bind(bytes, {});
  wire::append_execute(bytes, "");
  EXPECT_FALSE(asks_for_settings(lines_of(session_->to_server(bytes))));
  ByteBuffer sync;
  wire::append_sync(sync);
  EXPECT_TRUE(asks_for_settings(lines_of(session_->to_server(sync)), {"login"}));
}

TEST_F(ContinuitySettingsTest, WhoseCallsChangeNothingIsAskedLessOften) {
  const auto call = [this](const std::vector<Row>& found) {
    const bool asked = asks_for_settings(ask("CALL work()"));
    EXPECT_EQ(answer(done("CALL", 'I')).size(), asked ? 1U : 2U);
    (void)answer(asked ? settings(found) : rows_of_answer({"f", "f", "f"}));
    return asked;
  };
  exchange("SET work_mem = '1MB'", "SET", 'I');
  EXPECT_TRUE(call({{"work_mem", "1024"}}));  // set by the client, or by the procedure: nobody knows
  EXPECT_TRUE(call({{"work_mem", "1024"}}));
  EXPECT_FALSE(call({}));
  EXPECT_FALSE(call({}));
  EXPECT_TRUE(call({{"work_mem", "2048"}}));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(call({{"work_mem", "2048"}}));  // it may set that to anything
  EXPECT_EQ(move(), Lines{made_again("work_mem", "2048")});
}

TEST_F(ContinuitySettingsTest, WhoseTextSetsSomethingIsAlwaysAskedBehind) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(asks_for_settings(ask("CALL work()")));
    (void)answer(done("CALL", 'I'));
    (void)answer(settings({{"()", ""}}));
  }
  EXPECT_EQ(move(), Lines{});
}

TEST_F(ContinuitySettingsTest, WhatIsTooLongPins) {
  run_code({{"app.long", "long"}});
  EXPECT_EQ(session_->cannot_move(), "setting \"app.long\" longer than 16 KiB");
  ContinuityLimits limits;
  limits.history_bytes = 64;
  use(limits);
  run_code({{"app.a", std::string(100, 'x')}, {"app.b", "1"}});
  EXPECT_EQ(session_->cannot_move(), "more session state than the proxy keeps");
}

TEST_F(ContinuitySettingsTest, WhatIsSetBehindTheQuestionCountsAndNothingElseIsAskedAbout) {
  run_code({{"work_mem", "64"}});
  EXPECT_EQ(ask("SET work_mem = '1MB'"), Lines{"Q SET work_mem = '1MB'"});
  (void)answer(done("SET", 'I'));
  EXPECT_EQ(ask("SELECT f()"), Lines{"Q SELECT f()"});
  (void)answer(done("SELECT 1", 'I'));
  EXPECT_EQ(move(), Lines{"Q SET work_mem = '1MB'"});
}

TEST_F(ContinuitySettingsTest, ALossBeforeTheyAreKnownIsNoSuccess) {
  (void)ask("DO $$BEGIN SET app.who = 'x'; END$$");
  EXPECT_EQ(answer(done("DO", 'I')), Lines{"C DO"});
  EXPECT_EQ(move(), Lines{});
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
  EXPECT_TRUE(relaying());
  EXPECT_EQ(ask("SELECT 1"), Lines{"Q SELECT 1"});
  EXPECT_EQ(answer(done("SELECT 1", 'I')), (Lines{"C SELECT 1", "Z I"}));
}

TEST_F(ContinuitySettingsTest, AReplayThatEndsBeforeTheQuestionShowsNothingTwice) {
  ByteBuffer pipeline;
  for (const char* sql : {"BEGIN", "SELECT 1 / 0", "COMMIT"}) {
    wire::append_parse(pipeline, "", sql);
    wire::append_bind(pipeline, {});
    wire::append_execute(pipeline, "");
  }
  wire::append_sync(pipeline);
  (void)session_->to_server(pipeline);
  ByteBuffer failing;
  for (const char type : {'1', '2'}) wire::append_empty_message(failing, type);
  wire::append_command_complete(failing, "BEGIN");
  append_bytes(failing, failed('E'));
  (void)answer(failing);
  EXPECT_FALSE(asks_for_settings(ask("DO $$BEGIN SET app.who = 'x'; END$$")));  // the transaction is open
  EXPECT_EQ(answer(failed('E')), (Lines{"E 22012", "Z E"}));
  EXPECT_EQ(ask("SELECT 1").size(), 1U);
  // Said again all at once, it is to be expected that the COMMIT ends the transaction: asked behind both.
  EXPECT_TRUE(asks_for_settings(move(), {"app.who"}));
  EXPECT_EQ(answer(both(failing, failed_with("25P02", 'E'))), Lines{});
  EXPECT_EQ(answer(both(failed('E'), failed_with("25P02", 'E'))), Lines{});
  EXPECT_EQ(answer(failed('E')), (Lines{"E 22012", "Z E"}));
}

TEST_F(ContinuitySettingsTest, AQuestionThatIsCancelledAgainAndAgainIsGivenUp) {
  (void)ask("DO $$BEGIN SET statement_timeout = 1; END$$");
  (void)answer(done("DO", 'I'));
  EXPECT_EQ(answer(failed_with("57014", 'I')), Lines{"Z I"});
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(asks_for_settings(ask("SELECT 1")));
    (void)answer(done("SELECT 1", 'I'));
    EXPECT_EQ(answer(failed_with("57014", 'I')), Lines{"Z I"});
  }
  EXPECT_EQ(ask("SELECT 1"), Lines{"Q SELECT 1"});
  (void)answer(done("SELECT 1", 'I'));
  session_->server_lost();
  EXPECT_NE(session_->cannot_move(), "");
}

TEST_F(ContinuitySettingsTest, ACodeThatMentionsCopyIsAskedBehind) {
  EXPECT_TRUE(asks_for_settings(ask("CALL copy_rates()")));
  EXPECT_TRUE(classify_statement("DO $$BEGIN END$$; COPY t FROM STDIN").may_copy);
}

TEST_F(ContinuitySettingsTest, AnotherRoleComesBehindWhatWasSetWithoutIt) {
  exchange("SET ROLE a", "SET", 'I');
  run_code({{"role", "none"}});
  exchange("SET log_min_duration_statement = 0", "SET", 'I');
  run_code({{"role", "b"}, {"log_min_duration_statement", "0"}});
  EXPECT_EQ(move().back(), made_again("role", "b"));
}

class GuardedSettingsTest : public CommitGuardTest {
 protected:
  // Up to a COMMIT that was answered, and the settings were not told yet.
  void commit_after_code() {
    exchange("BEGIN", "BEGIN", 'T');
    (void)ask("UPDATE t SET a = 1");
    (void)answer(done("UPDATE 1", 'T'));
    tell_mark("77", "0/800");
    exchange("SET work_mem = '1MB'", "SET", 'T');
    exchange("DO $$BEGIN SET app.who = 'x'; END$$", "DO", 'T');
    EXPECT_EQ(ask("COMMIT").size(), 2U);
    EXPECT_EQ(answer(done("COMMIT", 'I')), Lines{"C COMMIT"});
  }
};

TEST_F(GuardedSettingsTest, ACommitIsToldToHaveLostThem) {
  commit_after_code();
  EXPECT_EQ(move(), Lines{fate_question()});
  EXPECT_EQ(answer(rows_of_answer({"committed", "one o'clock", "0/2000"})), (Lines{"E 08007", "Z I"}));
  EXPECT_TRUE(relaying());
}

TEST_F(GuardedSettingsTest, ACommitThatNeverArrivedIsMadeAgain) {
  commit_after_code();
  EXPECT_EQ(move(2, {{1, Lsn{0x700}}}).front(), "Q BEGIN");
  EXPECT_EQ(session_->stage(), Continuity::Stage::kReplaying);
}

// Else the question would go into the transaction that the proxy puts a single write in.
TEST_F(GuardedSettingsTest, AWriteBehindAQuestionThatWasPutOffIsPassedAsItIs) {
  (void)ask("DO $$BEGIN SET app.who = 'x'; END$$");
  (void)answer(done("DO", 'I'));
  ByteBuffer cancelled = error("57014");
  wire::append_ready_for_query(cancelled, wire::TransactionStatus::kIdle);
  EXPECT_EQ(answer(cancelled), Lines{"Z I"});
  const Lines said = ask("INSERT INTO t VALUES (1)");
  ASSERT_EQ(said.size(), 2U);
  EXPECT_EQ(said[0], "Q INSERT INTO t VALUES (1)");
  EXPECT_EQ(answer(done("INSERT 0 1", 'I')), Lines{"C INSERT 0 1"});
  EXPECT_EQ(answer(done("SELECT 1", 'I')), Lines{"Z I"});
  EXPECT_FALSE(session_->holds_client());
}

}  // namespace
}  // namespace understudy::proxy
