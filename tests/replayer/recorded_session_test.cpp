#include "replayer/recorded_session.h"

#include "formats/wire/message_types.h"
#include "tests/replayer/support.h"

namespace understudy::replayer {
namespace {

using namespace test;  // the verbs of messages
using Kind = RecordedStep::Kind;
namespace backend = wire::backend;

constexpr TimeNs kMillisecond = 1'000'000;

class RecordedSessionTest : public RecordingTest {
 protected:
  void SetUp() override { begin_segment(1, 1); }

  void login(SessionId session = kA) {
    open_session(session, tick());
    from_server(session, tick(), setting("server_version", "15") + ready());
  }
  void say(const std::string& bytes) { from_client(kA, tick(), bytes); }
  void answer(const std::string& bytes) { from_server(kA, tick(), bytes); }
  void cancel() { event(kA, tick(), EventKind::kCancelled, {}); }
  TimeNs tick() { return now_ += kMillisecond; }

  // Writes what was said to disk and reads it.
  RecordedSession& read(SessionId session = kA, bool continuing = false) {
    if (!slab_.empty()) seal();
    finish_and_save();
    recording_.emplace(path());
    SessionSummary summary{descriptor(session, now_), {}};
    recorded_.emplace(*recording_, summary, continuing);
    return *recorded_;
  }
  // All that matters, as text: "send reply ... end".
  std::string steps(std::size_t most = 100) {
    std::string text;
    while (most-- > 0) {
      const RecordedStep step = recorded_->next();
      last_ = step.checkpoint;
      switch (step.kind) {
        case Kind::kNothing:
          break;
        case Kind::kSend:
          text += "send ";
          break;
        case Kind::kCancel:
          text += step.ran_for ? "stop " : "cancel ";
          ran_for_ = step.ran_for;
          break;
        case Kind::kReply:
          text += step.checkpoint.quiescent ? "answered " : "reply ";
          break;
        case Kind::kEnd:
          left_after_ = step.ran_for;
          return text + end_name(step.end);
      }
    }
    return text;
  }
  static std::string end_name(RecordedEnd end) {
    switch (end) {
      case RecordedEnd::kClientLeft:
        return "left";
      case RecordedEnd::kServerLeft:
        return "dropped";
      case RecordedEnd::kUnfinished:
        return "unfinished";
      case RecordedEnd::kHole:
        return "hole";
    }
    return "?";
  }

