// COPY FROM STDIN with commit_guard: it is put into a transaction of the proxy's own, whose id is asked for
// behind the data.
#include "formats/wire/message_types.h"
#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

class GuardedCopyTest : public CommitGuardTest {
 protected:
  static constexpr std::string_view kCopy = "COPY t FROM STDIN";

  static Lines begun() { return {"own: BEGIN", "Q " + std::string(kCopy)}; }
  static ByteBuffer ready_for_data() {
    ByteBuffer bytes;
    wire::append_copy_response(bytes, wire::backend::kCopyInResponse, 0, {});
    return bytes;
  }
  static ByteBuffer data() {
    ByteBuffer bytes;
    wire::append_copy_data(bytes, as_bytes("1\n"));
    return bytes;
  }
  static ByteBuffer end_of_data() {
    ByteBuffer bytes;
    wire::append_copy_done(bytes);
    return bytes;
  }
  void begin() {
    EXPECT_EQ(ask(kCopy), begun());
    EXPECT_EQ(answer(both(done("BEGIN", 'T'), ready_for_data())), Lines{"G"});
    EXPECT_FALSE(session_->holds_client());
  }
  void send_data() {
    EXPECT_EQ(lines_of(session_->to_server(data())), Lines{"d"});
    EXPECT_FALSE(session_->holds_client());
    EXPECT_EQ(lines_of(session_->to_server(end_of_data())), Lines{"c"});
    EXPECT_TRUE(session_->holds_client());
  }
  // Up to its COMMIT.
  void take_data() {
    EXPECT_EQ(answer(done("COPY 1", 'T')), Lines{});
    EXPECT_EQ(said(), Lines{kMarkQuestion});
    tell_mark("77", "0/800");
    EXPECT_EQ(said(), Lines{"own: COMMIT"});
  }
  void commit() { EXPECT_EQ(answer(done("COMMIT", 'I')), (Lines{"C COPY 1", "Z I"})); }
};

TEST_F(GuardedCopyTest, IsAnsweredWhenItIsCommitted) {
  begin();
  send_data();
  take_data();
  commit();
  EXPECT_FALSE(session_->holds_client());
  EXPECT_EQ(session_->take_commits_without_id(), 0U);
  ASSERT_TRUE(session_->last_commit().has_value());
  EXPECT_EQ(session_->last_commit()->id, 77U);
}

TEST_F(GuardedCopyTest, ThatTheServerRefusesIsRolledBack) {
  EXPECT_EQ(ask(kCopy), begun());
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), failed('E'))), Lines{});
  EXPECT_EQ(said(), Lines{"own: ROLLBACK"});
  EXPECT_EQ(answer(done("ROLLBACK", 'I')), (Lines{"E 22012", "Z I"}));
  EXPECT_FALSE(session_->holds_client());
}

// The rest of it is ignored by the server; the proxy must neither keep nor hold it.
TEST_F(GuardedCopyTest, ThatFailsInTheMiddleOfItsDataIsRolledBack) {
  begin();
  (void)session_->to_server(data());
  EXPECT_EQ(answer(failed('E')), Lines{});
  EXPECT_EQ(said(), Lines{"own: ROLLBACK"});
  EXPECT_EQ(answer(done("ROLLBACK", 'I')), (Lines{"E 22012", "Z I"}));
  EXPECT_EQ(lines_of(session_->to_server(both(data(), end_of_data()))), (Lines{"d", "c"}));
  exchange("SELECT a FROM t", "SELECT 0", 'I');
  EXPECT_TRUE(relaying());
}

TEST_F(GuardedCopyTest, ThatTheClientBreaksOffIsRolledBack) {
  begin();
  ByteBuffer fail;
  wire::append_copy_fail(fail, "no more");
  EXPECT_EQ(lines_of(session_->to_server(fail)).size(), 1U);
  EXPECT_EQ(answer(failed('E')), Lines{});
  EXPECT_EQ(said(), Lines{"own: ROLLBACK"});
  EXPECT_EQ(answer(done("ROLLBACK", 'I')), (Lines{"E 22012", "Z I"}));
}

TEST_F(GuardedCopyTest, LostInTheMiddleOfItsDataIsBegunAgain) {
  begin();
  (void)session_->to_server(data());
  EXPECT_EQ(move(), (Lines{"own: BEGIN", "Q " + std::string(kCopy), "d"}));
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), ready_for_data())), Lines{});  // the client has heard that
  EXPECT_TRUE(relaying());
  EXPECT_FALSE(session_->holds_client());
  send_data();
  take_data();
  commit();
}

