// A client that cancels what it asked while its session moves.
#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

using ContinuityCancelTest = ContinuityTest;

TEST_F(ContinuityCancelTest, AReadThatWaitsForAServerEndsAtOnce) {
  exchange("SET work_mem = '1MB'", "SET", 'I');
  (void)ask("SELECT a FROM t");
  session_->server_lost();
  session_->note_cancel(false, false);
  EXPECT_TRUE(session_->stop_waiting());
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 57014", "Z I"}));
  EXPECT_EQ(find(), Lines{"Q SET work_mem = '1MB'"});  // and it is not asked again
  EXPECT_EQ(answer(done("SET", 'I')), Lines{});
  EXPECT_TRUE(relaying());
  EXPECT_FALSE(session_->cancels_again());
  EXPECT_EQ(ask("SELECT b FROM t"), Lines{"Q SELECT b FROM t"});
  EXPECT_EQ(answer(done("SELECT 0", 'I')), (Lines{"C SELECT 0", "Z I"}));
}

TEST_F(ContinuityCancelTest, AWriteThatMayHaveBeenDoneDoesNot) {
  (void)ask("UPDATE t SET a = 1");
  session_->server_lost();
  session_->note_cancel(false, false);
  EXPECT_FALSE(session_->stop_waiting());
  (void)find();
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 08007", "Z I"}));
  EXPECT_FALSE(session_->cancels_again());  // it was answered
}

TEST_F(ContinuityCancelTest, InATransactionTheNextServerIsToldOnceTheRequestIsThere) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  session_->server_lost();
  session_->note_cancel(false, false);
  EXPECT_FALSE(session_->stop_waiting());
  EXPECT_FALSE(session_->cancels_again());
  EXPECT_EQ(find(), (Lines{"Q BEGIN", "Q SELECT a FROM t"}));
  EXPECT_FALSE(session_->cancels_again());  // not what it is made again by
  (void)answer(done("BEGIN", 'T'));
  ASSERT_TRUE(relaying());
  EXPECT_TRUE(session_->cancels_again());
  EXPECT_FALSE(session_->cancels_again());
  EXPECT_TRUE(session_->cancelled());
  ByteBuffer stopped = error("57014");
  wire::append_ready_for_query(stopped, wire::TransactionStatus::kFailed);
  EXPECT_EQ(answer(stopped), (Lines{"E 57014", "Z E"}));
  EXPECT_FALSE(session_->cancelled());
}

TEST_F(ContinuityCancelTest, WhatTheLostServerWasToldIsToldToTheNext) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  session_->note_cancel(true, false);
  EXPECT_FALSE(session_->cancels_again());
  (void)move();
  (void)answer(done("BEGIN", 'T'));
  EXPECT_TRUE(session_->cancels_again());
}

TEST_F(ContinuityCancelTest, WhatWasNotReadYetIsMeantToo) {
  session_->server_lost();
  session_->note_cancel(false, true);
  EXPECT_FALSE(session_->stop_waiting());
  (void)find();
  EXPECT_FALSE(session_->cancels_again());
  (void)ask("SELECT a FROM t");
  EXPECT_TRUE(session_->cancels_again());
}

TEST_F(ContinuityCancelTest, WhatNoServerWasSentEndsAtOnceWhateverItAsks) {
  exchange("SET work_mem = '1MB'", "SET", 'I');
  session_->server_lost();
  ByteBuffer requests[2];
  wire::append_query(requests[0], "UPDATE t SET a = 1");
  wire::append_parse(requests[1], "", "DELETE FROM t");
  wire::append_bind(requests[1], {});
  wire::append_execute(requests[1], "");
  wire::append_sync(requests[1]);
  for (const ByteBuffer& request : requests) {
    EXPECT_FALSE(session_->refuse_unsent(request));  // nobody has cancelled it
    session_->note_cancel(false, true);
    EXPECT_FALSE(session_->stop_waiting());
    EXPECT_FALSE(session_->refuse_unsent(ByteView(request).first(request.size() - 1)));
    EXPECT_FALSE(session_->refuse_unsent(both(request, request)));
    EXPECT_TRUE(session_->refuse_unsent(request));
    EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 57014", "Z I"}));
  }
  EXPECT_EQ(find(), Lines{"Q SET work_mem = '1MB'"});
  EXPECT_EQ(answer(done("SET", 'I')), Lines{});
  EXPECT_EQ(ask("SELECT a FROM t"), Lines{"Q SELECT a FROM t"});
  EXPECT_FALSE(session_->cancels_again());
}

TEST_F(ContinuityCancelTest, WhatNoServerWasSentOfATransactionIsForTheNext) {
  exchange("BEGIN", "BEGIN", 'T');
  session_->server_lost();
  session_->note_cancel(false, true);
  ByteBuffer request;
  wire::append_query(request, "SELECT a FROM t");
  EXPECT_FALSE(session_->refuse_unsent(request));
}

TEST_F(ContinuityCancelTest, AnIdleSessionHasNothingToBeCancelled) {
  exchange("SELECT 1", "SELECT 1", 'I');
  session_->note_cancel(true, false);
  session_->server_lost();
  session_->note_cancel(false, false);
  (void)find();
  (void)ask("SELECT a FROM t");
  EXPECT_FALSE(session_->cancels_again());
}

TEST_F(ContinuityCancelTest, WhatIsCancelledButAnsweredIsDone) {
  (void)ask("SELECT a FROM t");
  session_->note_cancel(true, false);
  EXPECT_TRUE(session_->cancelled());
  (void)answer(done("SELECT 1", 'I'));
  (void)ask("SELECT b FROM t");
  (void)move();
  EXPECT_FALSE(session_->cancels_again());
}

TEST_F(ContinuityCancelTest, AtRestNothingIsCancelled) {
  (void)ask("SELECT a FROM t");
  session_->note_cancel(true, false);
  session_->at_rest();  // a COPY had swallowed its Sync, say
  EXPECT_FALSE(session_->cancelled());
}

TEST_F(CommitGuardTest, TheQuestionForTheIdIsNotCancelled) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("UPDATE t SET a = 1");
  (void)answer(done("UPDATE 1", 'T'));
  tell_mark("77", "0/900");
  (void)ask("SELECT a FROM t");
  session_->server_lost();
  session_->note_cancel(false, false);
  EXPECT_EQ(find(), (Lines{"Q BEGIN", "Q UPDATE t SET a = 1", kMarkQuestion, "Q SELECT a FROM t"}));
  (void)answer(both(done("BEGIN", 'T'), done("UPDATE 1", 'T')));
  EXPECT_FALSE(session_->cancels_again());
  tell_mark("78", "0/2900");
  EXPECT_TRUE(session_->cancels_again());
}

TEST_F(CommitGuardTest, AWriteThatWasNotCommittedEndsAtOnce) {
  (void)ask("UPDATE t SET a = 1");
  session_->server_lost();
  session_->note_cancel(false, false);
  EXPECT_TRUE(session_->stop_waiting());
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 57014", "Z I"}));
  EXPECT_EQ(find(), Lines{});
}

}  // namespace
}  // namespace understudy::proxy
