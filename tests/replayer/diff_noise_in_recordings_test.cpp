// What is no difference: how a stream was cut, how long it took, and the noise that every two runs have.
#include "replayer/diff.h"

#include <gmock/gmock.h>

#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using enum DifferenceClass;

namespace backend = wire::backend;

class DiffNothingTest : public DiffTest {};

TEST_F(DiffNothingTest, EqualRecordingsAreTheSame) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1", "2"}));
  both_exchange("SELECT 1 / 0", Server().error("22012").ready());
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.sessions, 1U);
  EXPECT_EQ(result.totals.exchanges, 2U);
  EXPECT_EQ(result.totals.rows, 2U);
  EXPECT_EQ(result.totals.exchanges_left_out, 0U);
  EXPECT_EQ(paired_by, SessionPairs::By::kBReplaysA);
}

TEST_F(DiffNothingTest, LatencyIsMeasuredAndNoDifference) {
  both_open();
  a.asks(Client().query("SELECT 1")).after(5 * kMillisecond).answers(Server().rows({"1"}));
  b.asks(Client().query("SELECT 1")).after(90 * kMillisecond).answers(Server().rows({"1"}));
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.all_latencies().total_a, 5 * kMillisecond);
  EXPECT_EQ(result.all_latencies().total_b, 90 * kMillisecond);
}

TEST_F(DiffNothingTest, HowAStreamWasCutMakesNoDifference) {
  both_open();
  const Server answer = Server().rows({"1", "2", "3"});
  both_ask(Client().query("SELECT 1"));
  a.answers(answer);
  for (const Byte& byte : ByteView(answer)) b.answers({&byte, 1});
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
}

TEST_F(DiffNothingTest, ReplicationSessionsArePassedOver) {
  a.session(1, {.replication = "database"}).asks(Client().query("IDENTIFY_SYSTEM")).leaves();
  b.session(1, replaying(a, 1, {.replication = "database"})).leaves();
  a.session(2).exchange("SELECT 1", Server().rows({"1"})).leaves();
  b.session(2, replaying(a, 2)).exchange("SELECT 1", Server().rows({"1"})).leaves();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(result.totals.sessions_replication, 1U);
  EXPECT_EQ(result.totals.sessions, 1U);
}

TEST_F(DiffNothingTest, AClientThatLeftBeforeItsLoginWasDoneToldNothing) {
  a.connection(1).leaves();  // it was asked for a password, and went to ask its user
  b.session(1, replaying(a, 1)).leaves();
  compare();
  EXPECT_TRUE(result.same());
}

TEST_F(DiffNothingTest, NotificationsMayComeAtOtherMoments) {
  both_open();
  a.answers(Server().notification("jobs", "1", 7));
  both_exchange("SELECT 1", Server().rows({"1"}));
  b.answers(Server().notification("jobs", "1", 8));
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
}

// --- noise

TEST_F(DiffNothingTest, NoiseOfALogin) {
  a.session(1, {.process_id = 1, .version = "15.18", .settings = {{"in_hot_standby", "off"}}}).leaves();
  b.session(1, replaying(a, 1, {.user = "test", .process_id = 2, .version = "16.3"})).leaves();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(noise(NoiseRule::kCancelKey), 1U);
  EXPECT_EQ(noise(NoiseRule::kServerVersion), 1U);
  EXPECT_EQ(noise(NoiseRule::kUnreportedSetting), 1U);
  EXPECT_EQ(noise(NoiseRule::kMappedName), 1U) << "session_authorization";
}

TEST_F(DiffNothingTest, NoiseOfCells) {
  a.session(1, {.process_id = 101, .version = "15.18"});
  b.session(1, replaying(a, 1, {.user = "test", .process_id = 202, .version = "16.3"}));
  asked("SELECT pg_backend_pid()", Server().rows({"101"}), Server().rows({"202"}));
  asked("SELECT current_user", Server().rows({"alice"}), Server().rows({"test"}));
  asked("SHOW server_version", Server().rows({"15.18"}), Server().rows({"16.3"}));
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(noise(NoiseRule::kProcessId), 1U);
  EXPECT_EQ(noise(NoiseRule::kMappedName), 2U);
  EXPECT_EQ(noise(NoiseRule::kServerVersion), 2U);
}

TEST_F(DiffNothingTest, NoiseOfColumns) {
  both_open();
  const auto described = [](std::uint32_t table, std::uint32_t type) {
    return Server()
        .fields({{.name = "a",
                  .table_oid = table,
                  .table_column = 1,
                  .type_oid = type,
                  .type_size = -1,
                  .type_modifier = -1}})
        .tag("SELECT 0")
        .ready();
  };
  asked("SELECT a FROM t", described(16'400, 16'500), described(16'401, 16'501));
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(noise(NoiseRule::kTableOid), 1U);
  EXPECT_EQ(noise(NoiseRule::kTypeOid), 1U);
}

TEST_F(DiffNothingTest, TextsOfErrorsAreSoft) {
  both_open();
  asked("SELECT 1 / 0", Server().error("22012", "division by zero").ready(),
        Server().error("22012", "Division durch Null").ready());
  both_leave();
  compare();
  EXPECT_TRUE(result.same());
  EXPECT_EQ(noise(NoiseRule::kErrorText), 1U);
}

// --- downstream

}  // namespace
}  // namespace understudy::replayer