TEST_F(GuardedCopyTest, LostBeforeItsCommitIsSaidAgain) {
  begin();
  send_data();
  EXPECT_EQ(move(), (Lines{"own: BEGIN", "Q " + std::string(kCopy), "d", "c"}));
  EXPECT_EQ(answer(both(done("BEGIN", 'T'), ready_for_data())), Lines{});
  take_data();
  commit();
}

TEST_F(GuardedCopyTest, CommittedButCutOffIsAnswered) {
  begin();
  send_data();
  take_data();
  EXPECT_EQ(move(), Lines{fate_question()});
  EXPECT_EQ(answer(rows_of_answer({"committed", "one o'clock", "0/2000"})), (Lines{"C COPY 1", "Z I"}));
  EXPECT_TRUE(relaying());
  exchange("SELECT a FROM t", "SELECT 0", 'I');
}

TEST_F(GuardedCopyTest, AbortedIsSaidAgain) {
  begin();
  send_data();
  take_data();
  (void)move();
  (void)answer(rows_of_answer({"aborted", "one o'clock", "0/2000"}));
  EXPECT_EQ(said(), (Lines{"own: BEGIN", "Q " + std::string(kCopy), "d", "c"}));
}

TEST_F(GuardedCopyTest, LongerThanTheJournalIsGivenUp) {
  ContinuityLimits limits = guarded();
  limits.transaction_bytes = 64;
  use(limits);
  begin();
  for (int i = 0; i < 20; ++i) (void)session_->to_server(data());
  (void)move();
  EXPECT_EQ(lines_of(session_->take_for_client()), (Lines{"E 40001", "Z I"}));
  EXPECT_TRUE(relaying());
}

TEST_F(GuardedCopyTest, WhatComesBehindItsDataWaitsForItsCommit) {
  begin();
  ByteBuffer bytes = both(data(), end_of_data());
  wire::append_query(bytes, "SELECT a FROM t");
  EXPECT_EQ(lines_of(session_->to_server(bytes)), (Lines{"d", "c"}));
  take_data();
  commit();
  EXPECT_EQ(said(), Lines{"Q SELECT a FROM t"});
  EXPECT_EQ(answer(done("SELECT 0", 'I')), (Lines{"C SELECT 0", "Z I"}));
  EXPECT_FALSE(session_->holds_client());
}

TEST_F(GuardedCopyTest, WhatComesBehindOneThatFailedIsSentBehindItsRollback) {
  begin();
  ByteBuffer bytes = end_of_data();
  wire::append_query(bytes, "SELECT a FROM t");
  EXPECT_EQ(lines_of(session_->to_server(bytes)), Lines{"c"});
  EXPECT_EQ(answer(failed('E')), Lines{});
  EXPECT_EQ(said(), Lines{"own: ROLLBACK"});
  EXPECT_EQ(answer(done("ROLLBACK", 'I')), (Lines{"E 22012", "Z I"}));
  EXPECT_EQ(said(), Lines{"Q SELECT a FROM t"});
}

TEST_F(GuardedCopyTest, TheStreamMayBeCutAnywhere) {
  const ByteBuffer client = both(data(), both(data(), end_of_data()));
  for (std::size_t cut = 0; cut <= client.size(); ++cut) {
    use(guarded());
    begin();
    ByteBuffer sent;
    append_bytes(sent, session_->to_server(ByteView(client).first(cut)));
    append_bytes(sent, session_->to_server(ByteView(client).subspan(cut)));
    EXPECT_EQ(sent, client) << cut;
    take_data();
    commit();
  }
}

TEST_F(GuardedCopyTest, OthersAreNotPutIntoATransaction) {
  for (const char* sql : {"COPY t TO STDOUT", "COPY t FROM '/tmp/file'", "COPY (SELECT 1) TO STDOUT",
                          "COPY t FROM STDIN; SELECT 1"}) {
    use(guarded());
    EXPECT_EQ(ask(sql), Lines{"Q " + std::string(sql)});
  }
  use(guarded());
  exchange("BEGIN", "BEGIN", 'T');
  EXPECT_EQ(ask(kCopy).size(), 1U);
}

}  // namespace
}  // namespace understudy::proxy
