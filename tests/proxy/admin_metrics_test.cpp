// Whether Prometheus could read it: every family announced once, every sample well-formed, the histogram
// cumulated.
#include "proxy/admin_metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace understudy::proxy {
namespace {

class AdminMetricsTest : public testing::Test {
 protected:
  AdminMetricsTest() {
    topology_.backends.resize(2);
    topology_.backends[0].address = {"db1", 5432};
    topology_.backends[0].up = true;
    topology_.backends[0].role = BackendRole::kPrimary;
    topology_.backends[0].timeline = 7;
    topology_.backends[1].address = {"db2", 5432};
    topology_.backends[1].role = BackendRole::kReplica;
    topology_.backends[1].lag_bytes = 4096;
    topology_.backends[1].lag = 1'500'000'000;
    topology_.primary = 0;
  }
  [[nodiscard]] std::string text() const {
    return metrics_text({.statistics = statistics_,
                         .topology = topology_,
                         .pools = {2, 5, 3, 4},
                         .latency = histogram_.counts(),
                         .tally = tally_,
                         .failovers = 2,
                         .restarts = 7,
                         .workers = 3,
                         .paused = true,
                         .draining = false,
                         .process = {.resident_bytes = 1,
                                     .virtual_bytes = 2,
                                     .cpu_seconds = 0.25,
                                     .started_at = 1764355000.5,
                                     .open_descriptors = 3,
                                     .descriptor_limit = 4}});
  }
  // The value of the line that begins with `series` and a blank.
  [[nodiscard]] std::string value(const std::string& series) const {
    std::istringstream lines(text());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(series + " ")) return line.substr(series.size() + 1);
    }
    return "missing";
  }

  Statistics statistics_;
  Topology topology_;
  LatencyHistogram histogram_;
  std::optional<SessionTally> tally_ = SessionTally{6, 8};
};

TEST_F(AdminMetricsTest, EveryLineIsWellFormedAndBelongsToTheFamilyAnnounced) {
  const std::regex help(R"(# HELP ([a-z_]+) [^\n]+\.)");
  const std::regex type(R"(# TYPE ([a-z_]+) (counter|gauge|histogram))");
  const std::regex sample(R"re(([a-z_]+)(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? [0-9]+(\.[0-9]+)?)re");
  std::set<std::string> families;
  std::string family;
  std::string kind;
  const std::string all = text();
  EXPECT_EQ(all.back(), '\n');
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (std::regex_match(line, found, help)) {
      family = found[1];
      EXPECT_TRUE(families.insert(family).second) << family << " is announced twice";
    } else if (std::regex_match(line, found, type)) {
      EXPECT_EQ(found[1], family);
      kind = found[2];
      EXPECT_EQ(family.ends_with("_total"), kind == "counter") << family;
    } else {
      ASSERT_TRUE(std::regex_match(line, found, sample)) << line;
      const std::string name = found[1];
      const std::string suffix = name.starts_with(family) ? name.substr(family.size()) : "?";
      EXPECT_TRUE(kind == "histogram" ? suffix == "_bucket" || suffix == "_sum" || suffix == "_count"
                                      : suffix.empty())
          << line;
    }
  }
  EXPECT_GT(families.size(), 40U);
}