  TimeNs now_ = 1'000'000'000;
  std::optional<Recording> recording_;
  std::optional<RecordedSession> recorded_;
  Checkpoint last_;
  std::optional<TimeNs> ran_for_;
  std::optional<TimeNs> left_after_;  // asking, in the middle of the answer
};

TEST_F(RecordedSessionTest, RequestAndReplyAndTheEnd) {
  login();
  say(query("SELECT 1"));
  answer(complete("SELECT 1") + ready());
  say(terminate());
  close_session(kA, tick());
  read();
  EXPECT_EQ(steps(), "answered send answered send left");
  EXPECT_EQ(recorded_->next().kind, Kind::kEnd);  // and again
}

TEST_F(RecordedSessionTest, AClientThatLeavesInTheMiddleOfAnAnswerIsToldWithHowMuchItHadOfIt) {
  login();
  say(query("SELECT 1"));
  answer(complete("SELECT 1") + ready());
  say(query("SELECT n FROM numbers"));
  const std::string rows = row_description({"n"}) + row({"1"});
  answer(rows);
  answer(row({"2"}));
  close_session(kA, tick());
  read();
  EXPECT_EQ(steps(), "answered send answered send reply left");
  EXPECT_EQ(left_after_, 3 * kMillisecond);
  EXPECT_EQ(last_.answer_bytes, (rows + row({"2"})).size());
}

TEST_F(RecordedSessionTest, AClientThatLeavesWithAllItsAnswersLeavesNone) {
  login();
  say(query("SELECT 1"));
  answer(row({"1"}) + complete("SELECT 1") + ready());
  close_session(kA, tick());
  read();
  EXPECT_EQ(steps(), "answered send answered left");
  EXPECT_EQ(left_after_, std::nullopt);
  EXPECT_EQ(last_.answer_bytes, 0U);
}

TEST_F(RecordedSessionTest, AServerThatLeavesInTheMiddleOfAnAnswerIsNotTakenForItsClient) {
  login();
  say(query("SELECT 1"));
  answer(row({"1"}));
  close_as(kA, tick(), CloseReason::kServerLeft);
  read();
  EXPECT_EQ(steps(), "answered send dropped");
  EXPECT_EQ(left_after_, std::nullopt);
}

TEST_F(RecordedSessionTest, AWaitThatCameToNothingIsToldWithItsLength) {
  login();
  for (const char* const sqlstate : {"55P03", "40P01", "57014"}) {
    say(query("LOCK TABLE t"));
    tick();
    answer(error(sqlstate, "no") + ready());
  }
  say(query("INSERT INTO t VALUES (1)"));
  answer(error("23505", "there already") + ready());
  say(query("SELECT 1"));
  answer(complete("SELECT 1") + ready());
  close_session(kA, tick());
  read();
  std::vector<std::optional<TimeNs>> waited;
  std::vector<Refusal> refusals;
  for (RecordedStep step = recorded_->next(); step.kind != Kind::kEnd; step = recorded_->next()) {
    if (step.kind != Kind::kReply) continue;
    waited.push_back(step.ran_for);
    refusals.push_back(step.refusal);
  }
  constexpr auto kLong = 2 * kMillisecond;
  EXPECT_EQ(waited, (std::vector<std::optional<TimeNs>>{{}, kLong, kLong, kLong, {}, {}}));
  using enum Refusal;
  EXPECT_EQ(refusals, (std::vector<Refusal>{kNone, kNone, kDeadlock, kNone, kKeyTaken, kNone}));
}

TEST_F(RecordedSessionTest, TheLoginIsNotReplayed) {
  open_session(kA, tick());
  say("p and a secret that was left out");
  answer(empty(backend::kAuthentication));
  answer(ready());
  close_session(kA, tick());
  read();
  EXPECT_EQ(steps(), "answered left");
  EXPECT_TRUE(last_.logged_in);
}

TEST_F(RecordedSessionTest, ALoginWhoseLastByteCameLaterIsOne) {
  open_session(kA, tick());
  const std::string end = ready();
  answer(end.substr(0, 5));
  answer(end.substr(5));
  say(query("SELECT 1"));
  answer(complete("SELECT 1") + ready());
  close_session(kA, tick());
  read();
  EXPECT_EQ(steps(), "answered send answered left");
}

TEST_F(RecordedSessionTest, ARefusedLoginIsToldFromAnAdmittedOne) {
  open_session(kA, tick());
  answer(error("28P01", "no"));
  close_as(kA, tick(), CloseReason::kServerLeft);
  read();
  EXPECT_EQ(steps(), "dropped");
  EXPECT_FALSE(last_.logged_in);
  EXPECT_EQ(last_.errors, 1U);
}

TEST_F(RecordedSessionTest, RowsAreNoStepUntilTheyEnd) {
  login();
  say(query("SELECT n FROM t"));
  answer(row_description({"n"}));
  for (int n = 0; n < 5; ++n) answer(row({"1"}));
  answer(complete("SELECT 5"));
  answer(ready());
  close_session(kA, tick());
  read();
  EXPECT_EQ(steps(), "answered send reply reply answered left");
}

TEST_F(RecordedSessionTest, APipelineIsAnsweredWhenAllOfItIs) {
  login();
  const std::string part = parse("", "SELECT 1") + bind("", "") + execute("") + sync();
  say(part + part);
  answer(empty('1') + empty('2') + complete("SELECT 1") + ready());
  answer(empty('1') + empty('2') + complete("SELECT 1") + ready());
  close_session(kA, tick());
  read();
  EXPECT_EQ(steps(), "answered send reply answered left");
  EXPECT_EQ(last_.mark.ready_count, 3U);
}

TEST_F(RecordedSessionTest, TransactionStateAndErrorsAreFollowed) {
  login();
  say(query("BEGIN"));
  answer(complete("BEGIN") + ready('T'));
  say(query("SELECT 1 / 0"));
  answer(error("22012", "division by zero") + ready('E'));
  read();
  EXPECT_EQ(steps(), "answered send answered send answered unfinished");
  EXPECT_EQ(last_.transaction_status, 'E');
  EXPECT_EQ(last_.errors, 1U);
}

TEST_F(RecordedSessionTest, ACancelIsAStepWhereItsErrorIs) {
  login();
  say(query("SELECT pg_sleep(600)"));
  cancel();
  answer(row_description({"pg_sleep"}));
  answer(error("57014", "canceling statement due to user request") + ready());
  read();
  EXPECT_EQ(steps(), "answered send reply cancel answered unfinished");
}

TEST_F(RecordedSessionTest, ACancelThatStoppedNothingIsNone) {
  login();
  say(query("SELECT 1"));
  cancel();
  answer(complete("SELECT 1") + ready());
  read();
  EXPECT_EQ(steps(), "answered send answered unfinished");
  EXPECT_EQ(recorded_->checkpoint().late_cancels, 1U);
}

TEST_F(RecordedSessionTest, AStatementStoppedOutOfSightIsToldWithTheTimeItHadRun) {
  login();
  say(query("SELECT pg_sleep(600)"));
  tick();
  tick();
  answer(error("57014", "canceling statement due to statement timeout") + ready());
  read();
  EXPECT_EQ(steps(), "answered send stop answered unfinished");
  EXPECT_EQ(ran_for_, 3 * kMillisecond);
}

TEST_F(RecordedSessionTest, AnErrorThatACancelIsSentForKeepsItsTurn) {
  login();
  say(query("SELECT pg_sleep(600)"));
  answer(error("57014", "canceling statement due to statement timeout") + ready());
  const TimeNs failed = now_;
  for (int later = 0; later < 60; ++later) tick();
  say(terminate());
  read();
  while (recorded_->next().kind != Kind::kCancel) {
  }
  EXPECT_EQ(recorded_->next_time_lower_bound(), failed);
  EXPECT_EQ(recorded_->next_time(), failed);
  EXPECT_EQ(recorded_->next_turn(failed), failed);
}

TEST_F(RecordedSessionTest, ACancelsErrorThatSpansPiecesIsFound) {
  const std::string words = error("57014", "canceling statement due to user request") + ready();
  for (std::size_t cut = 1; cut < words.size() - 6; ++cut) {
    begin_segment(1, 1);
    login();
    say(query("SELECT pg_sleep(600)"));
    cancel();
    answer(words.substr(0, cut));
    answer(words.substr(cut));
    read();
    EXPECT_EQ(steps().find("answered send cancel "), 0U) << cut;
  }
}

TEST_F(RecordedSessionTest, ARowThatSpellsTheErrorIsNoError) {
  login();
  say(query("SELECT 'C57014'"));
  cancel();
  answer(row({std::string("C57014\0", 7)}) + complete("SELECT 1") + ready());
  read();
  EXPECT_EQ(steps(), "answered send answered unfinished");
}

TEST_F(RecordedSessionTest, AServerThatSaysFatalSaysNoMore) {
  login();
  say(query("SELECT pg_sleep(600)"));
  ByteBuffer fatal;
  wire::append_error_response(
      fatal, {.severity = "FATAL", .sqlstate = "57P01", .message = "bye", .detail = {}, .hint = {}});
  answer(std::string(as_text(fatal)));
  close_as(kA, tick(), CloseReason::kServerLeft);
  read();
  EXPECT_EQ(steps(), "answered send reply dropped");
  EXPECT_TRUE(last_.fatal);
}

TEST_F(RecordedSessionTest, NothingBehindAGapIsReplayed) {
  login();
  say(query("SELECT 1"));
  gap(kA, tick(), {});
  say(query("SELECT 2"));
  close_session(kA, tick());
  read();
  EXPECT_EQ(steps(), "answered send hole");
  EXPECT_EQ(steps(), "hole");
}

TEST_F(RecordedSessionTest, NothingBehindADamagedChunkIsReplayed) {
  login();
  say(query("SELECT 1"));
  seal();
  const std::size_t damaged = size();
  answer(complete("SELECT 1") + ready());
  say(query("SELECT 2"));
  seal();
  answer(complete("SELECT 1") + ready());
  close_session(kA, tick());
  seal();
  flip_byte((damaged + chunk_ends_[1]) / 2 + 20);
  read();
  EXPECT_EQ(steps(), "answered send hole");
}

TEST_F(RecordedSessionTest, BytesThatMakeNoSenseAreAHole) {
  login();
  say("an HTTP request, maybe");
  say(query("SELECT 1"));
  read();
  EXPECT_EQ(steps(), "answered hole");
  begin_segment(1, 1);
  login();
  answer(ready());  // nobody asked
  say(query("SELECT 1"));
  read();
  EXPECT_EQ(steps().substr(0, 9), "answered ");
  EXPECT_EQ(steps(), "hole");
}

TEST_F(RecordedSessionTest, ARecordingThatEndedBeforeTheSessionLeavesItUnfinished) {
  login();
  close_as(kA, tick(), CloseReason::kRecordingEnded);
  read();
  EXPECT_EQ(steps(), "answered unfinished");
}

TEST_F(RecordedSessionTest, AClosingThatCannotBeReadIsAHole) {
  login();
  event(kA, tick(), EventKind::kClosed, {});
  read();
  EXPECT_EQ(steps(), "answered hole");
}

TEST_F(RecordedSessionTest, ASessionOpenBeforeTheRecordingIsLoggedInAlready) {
  answer(complete("SELECT 1") + ready());
  say(query("SELECT 1"));
  answer(complete("SELECT 1") + ready());
  close_session(kA, tick());
  read(kA, true);
  const RecordedStep before = recorded_->logged_in_before();
  EXPECT_EQ(before.kind, Kind::kReply);
  EXPECT_TRUE(before.checkpoint.logged_in && before.checkpoint.quiescent);
  EXPECT_EQ(steps(), "send answered left");
}

// Played from where it is met, what was rolled back would be kept.
TEST_F(RecordedSessionTest, ASessionMetInsideATransactionIsPlayedFromItsEndOn) {
  answer(complete("INSERT 0 1") + ready('T'));
  say(query("INSERT INTO t VALUES (1)"));
  answer(complete("INSERT 0 1") + ready('T'));
  say(query("ROLLBACK"));
  answer(complete("ROLLBACK") + ready());
  say(query("SELECT 1"));
  answer(complete("SELECT 1") + ready());
  close_session(kA, tick());
  read(kA, true);
  EXPECT_EQ(steps(), "send answered left");
}

TEST_F(RecordedSessionTest, WhatFollowsThePipelineItIsMetInIsPlayed) {
  answer(ready());
  answer(complete("SELECT 1") + ready());  // of a Sync that was sent before
  say(query("SELECT 1").substr(0, 9));     // in pieces: it is not known whether it begins here
  say(query("SELECT 1").substr(9));
  answer(complete("SELECT 1") + ready());
  say(query("SELECT 2"));
  close_session(kA, tick());
  read(kA, true);
  EXPECT_EQ(steps(), "send left");
}

TEST_F(RecordedSessionTest, OneThatNeverIsIdleIsNotPlayed) {
  say(query("INSERT INTO t VALUES (1)"));
  answer(complete("INSERT 0 1") + ready('T'));
  say(query("ROLLBACK"));
  close_session(kA, tick());
  read(kA, true);
  EXPECT_EQ(steps(), "left");
}

TEST_F(RecordedSessionTest, TheTimeOfTheNextStepIsNeverTakenForLaterThanItIs) {
  login();
  login(kB);
  for (int n = 0; n < 5; ++n) {
    from_client(kB, tick(), query("SELECT 1"));
    from_server(kB, tick(), complete("SELECT 1") + ready());
  }
  seal();
  from_client(kB, tick(), query("SELECT 1"));
  const TimeNs last = tick();
  from_client(kA, last, query("SELECT 1"));
  read();
  (void)recorded_->next();  // opened
  (void)recorded_->next();  // logged in: what follows is in the next chunk
  recorded_->release();
  ASSERT_TRUE(recorded_->next_time_lower_bound());
  EXPECT_LT(*recorded_->next_time_lower_bound(), last);
  EXPECT_EQ(recorded_->next_time(), last);
  EXPECT_EQ(recorded_->next_time_lower_bound(), last);
  (void)recorded_->next();
  EXPECT_FALSE(recorded_->next_time());
}

}  // namespace
}  // namespace understudy::replayer
