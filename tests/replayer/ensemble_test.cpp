#include "replayer/ensemble.h"

#include <gtest/gtest.h>

#include <thread>

namespace understudy::replayer {
namespace {

class EnsembleTest : public testing::Test {
 protected:
  explicit EnsembleTest(unsigned parts = 3) : ensemble_(parts), woken_(parts) {
    for (unsigned part = 0; part < parts; ++part) ensemble_.join(part, [this, part] { ++woken_[part]; });
  }
  Ensemble ensemble_;
  std::vector<int> woken_;
};

TEST_F(EnsembleTest, AloneNobodyIsWaitedFor) {
  Ensemble alone(1);
  EXPECT_TRUE(alone.may_open(0, 100));
  EXPECT_FALSE(alone.asked());
}

TEST_F(EnsembleTest, AnOpeningWaitsUntilTheLastOfTheOthersHasComeAsFar) {
  EXPECT_FALSE(ensemble_.may_open(0, 100));
  EXPECT_TRUE(ensemble_.asked());
  EXPECT_EQ(woken_, (std::vector{0, 1, 1}));  // to say how far they are
  ensemble_.reached(1, 500);
  ensemble_.reached(2, 99);
  EXPECT_EQ(woken_[0], 0);
  EXPECT_FALSE(ensemble_.may_open(0, 100));
  ensemble_.reached(2, 100);
  EXPECT_EQ(woken_[0], 1);
  EXPECT_FALSE(ensemble_.asked());
  EXPECT_TRUE(ensemble_.may_open(0, 100));
}

TEST_F(EnsembleTest, WhoAsksAgainDoesNotWakeTheOthersAgain) {
  EXPECT_FALSE(ensemble_.may_open(0, 100));
  EXPECT_FALSE(ensemble_.may_open(0, 100));
  EXPECT_EQ(woken_, (std::vector{0, 1, 1}));
}

TEST_F(EnsembleTest, OfTwoThatWaitTheEarlierMayGo) {
  EXPECT_FALSE(ensemble_.may_open(0, 200));
  EXPECT_FALSE(ensemble_.may_open(1, 100));
  ensemble_.reached(0, 200);
  ensemble_.reached(1, 100);
  ensemble_.reached(2, INT64_MAX);  // it has played all it had
  EXPECT_TRUE(ensemble_.may_open(1, 100));
  EXPECT_FALSE(ensemble_.may_open(0, 200));
  ensemble_.reached(1, 201);
  EXPECT_TRUE(ensemble_.may_open(0, 200));
}

TEST_F(EnsembleTest, NobodyGoesBack) {
  ensemble_.reached(1, 300);
  ensemble_.reached(1, 100);
  ensemble_.reached(2, 300);
  EXPECT_TRUE(ensemble_.may_open(0, 300));
}

TEST_F(EnsembleTest, TheLastProgressIsAnybodys) {
  ensemble_.progressed(1, 70);
  ensemble_.progressed(2, 50);
  EXPECT_EQ(ensemble_.last_progress(), 70);
}

TEST_F(EnsembleTest, ProcessesOfAllPartsAreKnownWhileTheyLive) {
  ensemble_.add_process(11);
  ensemble_.add_process(12);
  ensemble_.remove_process(11);
  EXPECT_EQ(ensemble_.processes(), (std::unordered_set<std::uint32_t>{12}));
}

// Each part opens sessions whenever it may, on a thread of its own: all come to their ends, in step.
TEST_F(EnsembleTest, PartsOnThreadsAllComeToTheirEnds) {
  constexpr TimeNs kOpenings = 2000;
  std::atomic<TimeNs> at[3] = {0, 0, 0};
  std::atomic<bool> in_step{true};
  Ensemble ensemble(3);
  for (unsigned part = 0; part < 3; ++part) ensemble.join(part, [] {});
  std::vector<std::thread> threads;
  for (unsigned part = 0; part < 3; ++part) {
    threads.emplace_back([&, part] {
      for (TimeNs mine = part; mine < kOpenings; mine += 3) {
        ensemble.reached(part, mine);
        while (!ensemble.may_open(part, mine)) std::this_thread::yield();
        for (const auto& other : at) in_step = in_step && mine - other.load() <= 3;
        at[part].store(mine);
      }
      at[part].store(INT64_MAX / 2);
      ensemble.reached(part, INT64_MAX);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(in_step);
}

TEST_F(EnsembleTest, ATargetIsMissedFromTheFirstLoginThatDidNotReachIt) {
  EXPECT_EQ(ensemble_.missed(100), 0);
  EXPECT_EQ(ensemble_.missed(130), 30);
  ensemble_.refused();  // by the target itself
  EXPECT_EQ(ensemble_.missed(150), 0);
  EXPECT_EQ(ensemble_.missed(151), 1);
}

TEST_F(EnsembleTest, NoTargetIsMissedWhileAnySessionIsLoggedIn) {
  EXPECT_EQ(ensemble_.missed(100), 0);
  ensemble_.logged_in();
  ensemble_.logged_in();
  EXPECT_EQ(ensemble_.missed(200), 0);
  ensemble_.left();
  EXPECT_EQ(ensemble_.missed(300), 0);
  ensemble_.left();
  EXPECT_EQ(ensemble_.missed(400), 0);  // counted from here
  EXPECT_EQ(ensemble_.missed(450), 50);
}

}  // namespace
}  // namespace understudy::replayer
