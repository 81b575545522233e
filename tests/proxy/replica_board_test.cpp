// Which replicas are read from: not those too far behind, on another timeline, or away.
#include "proxy/replica_board.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

class ReplicaBoardTest : public ::testing::Test {
 protected:
  ReplicaBoardTest() {
    topology_.backends.resize(3);
    topology_.backends[0].role = BackendRole::kPrimary;
    for (BackendState& backend : topology_.backends) {
      if (&backend != &topology_.backends[0]) backend.role = BackendRole::kReplica;
      backend.up = true;
      backend.timeline = 2;
      backend.lsn = Lsn{1000};
      backend.addresses.resize(1);
    }
    topology_.primary = 0;
    board_.begin(3, [this] { ++asked_; });
    set_limits(0, 0);
  }
  void set_limits(TimeNs time, std::uint64_t bytes) {
    LagLimits limits;
    limits.time = time;
    limits.bytes = bytes;
    board_.set_limits(limits);
  }
  bool is_read_from(std::size_t backend) {
    board_.publish(topology_);
    return board_.readable(backend);
  }

  Topology topology_;
  ReplicaBoard board_;
  int asked_ = 0;
};

TEST_F(ReplicaBoardTest, ReplicasAreAndThePrimaryIsNot) {
  EXPECT_FALSE(is_read_from(0));
  EXPECT_TRUE(is_read_from(1));
  EXPECT_TRUE(is_read_from(2));
}

TEST_F(ReplicaBoardTest, AReplicaTooManyBytesBehindIsNotUntilItHasCaughtUp) {
  set_limits(0, 100);
  topology_.backends[1].lag_bytes = 100;
  EXPECT_TRUE(is_read_from(1));
  topology_.backends[1].lag_bytes = 101;
  EXPECT_FALSE(is_read_from(1));
  EXPECT_TRUE(is_read_from(2));
  topology_.backends[1].lag_bytes = 0;
  EXPECT_TRUE(is_read_from(1));
}

TEST_F(ReplicaBoardTest, AReplicaTooLongBehindIsNot) {
  set_limits(kSecond, 0);
  topology_.backends[1].lag = kSecond;
  topology_.backends[1].lag_bytes = 1U << 30;
  EXPECT_TRUE(is_read_from(1)) << "bytes have no limit";
  topology_.backends[1].lag = kSecond + 1;
  EXPECT_FALSE(is_read_from(1));
}

TEST_F(ReplicaBoardTest, AReplicaThatIsAwayOrOnAnotherTimelineIsNotAndItsPositionIsForgotten) {
  EXPECT_TRUE(is_read_from(1));
  EXPECT_EQ(board_.position(1), Lsn{1000});
  topology_.backends[1].timeline = 1;
  EXPECT_FALSE(is_read_from(1));
  EXPECT_EQ(board_.position(1), Lsn{0});
  topology_.backends[2].up = false;
  EXPECT_FALSE(is_read_from(2));
  EXPECT_EQ(board_.choose(), std::nullopt);
}

TEST_F(ReplicaBoardTest, OfThoseFarEnoughTheOneWithTheFewestSessionsIsChosen) {
  board_.publish(topology_);
  board_.enter(1);
  EXPECT_EQ(board_.choose(), 2U);
  board_.enter(2);
  board_.enter(2);
  EXPECT_EQ(board_.choose(), 1U);
  board_.replayed(2, Lsn{2000});
  EXPECT_EQ(board_.choose(Lsn{1001}), 2U);
  EXPECT_EQ(board_.choose(Lsn{2001}), std::nullopt);
  board_.leave(2);
  board_.leave(2);
  EXPECT_EQ(board_.choose(), 2U);
}

TEST_F(ReplicaBoardTest, PositionsThatManyWantAreAskedForOnce) {
  board_.want_positions();
  board_.want_positions();
  EXPECT_EQ(asked_, 1);
  board_.asking();
  board_.want_positions();
  EXPECT_EQ(asked_, 2);
}

}  // namespace
}  // namespace understudy::proxy
