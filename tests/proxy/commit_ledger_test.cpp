#include "proxy/commit_ledger.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

TransactionMark mark(std::uint64_t id, std::uint64_t lsn) {
  TransactionMark mark;
  mark.id = id;
  mark.lsn = lsn;
  return mark;
}

class CommitLedgerTest : public ::testing::Test {
 protected:
  CommitLedgerTest() { (void)ledger_.primary_is(1, {}); }
  // The primary is asked for its position, and answers.
  void stands_at(std::uint64_t lsn) { ledger_.stood_at(ledger_.turn_page(), 1, Lsn{lsn}); }
  CommitLedger::Account left_at(std::uint64_t lsn) { return ledger_.primary_is(2, {{1, Lsn{lsn}}}); }

  CommitLedger ledger_;
};

TEST_F(CommitLedgerTest, NothingWasToldAndNothingIsMissed) {
  const CommitLedger::Account account = left_at(0x1000);
  EXPECT_EQ(account.timeline, 1U);
  EXPECT_EQ(account.lost + account.unclear, 0U);
  EXPECT_TRUE(account.ids.empty());
}

TEST_F(CommitLedgerTest, WhatIsBeforeAPositionThatArrivedHasArrived) {
  EXPECT_TRUE(ledger_.add(1));
  EXPECT_TRUE(ledger_.add(mark(77, 0x800), 1));
  stands_at(0x1000);
  const CommitLedger::Account account = left_at(0x1000);
  EXPECT_EQ(account.lost + account.unclear, 0U);
  EXPECT_TRUE(account.ids.empty());
}

TEST_F(CommitLedgerTest, WhatHasNoIdAndIsBeforeAPositionThatDidNotArriveIsUnclear) {
  EXPECT_TRUE(ledger_.add(1));
  stands_at(0x1000);
  EXPECT_TRUE(ledger_.add(1));
  EXPECT_TRUE(ledger_.add(1));
  stands_at(0x1002);
  EXPECT_EQ(left_at(0x1001).unclear, 2U);
}

TEST_F(CommitLedgerTest, WhatNoPositionWasAskedBehindIsUnclear) {
  const CommitLedger::Page asked = ledger_.turn_page();
  EXPECT_TRUE(ledger_.add(1));  // between the question and its answer
  ledger_.stood_at(asked, 1, Lsn{0x800});
  EXPECT_EQ(left_at(0x1000).unclear, 1U);
}

TEST_F(CommitLedgerTest, AnIdBeyondWhatArrivedIsLostAndOneBeforeIsAskedFor) {
  EXPECT_TRUE(ledger_.add(mark(77, 0xfff), 1));
  EXPECT_TRUE(ledger_.add(mark(78, 0x1001), 1));
  const CommitLedger::Account account = left_at(0x1000);
  EXPECT_EQ(account.lost, 1U);
  EXPECT_EQ(account.unclear, 0U);
  EXPECT_EQ(account.ids, std::vector<std::uint64_t>{77});
}

TEST_F(CommitLedgerTest, WithoutAHistoryAllIsUnclear) {
  EXPECT_TRUE(ledger_.add(1));
  EXPECT_TRUE(ledger_.add(mark(77, 0x800), 1));
  stands_at(0x1000);
  const CommitLedger::Account account = ledger_.primary_is(2, {});
  EXPECT_FALSE(account.left_at.has_value());
  EXPECT_EQ(account.unclear, 2U);
  EXPECT_TRUE(account.ids.empty());
}

TEST_F(CommitLedgerTest, ARestartOnTheSameTimelineSettlesNothing) {
  EXPECT_TRUE(ledger_.add(1));
  EXPECT_EQ(ledger_.primary_is(1, {}).timeline, 0U);
  EXPECT_EQ(left_at(0x1000).unclear, 1U);
}

TEST_F(CommitLedgerTest, WhatIsToldTooLateIsNotTaken) {
  (void)left_at(0x1000);
  EXPECT_FALSE(ledger_.add(1));
  EXPECT_FALSE(ledger_.add(mark(77, 0x800), 1));
  EXPECT_TRUE(ledger_.add(2));
  EXPECT_EQ(ledger_.primary_is(3, {{1, Lsn{0x1000}}, {2, Lsn{0x2000}}}).unclear, 1U);
}

TEST_F(CommitLedgerTest, APositionOfAnotherTimelineProvesNothing) {
  EXPECT_TRUE(ledger_.add(1));
  ledger_.stood_at(ledger_.turn_page(), 2, Lsn{0x800});
  EXPECT_EQ(left_at(0x1000).unclear, 1U);
}

// What is put together has the later position: too careful, never too sure.
TEST_F(CommitLedgerTest, OldPagesArePutTogetherAndNoneIsForgotten) {
  for (std::size_t page = 0; page < 3 * CommitLedger::kMostPages; ++page) {
    EXPECT_TRUE(ledger_.add(1));
    EXPECT_TRUE(ledger_.add(mark(page, 2 * page), 1));
    stands_at(2 * page + 1);
  }
  const CommitLedger::Account account = left_at(0);
  EXPECT_EQ(account.unclear + account.lost + account.ids.size(), 6 * CommitLedger::kMostPages);
  EXPECT_GE(account.lost, CommitLedger::kMostPages - 1);
}

TEST_F(CommitLedgerTest, OfTooManyIdsTheNumberIsKept) {
  for (std::size_t id = 0; id <= CommitLedger::kMostIds; ++id) EXPECT_TRUE(ledger_.add(mark(id, 1), 1));
  const CommitLedger::Account account = left_at(0x1000);
  EXPECT_TRUE(account.ids.empty());
  EXPECT_EQ(account.unclear, CommitLedger::kMostIds + 1);
}

TEST(CommitLedgerAnswerTest, IsReadOrRefused) {
  const auto missing = CommitLedger::read({"3", "1"});
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(missing->lost, 3U);
  EXPECT_EQ(missing->unclear, 1U);
  EXPECT_FALSE(CommitLedger::read({}).has_value());
  EXPECT_FALSE(CommitLedger::read({"3", std::nullopt}).has_value());
  EXPECT_FALSE(CommitLedger::read({"3", "x"}).has_value());
}

}  // namespace
}  // namespace understudy::proxy
