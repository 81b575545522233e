// Records of logs as sessions: what is asked, when it was answered, what failed; and what a log does not
// tell.
#include <gtest/gtest.h>

#include "formats/logs/stderr_log.h"
#include "formats/transcript/known_replies.h"
#include "recorder/import/import_sessions.h"
#include "recorder/recorder_options.h"

namespace understudy::recorder {
namespace {

constexpr TimeNs kMillisecond = 1'000'000;

std::string readable(Direction direction, ByteView bytes) {
  std::string out;
  while (!bytes.empty()) {
    const char type = static_cast<char>(bytes[0]);
    const std::size_t length = load_be32(bytes.data() + 1);
    std::string payload(as_text(bytes.subspan(5, length - 4)));
    bytes = bytes.subspan(length + 1);
    for (char& letter : payload) {
      if (letter == '\0') letter = '.';
    }
    out += out.empty() ? "" : " ";
    out += type;
    const bool terse = direction == Direction::kFromServer ? type == 'R' : type == 'E';
    if (!terse && !payload.empty()) out += "(" + payload + ")";
  }
  return out;
}

class Watcher final : public proxy::TrafficObserver {
 public:
  struct Seen {
    SessionDescriptor opened;
    std::vector<std::string> said;  // "C 12 Q(select 1.)": by whom, when in ms since the first, what
    bool closed = false;
    CloseDetail why;
    TimeNs last = 0;
  };
  std::vector<std::unique_ptr<Seen>> sessions;
  TimeNs epoch = 0;

  std::unique_ptr<proxy::SessionObserver> open_session(unsigned,
                                                       const SessionDescriptor& descriptor) override {
    if (epoch == 0) epoch = descriptor.opened_at;
    sessions.push_back(std::make_unique<Seen>());
    sessions.back()->opened = descriptor;
    sessions.back()->last = descriptor.opened_at;
    return std::make_unique<Watch>(*this, *sessions.back());
  }

 private:
  class Watch final : public proxy::SessionObserver {
   public:
    Watch(Watcher& watcher, Seen& seen) : watcher_(watcher), seen_(seen) {}
    void relayed(Direction direction, TimeNs time, ByteView bytes) override {
      note(direction == Direction::kFromClient ? "C" : "S", time, readable(direction, bytes));
    }
    void redacted(Redaction what, TimeNs time) override {
      EXPECT_EQ(what, (Redaction{Direction::kFromServer, RedactionKind::kSqlPassword}));
      note("redacted", time, "");
    }
    void cancelled(TimeNs time) override { note("cancelled", time, ""); }
    void backend_switched(const std::string&, TimeNs) override { ADD_FAILURE(); }
    void closed(const CloseDetail& why, TimeNs time) override {
      note("closed", time, "");
      seen_.closed = true;
      seen_.why = why;
    }

   private:
    void note(const std::string& who, TimeNs time, const std::string& what) {
      EXPECT_GE(time, seen_.last);
      EXPECT_FALSE(seen_.closed);
      seen_.last = time;
      seen_.said.push_back(who + " " + std::to_string((time - watcher_.epoch) / kMillisecond) +
                           (what.empty() ? "" : " " + what));
    }
    Watcher& watcher_;
    Seen& seen_;
  };
};

// A stderr log of one prefix, as its server would have written it.
class ImportSessionsTest : public ::testing::Test {
 protected:
  ImportSessionsTest() { sessions_.begin_file("a.log"); }

  // A line of a process, `at` milliseconds after the first.
  void line(int at, const std::string& process, const std::string& text) {
    std::string milliseconds = std::to_string(1000 + at % 1000).substr(1);
    log_ += "2026-11-24 13:31:0" + std::to_string(at / 1000) + "." + milliseconds + " UTC [" + process +
            "] ann@shop 00000 " + text + "\n";
  }
  void connect(int at, const std::string& process) {
    line(at, process, "LOG:  connection authorized: user=ann database=shop application_name=psql");
  }
  void import() {
    logs::StderrLog parser(sessions_, "%m [%p] %u@%d %e ");
    parser.feed(as_bytes(log_));
    parser.finish();
    log_.clear();
  }
  [[nodiscard]] std::vector<std::string> said(std::size_t session) const {
    return watcher_.sessions.at(session)->said;
  }
  [[nodiscard]] const ImportCounts& counts() const { return sessions_.counts(); }