TEST_F(AdminMetricsTest, EveryCounterHasItsOwnSeries) {
  // As many as the struct has: sessions_open is a gauge, the others are counters.
  constexpr std::size_t kNumbers = sizeof(Statistics) / sizeof(std::atomic<std::uint64_t>);
  auto* const numbers = reinterpret_cast<std::atomic<std::uint64_t>*>(&statistics_);
  for (std::size_t index = 0; index < kNumbers; ++index) numbers[index] = 770'000 + index;
  const std::string all = text();
  for (std::size_t index = 0; index < kNumbers; ++index) {
    EXPECT_NE(all.find(" " + std::to_string(770'000 + index) + "\n"), std::string::npos)
        << "number " << index;
  }
}

TEST_F(AdminMetricsTest, RestartsAreNoFailovers) {
  EXPECT_EQ(value("understudy_failovers_total"), "2");
  EXPECT_EQ(value("understudy_restarts_total"), "7");
}

TEST_F(AdminMetricsTest, BackendsAreLabelled) {
  EXPECT_EQ(value(R"(understudy_backend_up{backend="db1:5432"})"), "1");
  EXPECT_EQ(value(R"(understudy_backend_up{backend="db2:5432"})"), "0");
  EXPECT_EQ(value(R"(understudy_backend_role{backend="db1:5432",role="primary"})"), "1");
  EXPECT_EQ(value(R"(understudy_backend_role{backend="db1:5432",role="replica"})"), "0");
  EXPECT_EQ(value(R"(understudy_backend_role{backend="db2:5432",role="replica"})"), "1");
  EXPECT_EQ(value(R"(understudy_backend_primary{backend="db2:5432"})"), "0");
  EXPECT_EQ(value(R"(understudy_backend_timeline{backend="db1:5432"})"), "7");
  EXPECT_EQ(value(R"(understudy_backend_lag_bytes{backend="db2:5432"})"), "4096");
  EXPECT_EQ(value(R"(understudy_backend_lag_seconds{backend="db2:5432"})"), "1.5");
}

TEST_F(AdminMetricsTest, ALabelCannotEndItsQuotes) {
  topology_.backends[0].address = {"a\"b\\c\nd", 5432};
  EXPECT_EQ(value(R"(understudy_backend_up{backend="a\"b\\c\nd:5432"})"), "1");
}

TEST_F(AdminMetricsTest, WaitingClientsAreThoseOfPoolsAndThoseOfThePause) {
  EXPECT_EQ(value("understudy_clients_waiting"), "12");
  EXPECT_EQ(value("understudy_sessions_busy"), "6");
  EXPECT_EQ(value("understudy_paused"), "1");
}

TEST_F(AdminMetricsTest, AWorkerThatDoesNotAnswerLeavesAGapNotAZero) {
  tally_.reset();
  EXPECT_EQ(value("understudy_sessions_busy"), "missing");
  EXPECT_EQ(value("understudy_clients_waiting"), "4");
}

TEST_F(AdminMetricsTest, TheHistogramIsCumulatedAndItsBoundsAreInclusive) {
  histogram_.add(0);
  histogram_.add(100'000);
  histogram_.add(100'001);
  histogram_.add(2'000'000'000);
  histogram_.add(3'600'000'000'000);
  EXPECT_EQ(value(R"(understudy_request_seconds_bucket{le="0.0001"})"), "2");
  EXPECT_EQ(value(R"(understudy_request_seconds_bucket{le="0.00025"})"), "3");
  EXPECT_EQ(value(R"(understudy_request_seconds_bucket{le="1"})"), "3");
  EXPECT_EQ(value(R"(understudy_request_seconds_bucket{le="2.5"})"), "4");
  EXPECT_EQ(value(R"(understudy_request_seconds_bucket{le="60"})"), "4");
  EXPECT_EQ(value(R"(understudy_request_seconds_bucket{le="+Inf"})"), "5");
  EXPECT_EQ(value("understudy_request_seconds_count"), "5");
  EXPECT_EQ(value("understudy_request_seconds_sum"), "3602.000200001");
}

TEST_F(AdminMetricsTest, WorkersHistogramsAreAddedUp) {
  LatencyHistogram other;
  other.add(100'000);
  other.add(200'000);
  histogram_.add(100'000);
  LatencyCounts sum = histogram_.counts();
  sum.merge(other.counts());
  EXPECT_EQ(sum.buckets[0], 2U);
  EXPECT_EQ(sum.buckets[1], 1U);
  EXPECT_EQ(sum.sum, 400'000);
}

TEST_F(AdminMetricsTest, NumbersAreNeverInScientificNotation) {
  EXPECT_EQ(value("process_start_time_seconds"), "1764355000.5");
  EXPECT_EQ(value("process_cpu_seconds_total"), "0.25");
}

TEST(ProcessUsageTest, ThisProcessUsesSomething) {
  const ProcessUsage usage = process_usage();
  EXPECT_GT(usage.resident_bytes, 1'000'000U);
  EXPECT_GT(usage.virtual_bytes, usage.resident_bytes);
  EXPECT_GT(usage.open_descriptors, 2U);
  EXPECT_GE(usage.descriptor_limit, usage.open_descriptors);
  EXPECT_GT(usage.started_at, 1.7e9);
}

}  // namespace
}  // namespace understudy::proxy
