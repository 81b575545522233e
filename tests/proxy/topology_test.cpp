// Positions as text, and who is told when the topology changes.
#include "proxy/topology.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

TEST(Lsn, IsReadAndWrittenAsPostgresqlDoes) {
  EXPECT_EQ(parse_lsn("16/B374D848"), Lsn{0x16B374D848});
  EXPECT_EQ(parse_lsn("0/0"), Lsn{0});
  EXPECT_EQ(parse_lsn("ffffffff/FFFFFFFF"), Lsn{~std::uint64_t{0}});
  EXPECT_EQ(parse_lsn("1/00000ABC"), Lsn{0x100000ABC});
  EXPECT_EQ(to_string(Lsn{0x16B374D848}), "16/B374D848");
  EXPECT_EQ(to_string(Lsn{0x100000ABC}), "1/ABC");
  EXPECT_EQ(to_string(Lsn{~std::uint64_t{0}}), "FFFFFFFF/FFFFFFFF");
}

TEST(Lsn, WhatIsNoneIsRefused) {
  for (const char* text : {"", "/", "1/", "/1", "1", "1/2/3", "G/1", "1/ 2", "-1/2", "1/123456789",
                           "123456789/1", "0x1/2", "1/2 "}) {
    EXPECT_FALSE(parse_lsn(text)) << text;
  }
}

class CurrentTopologyTest : public testing::Test {
 protected:
  CurrentTopologyTest() {
    current_.subscribe([this] { ++told_; });
    topology_.backends.resize(2);
    topology_.backends[0].address = {"a", 5432};
    topology_.backends[1].address = {"b", 5432};
    for (BackendState& backend : topology_.backends) backend.up = true;
    current_.set(topology_);
    told_ = 0;
  }
  // Publishes; the generation that came of it.
  std::uint64_t set() {
    current_.set(topology_);
    return current_.get()->generation;
  }
  CurrentTopology current_;
  Topology topology_;
  int told_ = 0;
};

TEST_F(CurrentTopologyTest, PositionsThatMoveAreSeenButNobodyIsTold) {
  topology_.backends[0].lsn = Lsn{100};
  topology_.backends[1].lag_bytes = 7;
  topology_.backends[1].lag = 8;
  EXPECT_EQ(set(), 0U);
  EXPECT_EQ(told_, 0);
  EXPECT_EQ(current_.get()->backends[0].lsn, Lsn{100});
  EXPECT_EQ(current_.get()->backends[1].lag_bytes, 7U);
}

TEST_F(CurrentTopologyTest, WhateverElseChangesIsTold) {
  BackendState& backend = topology_.backends[1];
  int expected = 0;
  const auto told = [&] {
    set();
    return told_ == ++expected;
  };
  backend.up = false;
  EXPECT_TRUE(told());
  backend.error = "refused";
  EXPECT_TRUE(told());
  backend.role = BackendRole::kReplica;
  EXPECT_TRUE(told());
  backend.fenced = true;
  EXPECT_TRUE(told());
  backend.timeline = 3;
  EXPECT_TRUE(told());
  backend.history = {{1, Lsn{5}}};
  EXPECT_TRUE(told());
  backend.addresses = resolve({"127.0.0.1", 5432}, false);
  EXPECT_TRUE(told());
  backend.addresses = resolve({"127.0.0.1", 5433}, false);
  EXPECT_TRUE(told());
  topology_.primary = 0;
  EXPECT_TRUE(told());
  set();
  EXPECT_EQ(told_, expected);
}

TEST_F(CurrentTopologyTest, AGenerationIsAPrimaryOnATimeline) {
  topology_.generation = 77;  // counted by set() alone
  EXPECT_EQ(set(), 0U);
  topology_.primary = 0;
  topology_.backends[0].timeline = 1;
  EXPECT_EQ(set(), 1U);
  topology_.backends[0].lsn = Lsn{100};
  topology_.backends[1].timeline = 1;
  EXPECT_EQ(set(), 1U);
  topology_.backends[0].timeline = 2;
  EXPECT_EQ(set(), 2U);
  topology_.primary.reset();
  EXPECT_EQ(set(), 3U);
  topology_.primary = 1;
  EXPECT_EQ(set(), 4U);
}

TEST_F(CurrentTopologyTest, ASnapshotHeldDoesNotChange) {
  const TopologySnapshot held = current_.get();
  topology_.primary = 1;
  set();
  EXPECT_FALSE(held->primary);
  EXPECT_EQ(current_.get()->primary, 1U);
}

TEST(Topology, DescribesWhatTheProxySees) {
  Topology topology;
  topology.backends.resize(4);
  for (std::size_t i = 0; i < 4; ++i) {
    topology.backends[i].address = {"10.0.0." + std::to_string(i), 5432};
    topology.backends[i].up = i >= 2;
    topology.backends[i].timeline = 2;
  }
  topology.backends[1].error = "Connection refused";
  topology.backends[2].role = BackendRole::kReplica;
  topology.backends[2].lag_bytes = 16;
  topology.backends[3].role = BackendRole::kPrimary;
  topology.backends[3].fenced = true;
  EXPECT_EQ(topology.describe(),
            "10.0.0.0:5432 not heard of yet; 10.0.0.1:5432 down (Connection refused); "
            "10.0.0.2:5432 replica on timeline 2, 16 bytes behind; "
            "10.0.0.3:5432 fenced, says it is primary on timeline 2");
}

}  // namespace
}  // namespace understudy::proxy