  Watcher watcher_;
  ImportSessions sessions_{watcher_, 3};
  std::string log_;
};

using Lines = std::vector<std::string>;

TEST_F(ImportSessionsTest, ASessionFromItsConnectionToItsEnd) {
  line(0, "7", "LOG:  connection received: host=192.0.2.7 port=49152");
  connect(1, "7");
  line(5, "7", "LOG:  statement: select 1");
  line(9, "7",
       "LOG:  disconnection: session time: 0:00:00.009 user=ann database=shop host=192.0.2.7 port=49152");
  import();
  ASSERT_EQ(watcher_.sessions.size(), 1U);
  const SessionDescriptor& opened = watcher_.sessions[0]->opened;
  EXPECT_EQ(opened.user(), "ann");
  EXPECT_EQ(opened.database(), "shop");
  EXPECT_EQ(opened.parameter("application_name"), "psql");
  EXPECT_EQ(opened.peer, "192.0.2.7:49152");
  EXPECT_EQ(opened.attribute(kRepliesAttribute), kOnlyErrors);
  // When it was answered is not known, but by then it was.
  EXPECT_EQ(said(0), (Lines{"S 0 R Z(I)", "C 4 Q(select 1.)", "S 8 C(?.) Z(I)", "closed 8"}));
  EXPECT_EQ(watcher_.sessions[0]->why.reason, CloseReason::kClientLeft);
  EXPECT_EQ(counts().begun_before + counts().without_end, 0U);
}

TEST_F(ImportSessionsTest, ADurationBesideAStatementTellsWhenItBegan) {
  connect(0, "7");
  line(30, "7", "LOG:  duration: 20.000 ms  statement: select 1");
  import();
  EXPECT_EQ(said(0), (Lines{"S 0 R Z(I)", "C 10 Q(select 1.)", "S 30 C(.) Z(I)"}));
  EXPECT_EQ(counts().timed, 1U);
}

TEST_F(ImportSessionsTest, ADurationOnItsOwnTellsWhenTheLastStatementEnded) {
  connect(0, "7");
  line(10, "7", "LOG:  statement: select 1");
  line(30, "7", "LOG:  duration: 20.000 ms");
  line(40, "7", "LOG:  duration: 0.100 ms");  // of a Parse
  import();
  EXPECT_EQ(said(0), (Lines{"S 0 R Z(I)", "C 10 Q(select 1.)", "S 30 C(.) Z(I)"}));
}

TEST_F(ImportSessionsTest, NamedStatementsArePreparedOnce) {
  connect(0, "7");
  line(1, "7", "LOG:  execute s: select $1");
  line(1, "7", "DETAIL:  parameters: $1 = 'x'");
  line(2, "7", "LOG:  execute s: select $1");
  line(2, "7", "DETAIL:  Parameters: $1 = NULL");
  line(3, "7", "LOG:  execute s: select 2");  // closed, and prepared anew
  line(4, "7", "LOG:  statement: DEALLOCATE ALL");
  line(5, "7", "LOG:  execute s: select 2");
  import();
  ASSERT_EQ(said(0).size(), 10U);
  EXPECT_TRUE(said(0)[1].starts_with("C 1 P(s.select $1...) B(.s....")) << said(0)[1];
  EXPECT_TRUE(said(0)[3].starts_with("C 2 B(.s....")) << said(0)[3];
  EXPECT_TRUE(said(0)[5].starts_with("C 3 C(Ss.) P(s.select 2...) B(")) << said(0)[5];
  EXPECT_EQ(said(0)[7], "C 4 Q(DEALLOCATE ALL.)");
  EXPECT_TRUE(said(0)[9].starts_with("C 5 C(Ss.) P(s.select 2...) B(")) << said(0)[9];
  EXPECT_EQ(counts().executed, 4U);
}

TEST_F(ImportSessionsTest, AFetchGoesOnWithItsPortalAndRunsNothingAgain) {
  connect(0, "7");
  line(1, "7", "LOG:  statement: BEGIN");
  line(2, "7", "LOG:  execute S_1/C_2: select n from t");
  line(3, "7", "LOG:  execute fetch from S_1/C_2: select n from t");
  line(4, "7", "LOG:  statement: COMMIT");
  line(5, "7", "LOG:  execute fetch from S_1/C_2: select n from t");
  import();
  EXPECT_EQ(said(0)[5], "C 3 E S");
  EXPECT_EQ(counts().fetches, 1U);
  ASSERT_EQ(counts().left_out.size(), 1U);
  EXPECT_EQ(counts().left_out.begin()->second.first, (Lines{"a.log:6"}));
}

TEST_F(ImportSessionsTest, ErrorsAreOfWhatWasAsked) {
  connect(0, "7");
  line(1, "7", "LOG:  statement: select 1/0");
  line(2, "7", "ERROR:  division by zero");
  line(2, "7", "STATEMENT:  select 1/0");
  line(3, "7", "ERROR:  syntax error");  // never logged as asked
  line(3, "7", "STATEMENT:  selec 1");
  line(4, "7", "LOG:  duration: 0.2 ms  bind s: select $1/0");
  line(4, "7", "DETAIL:  parameters: $1 = '4'");
  line(5, "7", "ERROR:  division by zero");
  line(5, "7", "STATEMENT:  select $1/0");
  line(6, "7", "ERROR:  no such thing as $1");
  line(6, "7", "STATEMENT:  select $1 from nothing");
  import();
  const std::vector<std::string> all = said(0);
  EXPECT_EQ(all[2], "S 2 E(SERROR.VERROR.C00000.Mdivision by zero..) Z(I)");
  EXPECT_EQ(all[3], "C 3 Q(selec 1.)");
  EXPECT_TRUE(all[5].starts_with("C 5 P(s.select $1/0...) B(")) << all[5];
  EXPECT_TRUE(all[6].starts_with("S 5 E("));
  EXPECT_EQ(all.size(), 7U);
  EXPECT_EQ(counts().errors, 3U);
  EXPECT_EQ(counts().left_out.size(), 1U);
  // In the protocol of what was asked before, where a log has all that was executed.
  line(7, "7", "LOG:  execute <unnamed>: select 2");
  line(8, "7", "ERROR:  syntax error");
  line(8, "7", "STATEMENT:  selec 2");
  line(9, "7", "ERROR:  syntax error");
  line(9, "7", "STATEMENT:  select 2; selec 3");
  import();
  EXPECT_TRUE(said(0)[9].starts_with("C 8 P(.selec 2...) B(")) << said(0)[9];
  EXPECT_EQ(said(0)[11], "C 9 Q(select 2; selec 3.)");
}

TEST_F(ImportSessionsTest, PasswordsInErrorsAreHiddenAndCounted) {
  connect(0, "7");
  line(1, "7", "LOG:  statement: select make_role()");
  line(2, "7", "ERROR:  permission denied");
  line(2, "7", "DETAIL:  in \"password=hunter2\"");
  line(2, "7", "CONTEXT:  SQL statement \"ALTER ROLE bob PASSWORD 'hunter2'\"");
  line(2, "7", "STATEMENT:  select make_role()");
  line(3, "7", "FATAL:  terminating: postgresql://bob:hunter2@host/db");
  import();
  const std::vector<std::string> all = said(0);
  ASSERT_EQ(all.size(), 7U);
  EXPECT_EQ(all[2], "redacted 2");
  EXPECT_TRUE(all[3].ends_with("WSQL statement \"ALTER ROLE bob PASSWORD 'xxxxxxx'\"..) Z(I)")) << all[3];
  EXPECT_EQ(all[4], "redacted 3");
  for (const std::string& one : all) EXPECT_EQ(one.find("hunter2"), std::string::npos) << one;
  EXPECT_EQ(counts().passwords_in_errors, 2U);
}

TEST_F(ImportSessionsTest, PasswordsThatMessagesQuoteOfStatementsAreHidden) {
  connect(0, "7");
  line(1, "7", "ERROR:  unterminated quoted string at or near \"'Zq176Kv\" at character 26");
  line(1, "7", "STATEMENT:  ALTER ROLE r100 PASSWORD 'Zq176Kv");
  line(2, "7", "LOG:  statement: select dblink_connect('POSTGRES://u:Zq 109Kv@h')");
  line(2, "7", "ERROR:  could not establish connection");
  line(2, "7", "DETAIL:  missing \"=\" after \"POSTGRES://u:Zq\" in connection info string");
  line(3, "7", "ERROR:  unterminated quoted string at or near \"'Zq182Kv\" at character 26");
  line(3, "7", "QUERY:  alter role r100 password 'Zq182Kv");
  line(3, "7", "STATEMENT:  select f()");
  line(4, "7", "ERROR:  syntax error at or near \"selec\" at character 1");
  line(4, "7", "STATEMENT:  selec 1");
  import();
  for (const std::string& one : said(0)) {
    // What is asked is hidden by the recording.
    if (one.starts_with("S ")) {
      EXPECT_EQ(one.find("Zq"), std::string::npos) << one;
    }
  }
  EXPECT_EQ(counts().errors, 4U);
  EXPECT_EQ(counts().passwords_in_errors, 3U);
  EXPECT_NE(said(0).back().find("selec"), std::string::npos);
}

TEST_F(ImportSessionsTest, CancelsAreOfWhatWasAsked) {
  connect(0, "7");
  line(1, "7", "LOG:  statement: select pg_sleep(9)");
  line(2, "7", "ERROR:  canceling statement due to user request");
  line(2, "7", "STATEMENT:  select pg_sleep(9)");
  log_.replace(log_.find("00000 ERROR"), 5, "57014");
  import();
  EXPECT_EQ(said(0)[2], "cancelled 2");
  EXPECT_TRUE(said(0)[3].starts_with("S 2 E(SERROR.VERROR.C57014.")) << said(0)[3];
}

TEST_F(ImportSessionsTest, TransactionsAreFollowed) {
  connect(0, "7");
  for (const char* const text : {"BEGIN", "savepoint a", "selec", "ROLLBACK TO a", "COMMIT AND CHAIN",
                                 "commit;", "BEGIN; COMMIT; begin", "END"}) {
    const std::string sql = text;
    if (sql == "selec") {
      line(2, "7", "ERROR:  syntax error");
      line(2, "7", "STATEMENT:  selec");
    } else {
      line(1, "7", "LOG:  statement: " + sql);
    }
  }
  line(3, "7", "LOG:  disconnection: session time");
  import();
  std::string states;
  for (const std::string& one : said(0)) {
    if (one.front() == 'S') states += one[one.size() - 2];
  }
  EXPECT_EQ(states, "ITTETTITI");
}

TEST_F(ImportSessionsTest, ACopyHasNoData) {
  connect(0, "7");
  line(1, "7", "LOG:  statement: COPY t FROM STDIN;");
  line(2, "7", "LOG:  statement: copy t (a) from stdin with csv; COPY t TO STDOUT; copy t from '/stdin'");
  line(3, "7", "LOG:  execute <unnamed>: COPY t FROM STDIN");
  import();
  EXPECT_EQ(said(0)[1], "C 1 Q(COPY t FROM STDIN;.) c");
  EXPECT_TRUE(said(0)[3].ends_with(") c")) << said(0)[3];
  EXPECT_TRUE(said(0)[5].ends_with(" E c S")) << said(0)[5];
  EXPECT_EQ(counts().copies, 3U);
}

TEST_F(ImportSessionsTest, AProcessIdBeginsAnotherSession) {
  connect(0, "7");
  line(1, "7", "LOG:  statement: select 1");
  connect(5, "7");
  line(6, "7", "LOG:  statement: select 2");
  import();
  ASSERT_EQ(watcher_.sessions.size(), 2U);
  EXPECT_TRUE(watcher_.sessions[0]->closed);
  EXPECT_EQ(watcher_.sessions[0]->why.reason, CloseReason::kRecordingEnded);
  EXPECT_EQ(said(1)[1], "C 6 Q(select 2.)");
  EXPECT_EQ(counts().without_end, 1U);
}

TEST_F(ImportSessionsTest, WhoIsIdleForLongestIsGivenUp) {
  for (int n = 0; n < 5; ++n) line(n, std::to_string(10 + n), "LOG:  statement: select 1");
  line(9, "14", "LOG:  statement: select 2");
  import();
  sessions_.finish();
  EXPECT_EQ(counts().sessions, 5U);
  EXPECT_EQ(counts().given_up, 2U);
  EXPECT_EQ(counts().without_end, 5U);
  EXPECT_EQ(counts().begun_before, 5U);
  EXPECT_TRUE(watcher_.sessions[0]->closed);
  EXPECT_FALSE(watcher_.sessions[4]->closed);
}

TEST_F(ImportSessionsTest, LoginsRefusedAndSessionsEnded) {
  line(0, "7", "FATAL:  password authentication failed for user \"ann\"");
  connect(1, "8");
  line(2, "8", "FATAL:  terminating connection due to administrator command");
  line(3, "8", "LOG:  disconnection: session time: 0:00:00.001 user=ann");
  std::size_t at = log_.find("00000 FATAL");
  log_.replace(at, 5, "28P01");
  at = log_.find("00000 FATAL");
  log_.replace(at, 5, "57P01");
  import();
  ASSERT_EQ(watcher_.sessions.size(), 2U);
  EXPECT_TRUE(said(0)[0].starts_with("S 0 E(SFATAL.VFATAL.C28P01.")) << said(0)[0];
  EXPECT_EQ(said(0)[1], "closed 0");
  EXPECT_TRUE(said(1)[1].starts_with("S 2 E(SFATAL.VFATAL.C57P01.")) << said(1)[1];
  EXPECT_EQ(watcher_.sessions[1]->why.reason, CloseReason::kServerLeft);
  EXPECT_EQ(counts().refused_logins, 1U);
}

// The log says "authorized" before the server looks for the role and the database.
TEST_F(ImportSessionsTest, WhoIsAuthorizedMayYetBeRefused) {
  connect(0, "7");
  line(1, "7", "FATAL:  role \"ann\" does not exist");
  connect(2, "8");
  line(3, "8", "LOG:  statement: select 1");
  line(4, "8", "FATAL:  database \"shop\" does not exist");
  connect(5, "9");
  for (const char* const state : {"28000", "3D000"}) log_.replace(log_.find("00000 FATAL"), 5, state);
  import();
  sessions_.finish();
  ASSERT_EQ(watcher_.sessions.size(), 3U);
  EXPECT_TRUE(said(0)[0].starts_with("S 1 E(SFATAL.VFATAL.C28000.")) << said(0)[0];
  EXPECT_EQ(said(0)[1], "closed 1");
  EXPECT_EQ(said(1)[0], "S 2 R Z(I)");
  EXPECT_TRUE(said(1)[2].starts_with("S 4 E(")) << "logged in, and ended later";
  EXPECT_EQ(said(2), std::vector<std::string>{"S 5 R Z(I)"}) << "nothing more was heard of it";
  EXPECT_EQ(counts().refused_logins, 1U);
}

TEST_F(ImportSessionsTest, WhatIsOfNoSessionMakesNone) {
  line(0, "1", "LOG:  checkpoint starting: time");
  line(0, "1", "LOG:  duration: 3.0 ms");
  line(0, "1", "WARNING:  there is no transaction in progress");
  line(0, "1", "LOG:  disconnection: session time");
  line(1, "2", "LOG:  connection received: host=[local]");
  line(1, "2", "LOG:  replication connection authorized: user=r");
  import();
  EXPECT_TRUE(watcher_.sessions.empty());
  EXPECT_EQ(counts().records, 6U);
  EXPECT_EQ(counts().replication, 1U);
}

TEST_F(ImportSessionsTest, WhatHasParametersThatAreNotLoggedIsLeftOut) {
  connect(0, "7");
  line(1, "7", "LOG:  execute s: select $1");
  line(2, "7", "LOG:  execute <unnamed>: create function f(int) as $$ select $1 $$ -- $2");
  line(3, "7", "LOG:  duration: 0.2 ms  parse s: select $1/0");
  line(4, "7", "ERROR:  out of memory");
  line(4, "7", "STATEMENT:  select $1/0");
  import();
  EXPECT_EQ(said(0).size(), 3U);
  EXPECT_TRUE(said(0)[1].starts_with("C 2 P(.create function f")) << said(0)[1];
  EXPECT_EQ(counts().executed, 1U);
  EXPECT_EQ(counts().left_out.size(), 2U);
  EXPECT_EQ(counts().left_out.begin()->second.first, (Lines{"a.log:5"}));
}

TEST_F(ImportSessionsTest, ValuesThatMayBeCutAreCounted) {
  const auto execute = [this](const std::string& values) {
    line(1, "7", "LOG:  execute s: select $1, $2");
    line(1, "7", "DETAIL:  Parameters: " + values);
  };
  execute("$1 = 'abcde', $2 = 'wait...'");  // whole: others are longer
  execute("$1 = 'abcdefgh...', $2 = NULL");
  execute("$1 = 'hgfedcba...', $2 = 'abcdefgh'");
  import();
  sessions_.finish();
  ASSERT_EQ(counts().doubtful.size(), 1U);
  EXPECT_EQ(counts().doubtful.begin()->second.count, 2U);
  EXPECT_EQ(counts().doubtful.begin()->second.first, (Lines{"a.log:3", "a.log:5"}));
}

TEST_F(ImportSessionsTest, ValuesThatEndInDotsAreWholeWhereLongerOnesAre) {
  line(1, "7", "LOG:  execute s: select $1, $2");
  line(1, "7", "DETAIL:  Parameters: $1 = 'wait...', $2 = 'a longer one'");
  import();
  sessions_.finish();
  EXPECT_TRUE(counts().doubtful.empty());
}

TEST(ImportPeerTest, AnAddressWithColonsIsNoPort) {
  const auto peer = [](const std::string& prefix, const std::string& client) {
    Watcher watcher;
    ImportSessions sessions(watcher);
    logs::StderrLog parser(sessions, "%m [%p] " + prefix + " ");
    parser.feed(as_bytes("2026-11-24 13:31:00.000 UTC [7] " + client + " LOG:  statement: select 1\n"));
    parser.finish();
    return watcher.sessions.at(0)->opened.peer;
  };
  EXPECT_EQ(peer("%h", "2001:db8::5"), "[2001:db8::5]");
  EXPECT_EQ(peer("%h", "192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(peer("%h", "[local]"), "unix:");
  EXPECT_EQ(peer("%r", "2001:db8::5(49152)"), "[2001:db8::5]:49152");
}

TEST(ImportPgreplayTest, ItemsAreSessions) {
  using Kind = logs::PgreplayItem::Kind;
  Watcher watcher;
  ImportSessions sessions(watcher);
  sessions.begin_file("a.bin");
  TimeNs now = kSecond;
  const auto item = [&](Kind kind, std::string text = {}, std::string name = {},
                        std::vector<logs::LogParameter> parameters = {}) {
    now += kMillisecond;
    sessions.item({kind, now, 5, std::move(text), std::move(name), std::move(parameters), 0});
  };
  item(Kind::kConnect, "ann", "shop");
  item(Kind::kSimple, "select 1");
  item(Kind::kPrepare, "select $1", "s");
  item(Kind::kExecute, "", "s", {"x"});
  item(Kind::kExecute, "", "s", {std::nullopt});
  item(Kind::kExecute, "", "unknown");
  item(Kind::kCancel);
  item(Kind::kDisconnect);
  ASSERT_EQ(watcher.sessions.size(), 1U);
  const auto& said = watcher.sessions[0]->said;
  EXPECT_EQ(watcher.sessions[0]->opened.database(), "shop");
  EXPECT_EQ(said[1], "C 1 Q(select 1.)");
  EXPECT_EQ(said[2], "S 3 C(?.) Z(I)");
  EXPECT_TRUE(said[3].starts_with("C 3 P(s.select $1...) B(")) << said[3];
  EXPECT_TRUE(said[5].starts_with("C 4 B(")) << said[5];
  EXPECT_EQ(said[6], "cancelled 6");
  EXPECT_TRUE(said[7].starts_with("S 6 E(SERROR.VERROR.C57014."));
  EXPECT_EQ(said[8], "closed 7");
  EXPECT_EQ(sessions.counts().executed, 2U);
  EXPECT_EQ(sessions.counts().left_out.size(), 1U);
}

}  // namespace
}  // namespace understudy::recorder
