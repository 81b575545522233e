// One thread, and no wake-up lost: turns, posted work, timers, and the dead that events may still name.
#include "proxy/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "proxy/clock.h"

namespace understudy::proxy {
namespace {

class Counter final : public Runnable {
 public:
  explicit Counter(std::function<void()> each, bool* buried = nullptr)
      : each_(std::move(each)), buried_(buried) {}
  ~Counter() override {
    if (buried_ != nullptr) *buried_ = true;
  }
  void run(std::uint32_t client_events, std::uint32_t server_events) override {
    client_events_ |= client_events;
    server_events_ |= server_events;
    ++turns_;
    each_();
  }
  int turns_ = 0;
  std::uint32_t client_events_ = 0;
  std::uint32_t server_events_ = 0;

 private:
  std::function<void()> each_;
  bool* buried_;
};

class EventLoopTest : public ::testing::Test {
 protected:
  EventLoopTest() { EXPECT_EQ(::pipe(pipe_), 0); }
  ~EventLoopTest() override {
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  void write_one() const { EXPECT_EQ(::write(pipe_[1], "x", 1), 1); }

  EventLoop loop_;
  int pipe_[2] = {-1, -1};
};

TEST_F(EventLoopTest, TasksPostedBeforeItRunsAreRunInOrder) {
  std::string order;
  loop_.post([&] { order += 'a'; });
  loop_.post([&] { order += 'b'; });
  loop_.post([&] { loop_.stop(); });
  loop_.run();
  EXPECT_EQ(order, "ab");
}

TEST_F(EventLoopTest, AnotherThreadsPostWakesIt) {
  std::thread::id ran_on;
  std::thread other([&] {
    loop_.post([&] {
      ran_on = std::this_thread::get_id();
      loop_.stop();
    });
  });
  loop_.run();
  other.join();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(EventLoopTest, ReadinessIsToldToItsSlotUntilUnwatched) {
  Counter counter([&] {
    if (counter.turns_ == 3) loop_.unwatch(pipe_[0]);
    if (counter.turns_ == 3) loop_.call_at(now_ns() + 1'000'000, [&] { loop_.stop(); });
  });
  loop_.watch(pipe_[0], EPOLLIN, counter, Runnable::Slot::kServer);
  write_one();
  loop_.run();  // never read: level-triggered, so told again and again
  EXPECT_EQ(counter.turns_, 3);
  EXPECT_EQ(counter.client_events_, 0U);
  EXPECT_NE(counter.server_events_ & EPOLLIN, 0U);
}

TEST_F(EventLoopTest, SomethingMadeRunnableTwiceHasOneTurn) {
  Counter counter([&] { loop_.stop(); });
  loop_.make_runnable(counter);
  loop_.make_runnable(counter);
  loop_.run();
  EXPECT_EQ(counter.turns_, 1);
}

TEST_F(EventLoopTest, TurnsGivenByATurnNeedNoEvent) {
  Counter counter([&] { counter.turns_ < 5 ? loop_.make_runnable(counter) : loop_.stop(); });
  loop_.make_runnable(counter);
  loop_.run();
  EXPECT_EQ(counter.turns_, 5);
}

TEST_F(EventLoopTest, TimersRingInTheirOrderAndCancelledOnesDoNot) {
  std::string order;
  const TimeNs now = now_ns();
  loop_.call_at(now + 3'000'000, [&] { order += 'c'; });
  loop_.call_at(now + 1'000'000, [&] { order += 'a'; });
  const auto cancelled = loop_.call_at(now + 2'000'000, [&] { order += 'b'; });
  loop_.call_at(now + 4'000'000, [&] { loop_.stop(); });
  loop_.cancel(cancelled);
  loop_.run();
  EXPECT_EQ(order, "ac");
}

TEST_F(EventLoopTest, TimerOfThePastAndTimersSetByTimersRing) {
  int rung = 0;
  loop_.call_at(1, [&] {
    ++rung;
    loop_.call_at(now_ns(), [&] {
      ++rung;
      loop_.stop();
    });
  });
  loop_.run();
  EXPECT_EQ(rung, 2);
}

TEST_F(EventLoopTest, TheBuriedLiveUntilTheRoundIsOver) {
  bool buried = false;
  bool alive_in_the_same_round = false;
  auto owned = std::make_unique<Counter>([] {}, &buried);
  Counter& dying = *owned;
  Counter killer([&] {
    loop_.make_runnable(dying);  // an event of this round that names it
    loop_.bury(std::move(owned));
    loop_.defer([&] { alive_in_the_same_round = !buried; });
    loop_.post([&] { loop_.stop(); });
  });
  loop_.make_runnable(killer);
  loop_.run();
  EXPECT_TRUE(alive_in_the_same_round);
  EXPECT_TRUE(buried);
}

}  // namespace
}  // namespace understudy::proxy
