// Mode replica: which reads that the replica broke off are put to it again, and what is said of those it took
// along.
#include "tests/proxy/continuity_fixture.h"

namespace understudy::proxy {
namespace {

class ConflictTest : public ContinuityTest {
 protected:
  ConflictTest() {
    ContinuityLimits limits;
    limits.replicas_only = true;
    use(limits);
  }
  static ByteBuffer broken_off(std::string_view sqlstate = "40001", char status = 'I') {
    ByteBuffer bytes = error(sqlstate);
    wire::append_ready_for_query(bytes, static_cast<wire::TransactionStatus>(status));
    return bytes;
  }
  // What the client sees of that, and what the server is asked then.
  std::pair<Lines, Lines> told_and_asked(const ByteBuffer& bytes) {
    Lines told = answer(bytes);
    session_->ask_here_again();
    return {told, said()};
  }
};

const Lines kNothing;
const Lines kRefused = {"E 40001", "Z I"};

TEST_F(ConflictTest, AReadIsAskedAgain) {
  for (const std::string_view sqlstate : {"40001", "40P01"}) {
    (void)ask("SELECT a FROM t");
    EXPECT_EQ(told_and_asked(broken_off(sqlstate)), std::pair(kNothing, Lines{"Q SELECT a FROM t"}));
    EXPECT_FALSE(session_->holds_client());
    EXPECT_EQ(answer(both(row("7"), done("SELECT 1", 'I'))), (Lines{"D 7", "C SELECT 1", "Z I"}));
    EXPECT_TRUE(session_->quiet());
  }
}

TEST_F(ConflictTest, TheClientIsNotReadUntilTheServerIsReady) {
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(told_and_asked(error("40001")), std::pair(kNothing, kNothing));
  EXPECT_TRUE(session_->holds_client());
  ByteBuffer ready;
  wire::append_ready_for_query(ready, wire::TransactionStatus::kIdle);
  EXPECT_EQ(told_and_asked(ready), std::pair(kNothing, Lines{"Q SELECT a FROM t"}));
}

TEST_F(ConflictTest, NotForEver) {
  (void)ask("SELECT a FROM t");
  unsigned times = 0;
  for (Lines told; told.empty() && times < 100; ++times) told = told_and_asked(broken_off()).first;
  EXPECT_EQ(times, 6U);
  EXPECT_TRUE(session_->quiet());
}

TEST_F(ConflictTest, TheDescriptionOfItsRowsIsShownOnce) {
  ByteBuffer described;
  wire::append_empty_message(described, 'n');  // for one that has no rows
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(told_and_asked(both(described, broken_off())), std::pair(Lines{"n"}, Lines{"Q SELECT a FROM t"}));
  EXPECT_EQ(answer(both(described, both(row("7"), done("SELECT 1", 'I')))),
            (Lines{"D 7", "C SELECT 1", "Z I"}));
}

TEST_F(ConflictTest, OnceThereAreRowsItIsTheClients) {
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(told_and_asked(both(row("7"), broken_off())),
            std::pair(Lines({"D 7", "E 40001", "Z I"}), kNothing));
}

TEST_F(ConflictTest, InATransactionItIsTheClients) {
  exchange("BEGIN", "BEGIN", 'T');
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(told_and_asked(broken_off("40001", 'E')), std::pair(Lines({"E 40001", "Z E"}), kNothing));
}

TEST_F(ConflictTest, WhatMayHaveEffectsIsTheClients) {
  (void)ask("SELECT mine(a) FROM t");
  EXPECT_EQ(told_and_asked(broken_off()), std::pair(kRefused, kNothing));
}

TEST_F(ConflictTest, OtherErrorsAreTheClients) {
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(told_and_asked(failed('I')), std::pair(Lines({"E 22012", "Z I"}), kNothing));
}

TEST_F(ConflictTest, AtAPrimaryItIsTheClients) {
  use({});
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(told_and_asked(broken_off()), std::pair(kRefused, kNothing));
}

TEST_F(ConflictTest, LostInTheMiddleOfItAnotherIsAsked) {
  (void)ask("SELECT a FROM t");
  EXPECT_EQ(told_and_asked(error("40001")), std::pair(kNothing, kNothing));
  EXPECT_EQ(move(), Lines{"Q SELECT a FROM t"});
  EXPECT_EQ(answer(done("SELECT 0", 'I')), (Lines{"C SELECT 0", "Z I"}));
}

// ---- Of unknown outcome

// The detail of the error that the client is told.
std::string detail_of(const ByteBuffer& told) {
  const std::size_t size = std::size_t{load_be32(told.data() + 1)} + 1;
  const auto error = wire::ErrorResponse::decode(ByteView(told).subspan(5, size - 5));
  return error ? std::string(error->field('D')) : "";
}

TEST_F(ConflictTest, AtAReplicaNobodyIsAdvisedToGuardCommits) {
  (void)ask("SELECT mine(a) FROM t");
  (void)move();
  const std::string detail = detail_of(session_->take_for_client());
  EXPECT_NE(detail.find("A replica writes nothing"), std::string::npos) << detail;
  EXPECT_EQ(detail.find("commit_guard"), std::string::npos) << detail;
}

}  // namespace
}  // namespace understudy::proxy
