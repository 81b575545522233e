#include "replayer/footprint.h"

#include <gtest/gtest.h>

namespace understudy::replayer {
namespace {

constexpr std::uint64_t kOrders = 1, kItems = 2, kId = 11, kOther = 12;

Access rows(std::uint64_t table, std::int64_t key) { return {.table = table, .column = kId, .key = key}; }
Access all(std::uint64_t table) { return {.table = table}; }
Access added(std::uint64_t table) { return {.table = table, .column = 0, .key = 0, .adds = true}; }

Footprint writes(Access access) {
  Footprint footprint;
  footprint.catalog = footprint.takes_locks = true;
  footprint.writes = {access};
  return footprint;
}
Footprint reads(Access access) {
  Footprint footprint;
  footprint.catalog = true;
  footprint.reads = {access};
  return footprint;
}
Footprint commit(Access written) {
  Footprint footprint = writes(written);
  footprint.takes_locks = false;
  footprint.ends_transaction = true;
  return footprint;
}
Footprint anything() {
  Footprint footprint;
  footprint.anything = true;
  return footprint;
}

bool conflict(const Footprint& one, const Footprint& other) {
  EXPECT_EQ(in_conflict(one, other), in_conflict(other, one));
  return in_conflict(one, other);
}
bool lock_conflict(const Footprint& first, const Footprint& second) {
  return lock_in_conflict(first, second);
}

TEST(Footprint, WhatIsNotUnderstoodIsOrderedWithAllThatTouchesAnything) {
  EXPECT_TRUE(conflict(anything(), anything()));
  EXPECT_TRUE(conflict(anything(), writes(rows(kOrders, 1))));
  EXPECT_TRUE(conflict(anything(), reads(rows(kOrders, 1))));
  Footprint prepares;
  prepares.catalog = true;
  EXPECT_TRUE(conflict(anything(), prepares));
  Footprint opens;
  opens.login = true;
  EXPECT_TRUE(conflict(anything(), opens));
  EXPECT_FALSE(conflict(anything(), Footprint{}));
}

TEST(Footprint, ReadsAreNotOrderedWithReads) {
  EXPECT_FALSE(conflict(reads(all(kOrders)), reads(all(kOrders))));
}

TEST(Footprint, AReadIsOrderedWithTheEndOfTheTransactionThatWrote) {
  EXPECT_TRUE(conflict(reads(rows(kOrders, 1)), commit(rows(kOrders, 1))));
  EXPECT_TRUE(conflict(reads(all(kOrders)), commit(rows(kOrders, 1))));
  EXPECT_FALSE(conflict(reads(rows(kOrders, 2)), commit(rows(kOrders, 1))));
  EXPECT_FALSE(conflict(reads(rows(kItems, 1)), commit(rows(kOrders, 1))));
}

TEST(Footprint, AReadDoesNotSeeWhatIsNotCommitted) {
  EXPECT_FALSE(conflict(reads(all(kOrders)), writes(rows(kOrders, 1))));
}

TEST(Footprint, WritesOfTheSameRowsAreOrderedForTheirLocks) {
  EXPECT_TRUE(conflict(writes(rows(kOrders, 1)), writes(rows(kOrders, 1))));
  EXPECT_TRUE(conflict(writes(rows(kOrders, 1)), writes(all(kOrders))));
  EXPECT_FALSE(conflict(writes(rows(kOrders, 1)), writes(rows(kOrders, 2))));
  EXPECT_FALSE(conflict(writes(rows(kOrders, 1)), writes(rows(kItems, 1))));
}

TEST(Footprint, RowsFoundByDifferentColumnsMayBeTheSame) {
  const Access by_other{.table = kOrders, .column = kOther, .key = 2};
  EXPECT_TRUE(conflict(writes(rows(kOrders, 1)), writes(by_other)));
}

TEST(Footprint, AddedRowsAreOrderedForTheirSequencesButWaitForNoLock) {
  EXPECT_TRUE(conflict(writes(added(kOrders)), writes(added(kOrders))));
  EXPECT_FALSE(lock_conflict(writes(added(kOrders)), writes(added(kOrders))));
  // Who changes rows does not wait for one that is being added, unless it is for a key, or for the table; who
  // adds one may wait for a row that had its key.
  EXPECT_FALSE(lock_conflict(writes(added(kOrders)), writes(all(kOrders))));
  EXPECT_TRUE(lock_conflict(writes(all(kOrders)), writes(added(kOrders))));
  Access upsert = all(kOrders);
  upsert.meets_added = true;
  EXPECT_TRUE(lock_conflict(writes(added(kOrders)), writes(upsert)));
}

TEST(Footprint, OfRowsWithTheSameUniqueKeyOneWaitsForTheOther) {
  const auto with_keys = [](std::vector<std::uint64_t> keys) {
    Footprint footprint = writes(added(kOrders));
    footprint.unique_keys = std::move(keys);
    return footprint;
  };
  EXPECT_TRUE(lock_in_conflict(with_keys({1, 2}), with_keys({3, 2})));
  EXPECT_FALSE(lock_in_conflict(with_keys({1, 2}), with_keys({3})));
  Footprint pipeline;
  for (std::uint64_t key = 0; key < 10 * kMaxUniqueKeys; ++key) pipeline.merge(with_keys({key}));
  EXPECT_EQ(pipeline.unique_keys.size(), kMaxUniqueKeys);
  EXPECT_TRUE(same_key_in(pipeline, with_keys({0})));
}

TEST(Footprint, RowsAddedFreelyDoNotWaitForTheOutcomeOfOthers) {
  Access freely = added(kOrders);
  freely.freely = true;
  EXPECT_TRUE(conflict(writes(freely), writes(freely)));
  EXPECT_FALSE(conflict(writes(freely), commit(freely)));
  EXPECT_FALSE(conflict(commit(freely), commit(freely)));
  EXPECT_TRUE(
      conflict(writes(added(kOrders)), commit(added(kOrders))));  // unique: one may take the other's value
  EXPECT_TRUE(conflict(writes(all(kOrders)), commit(freely)));
  EXPECT_TRUE(conflict(reads(all(kOrders)), commit(freely)));
}

TEST(Footprint, ACommitWaitsForNobodysLock) {
  EXPECT_TRUE(lock_conflict(writes(rows(kOrders, 1)), writes(rows(kOrders, 1))));
  EXPECT_FALSE(lock_conflict(commit(rows(kOrders, 1)), writes(rows(kOrders, 1))));
  EXPECT_FALSE(lock_conflict(anything(), writes(rows(kOrders, 1))));
}

TEST(Footprint, SharedLocksWaitForExclusiveOnesOnly) {
  Access shared = rows(kOrders, 1);
  shared.shared = true;
  EXPECT_FALSE(lock_conflict(writes(shared), writes(shared)));
  EXPECT_TRUE(lock_conflict(writes(shared), writes(rows(kOrders, 1))));
}

TEST(Footprint, WhatIsNotAllUnderstoodHasLocksAllTheSame) {
  Footprint locked = writes(rows(kOrders, 1));
  locked.anything = true;
  EXPECT_TRUE(lock_conflict(locked, writes(rows(kOrders, 1))));
  EXPECT_TRUE(lock_conflict(locked, locked));
  EXPECT_FALSE(lock_conflict(locked, writes(rows(kOrders, 2))));
  EXPECT_FALSE(lock_conflict(locked, commit(rows(kOrders, 1))));
  EXPECT_TRUE(conflict(locked, writes(rows(kItems, 1))));
}

TEST(Footprint, ASessionOpensWhenThoseThatHadEndedHaveEnded) {
  Footprint opens, closes;
  opens.login = closes.closing = true;
  EXPECT_TRUE(conflict(opens, closes));
  EXPECT_FALSE(conflict(opens, opens));
  EXPECT_FALSE(conflict(closes, writes(rows(kOrders, 1))));
}

TEST(Footprint, MergingKeepsWhatEitherTouches) {
  Footprint both = reads(rows(kItems, 1));
  both.merge(commit(rows(kOrders, 1)));
  both.merge(commit(rows(kOrders, 1)));
  EXPECT_EQ(both.writes.size(), 1U);
  EXPECT_TRUE(both.ends_transaction);
  EXPECT_TRUE(conflict(both, reads(rows(kOrders, 1))));
  EXPECT_TRUE(conflict(both, commit(rows(kItems, 1))));
}

TEST(Footprint, WhatIsSeenOfATransactionThatEndsBesideIsWhatIsReadAndNotWhatIsWaitedFor) {
  EXPECT_TRUE(snapshot_in_conflict(reads(all(kOrders)), commit(rows(kOrders, 1))));
  EXPECT_FALSE(snapshot_in_conflict(reads(rows(kOrders, 2)), commit(rows(kOrders, 1))));
  EXPECT_TRUE(snapshot_in_conflict(anything(), commit(rows(kOrders, 1))));
  // Of one row, whoever waits goes on with what it has become; but it does not find another in its place, and
  // others may come to fulfil a condition.
  Access state = all(kOrders), note = all(kOrders);
  state.sets = 1;
  note.sets = 2;
  Access by_state = rows(kOrders, 1);
  by_state.where = 1;
  EXPECT_FALSE(snapshot_in_conflict(writes(by_state), commit(note)));
  EXPECT_TRUE(snapshot_in_conflict(writes(by_state), commit(state)));
  EXPECT_TRUE(snapshot_in_conflict(writes(by_state), commit(added(kOrders))));
  EXPECT_FALSE(snapshot_in_conflict(writes(by_state), commit(added(kItems))));
  // What is added sees nothing.
  EXPECT_FALSE(snapshot_in_conflict(writes(added(kOrders)), commit(all(kOrders))));
}

}  // namespace
}  // namespace understudy::replayer
