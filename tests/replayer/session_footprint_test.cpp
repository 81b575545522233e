#include "replayer/session_footprint.h"

#include <gtest/gtest.h>

#include "tests/replayer/support.h"

namespace understudy::replayer {
namespace {

using test::bind;
using test::execute;
using test::parse;
using test::query;
using test::sync;

TargetTables shop() {
  TargetTables tables;
  TableFacts item;
  item.integer_columns = {"id"};
  item.unique_columns = {"id", "shelf", "place"};
  item.columns = {"id", "n", "shelf", "place"};
  item.unique = {{"id"}, {"place", "shelf"}};
  tables.add("item", item);
  tables.add("log", TableFacts());
  return tables;
}

Checkpoint answered(char status = 'I') {
  Checkpoint checkpoint;
  checkpoint.logged_in = checkpoint.quiescent = true;
  checkpoint.transaction_status = status;
  return checkpoint;
}

class SessionFootprintTest : public testing::Test {
 protected:
  Footprint sent(const std::string& bytes) { return session_.sent(as_bytes(bytes)); }
  // What is sent and answered before the next.
  Footprint exchange(const std::string& bytes, char status = 'I') {
    const Footprint footprint = sent(bytes);
    session_.answered(answered(status));
    return footprint;
  }
  static std::vector<std::int64_t> keys(const std::vector<Access>& accesses) {
    std::vector<std::int64_t> found;
    for (const Access& access : accesses) found.push_back(access.column == 0 ? -1 : access.key);
    return found;
  }
  using Keys = std::vector<std::int64_t>;

