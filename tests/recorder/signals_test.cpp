// Signals must be taken one at a time, by the thread that waits, and none may be missed.
#include "recorder/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

namespace understudy::recorder {
namespace {

TEST(SignalsTest, SignalsAreReturnedInsteadOfKilling) {
  const Signals signals;
  for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGUSR1}) {
    ASSERT_EQ(::kill(::getpid(), signal), 0);
    EXPECT_EQ(signals.wait(), signal);
  }
}

TEST(SignalsTest, NotificationBeforeTheWaitIsNotMissed) {
  const Signals signals;
  signals.notify();
  EXPECT_EQ(signals.wait(), Signals::kNotified);
}

TEST(SignalsTest, NotificationOfAnotherThreadEndsTheWait) {
  const Signals signals;
  std::thread other([&] { signals.notify(); });
  EXPECT_EQ(signals.wait(), Signals::kNotified);
  other.join();
}

TEST(SignalsTest, SignalIsNotLostBehindANotification) {
  const Signals signals;
  signals.notify();
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  EXPECT_EQ(signals.wait(), SIGTERM);
  EXPECT_EQ(signals.wait(), Signals::kNotified);
}

}  // namespace
}  // namespace understudy::recorder