  StatementFootprints statements_{shop()};
  SessionFootprint session_{&statements_, test::descriptor(test::kA, 0)};
};

TEST_F(SessionFootprintTest, AStatementOutsideATransactionIsOne) {
  const Footprint update = exchange(query("UPDATE item SET n = 1 WHERE id = 5"));
  EXPECT_FALSE(update.anything);
  EXPECT_TRUE(update.ends_transaction);
  EXPECT_TRUE(update.takes_locks);
  EXPECT_EQ(keys(update.writes), Keys{5});
}

TEST_F(SessionFootprintTest, ACommitIsOfAllThatItsTransactionWrote) {
  EXPECT_TRUE(exchange(query("BEGIN"), 'T').writes.empty());
  EXPECT_FALSE(exchange(query("UPDATE item SET n = 1 WHERE id = 5"), 'T').ends_transaction);
  EXPECT_FALSE(exchange(query("UPDATE item SET n = 1 WHERE id = 6"), 'T').ends_transaction);
  const Footprint commit = exchange(query("COMMIT"));
  EXPECT_TRUE(commit.ends_transaction);
  EXPECT_FALSE(commit.takes_locks);
  EXPECT_EQ(keys(commit.writes), (Keys{5, 6}));
  EXPECT_TRUE(exchange(query("COMMIT")).writes.empty());  // of nothing
}

TEST_F(SessionFootprintTest, ATransactionThatMayHaveTouchedAnythingEndsSo) {
  exchange(query("BEGIN"), 'T');
  EXPECT_TRUE(exchange(query("SELECT nextval('s')"), 'T').anything);
  EXPECT_FALSE(exchange(query("SELECT n FROM item"), 'T').anything);
  EXPECT_TRUE(exchange(query("ROLLBACK TO a"), 'T').anything);
  EXPECT_TRUE(exchange(query("COMMIT")).anything);
  EXPECT_FALSE(exchange(query("SELECT n FROM item")).anything);
}

TEST_F(SessionFootprintTest, PreparedStatementsAreKnownByNameAndByTheirParameters) {
  exchange(parse("s", "UPDATE item SET n = $1 WHERE id = $2") + sync());
  const std::string text = bind("", "s", {{"1"}, {"17"}}) + execute("") + sync();
  EXPECT_EQ(keys(exchange(text).writes), Keys{17});
  const std::string binary =
      bind("", "s", {{"1"}, {std::string("\0\0\0\x12", 4), true}}) + execute("") + sync();
  EXPECT_EQ(keys(exchange(binary).writes), Keys{18});
  const std::string negative = bind("", "s", {{"1"}, {std::string(8, '\xFF'), true}}) + execute("") + sync();
  EXPECT_EQ(keys(exchange(negative).writes), Keys{-1});
  const std::string odd = bind("", "s", {{"1"}, {"17.0"}}) + execute("") + sync();
  EXPECT_EQ(keys(exchange(odd).writes), Keys{-1});  // all rows
  const std::string null = bind("", "s", {{"1"}, {"", false, true}}) + execute("") + sync();
  EXPECT_EQ(exchange(null).writes.front().column, 0U);
}

TEST_F(SessionFootprintTest, AnUnknownStatementOrPortalMayTouchAnything) {
  EXPECT_TRUE(exchange(bind("", "prepared before the recording") + execute("") + sync()).anything);
  EXPECT_TRUE(exchange(execute("a cursor made by SQL") + sync()).anything);
}

TEST_F(SessionFootprintTest, APipelineIsATransactionUpToItsSync) {
  const Footprint begun = sent(parse("", "UPDATE item SET n = 1 WHERE id = 5") + bind("", "") + execute(""));
  EXPECT_EQ(keys(begun.writes), Keys{5});
  const Footprint end = sent(sync());
  EXPECT_TRUE(end.ends_transaction);
  EXPECT_FALSE(end.takes_locks);
  EXPECT_EQ(keys(end.writes), Keys{5});
}

TEST_F(SessionFootprintTest, ABeginInsideAPipelineHoldsBeyondItsSync) {
  const Footprint first =
      sent(parse("", "BEGIN") + bind("", "") + execute("") + parse("", "UPDATE item SET n = 1 WHERE id = 5") +
           bind("", "") + execute("") + sync());
  EXPECT_FALSE(first.ends_transaction);
  session_.answered(answered('T'));
  EXPECT_EQ(keys(exchange(query("COMMIT")).writes), Keys{5});
}

TEST_F(SessionFootprintTest, AMessageThatSpansPiecesMayTouchAnything) {
  const std::string whole = query("SELECT n FROM item WHERE id = 5");
  EXPECT_TRUE(sent(whole.substr(0, 9)).anything);
  EXPECT_TRUE(sent(whole.substr(9)).anything);
  session_.answered(answered());
  EXPECT_FALSE(exchange(whole).anything);
}

TEST_F(SessionFootprintTest, WhatIsNotUnderstoodEndsATransactionOutsideOfOneOrIfItSaysSo) {
  EXPECT_TRUE(exchange(query("SELECT charge(5)")).ends_transaction);
  EXPECT_FALSE(exchange(query("BEGIN"), 'T').ends_transaction);
  EXPECT_FALSE(exchange(query("SELECT charge(5)"), 'T').ends_transaction);
  EXPECT_TRUE(exchange(query("SELECT charge(5); COMMIT")).ends_transaction);
}

TEST_F(SessionFootprintTest, CopyAndFunctionCallsMayTouchAnything) {
  EXPECT_TRUE(exchange(test::copy_data("1\n")).anything);
  EXPECT_TRUE(exchange(test::function_call(957)).anything);
}

TEST_F(SessionFootprintTest, RowsSelectedForUpdateAreLockedThoughMoreMayBeTouched) {
  const Footprint locked = exchange(query("SELECT n FROM item WHERE id = 5 FOR UPDATE"));
  EXPECT_TRUE(locked.anything);
  EXPECT_TRUE(locked.takes_locks);
  EXPECT_EQ(keys(locked.writes), Keys{5});
  EXPECT_FALSE(exchange(query("SELECT my_function(5)")).takes_locks);
}

TEST_F(SessionFootprintTest, RowsThatAreAddedHaveTheirUniqueKeys) {
  const auto keys_of = [this](const std::string& bytes) { return exchange(bytes).unique_keys; };
  const auto one = keys_of(query("INSERT INTO item (n, id) VALUES (1, 5)"));
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(keys_of(query("INSERT INTO item VALUES (5)")), one);
  EXPECT_EQ(keys_of(query("INSERT INTO item (id) VALUES ('5'::int) RETURNING id")), one);
  EXPECT_NE(keys_of(query("INSERT INTO item (id) VALUES (6)")), one);
  exchange(parse("s", "INSERT INTO item (id) VALUES ($1)") + sync());
  EXPECT_EQ(keys_of(bind("", "s", {{"5"}}) + execute("") + sync()), one);
  EXPECT_TRUE(keys_of(bind("", "s", {{.bytes = {}, .null = true}}) + execute("") + sync()).empty());
  // Of several columns, all; of several rows, each; what a default or a query gives is not known.
  const auto place = keys_of(query("INSERT INTO item (shelf, place) VALUES (1, 'a')"));
  ASSERT_EQ(place.size(), 1U);
  EXPECT_NE(keys_of(query("INSERT INTO item (shelf, place) VALUES (2, 'a')")), place);
  EXPECT_EQ(keys_of(query("INSERT INTO item VALUES (5, 1, 2, 'b'), (7, 1, 1, 'a')")).size(), 4U);
  EXPECT_TRUE(keys_of(query("INSERT INTO item (shelf, id) VALUES (1, DEFAULT)")).empty());
  EXPECT_TRUE(keys_of(query("INSERT INTO item (id) SELECT 5")).empty());
  EXPECT_TRUE(keys_of(query("INSERT INTO log VALUES (5)")).empty());
}

TEST_F(SessionFootprintTest, AnotherIsolationLevelMakesAllThatFollowsOpaque) {
  exchange(query("BEGIN ISOLATION LEVEL SERIALIZABLE"), 'T');
  exchange(query("COMMIT"));
  EXPECT_TRUE(exchange(query("SELECT n FROM item")).anything);
  SessionDescriptor set_at_startup = test::descriptor(test::kA, 0);
  set_at_startup.startup_parameters.emplace_back("options", "-c default_transaction_isolation=serializable");
  SessionFootprint session(&statements_, set_at_startup);
  EXPECT_TRUE(session.sent(as_bytes(query("SELECT 1"))).anything);
}

TEST_F(SessionFootprintTest, LeavingLetsGoOfWhatTheTransactionHolds) {
  EXPECT_FALSE(session_.leaving().anything);
  exchange(query("BEGIN"), 'T');
  exchange(query("DELETE FROM log"), 'T');
  EXPECT_EQ(keys(session_.leaving().writes), Keys{-1});
  EXPECT_EQ(keys(sent(test::terminate()).writes), Keys{-1});
  exchange(query("COMMIT"));
  exchange(query("SELECT pg_advisory_lock(1)"));
  EXPECT_TRUE(session_.leaving().anything);  // what it holds is not known
}

TEST_F(SessionFootprintTest, ATransactionOfManyRowsIsTakenForAnything) {
  exchange(query("BEGIN"), 'T');
  for (int id = 0; id < 1000; ++id) {
    exchange(query("UPDATE item SET n = 1 WHERE id = " + std::to_string(id)), 'T');
  }
  EXPECT_TRUE(exchange(query("COMMIT")).anything);
}

TEST_F(SessionFootprintTest, BytesThatAreNoMessagesAreTaken) {
  for (int seed = 0; seed < 1000; ++seed) {
    SessionFootprint session(&statements_, test::descriptor(test::kA, 0));
    std::string bytes = parse("s", "SELECT 1") + bind("p", "s", {{"x"}}) + execute("p") + sync();
    bytes[static_cast<std::size_t>(seed * 7919) % bytes.size()] ^= static_cast<char>(1 + seed % 255);
    (void)session.sent(as_bytes(bytes));
    (void)session.sent(as_bytes(bytes));
  }
}

}  // namespace
}  // namespace understudy::replayer
