// Who has to wait after wrong passwords, for how long, and who does not; one test a hazard.
#include "proxy/login_guard.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

class LoginGuardTest : public testing::Test {
 protected:
  LoginGuardTest() { guard_.set({.allowed = 10, .window = 60 * kSecond, .longest = 10 * kSecond}); }
  void fail(int times, std::string_view peer = "192.0.2.7:1234", std::string_view user = "ada") {
    for (int i = 0; i < times; ++i) (void)guard_.failed(peer, user, now_);
  }
  // -1: turned away.
  TimeNs wait(std::string_view peer = "192.0.2.7:999", std::string_view user = "ada") {
    return guard_.admit(peer, user, now_).value_or(-1);
  }

  LoginGuard guard_;
  TimeNs now_ = 1000 * kSecond;
};

TEST_F(LoginGuardTest, AFewFailuresCostNothing) {
  fail(10);
  EXPECT_EQ(wait(), 0);
  EXPECT_EQ(wait(), 0);
}

TEST(LoginGuard, TheDistanceDoublesUpToItsBound) {
  const std::pair<int, TimeNs> kExpected[] = {{11, kSecond},     {12, 2 * kSecond},  {13, 4 * kSecond},
                                              {14, 8 * kSecond}, {15, 10 * kSecond}, {1000, 10 * kSecond}};
  for (const auto& [failures, distance] : kExpected) {
    LoginGuard guard;
    for (int i = 0; i < failures; ++i) (void)guard.failed("192.0.2.7:1", "ada", kSecond);
    EXPECT_EQ(guard.admit("192.0.2.7:2", "ada", kSecond), distance) << failures;
  }
}

TEST_F(LoginGuardTest, WhoComesAtOnceStandsInLineAndTheLineIsBounded) {
  fail(20);
  EXPECT_EQ(wait(), 10 * kSecond);
  EXPECT_EQ(wait(), 20 * kSecond);
  EXPECT_EQ(wait(), -1);
  now_ += 10 * kSecond;
  EXPECT_GT(wait(), 10 * kSecond);
}

TEST_F(LoginGuardTest, OtherAddressesAndOtherUsersOfTheAddressDoNotNotice) {
  fail(20);
  EXPECT_EQ(wait("192.0.2.8:1", "ada"), 0);
  EXPECT_EQ(wait("192.0.2.7:1", "bob"), 0);
  EXPECT_EQ(wait("unix:", "ada"), 0);
}

TEST_F(LoginGuardTest, ManyUsersOfOneAddressAreSlowedDownAltogether) {
  for (int i = 0; i < 60; ++i) fail(1, "192.0.2.7:1", "user" + std::to_string(i));
  EXPECT_GT(wait("192.0.2.7:1", "somebody"), 0);
  EXPECT_EQ(wait("192.0.2.8:1", "somebody"), 0);
}

TEST_F(LoginGuardTest, AnIpv6NetworkIsOneAddress) {
  fail(20, "[2001:db8::1]:5");
  EXPECT_GT(wait("[2001:db8::ffff:2]:5"), 0);
  EXPECT_EQ(wait("[2001:db8:0:1::1]:5"), 0);
}

TEST_F(LoginGuardTest, TimeForgives) {
  fail(20);
  now_ += 61 * kSecond;
  EXPECT_EQ(wait(), 0);
}

TEST_F(LoginGuardTest, ItIsSaidOnceAWindow) {
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(guard_.failed("192.0.2.7:1", "ada", now_));
  EXPECT_TRUE(guard_.failed("192.0.2.7:2", "ada", now_));
  for (int i = 0; i < 30; ++i) EXPECT_FALSE(guard_.failed("192.0.2.7:3", "ada", now_));
  now_ += 60 * kSecond;
  EXPECT_TRUE(guard_.failed("192.0.2.7:1", "ada", now_));
}

TEST_F(LoginGuardTest, OfAnAddressThatTriesManyUsersOneWordIsEnough) {
  int said = 0;
  for (int i = 0; i < 1000; ++i) said += guard_.failed("192.0.2.7:1", std::to_string(i), now_) ? 1 : 0;
  EXPECT_EQ(said, 1);
}

TEST_F(LoginGuardTest, TheTableIsBoundedAndTheMostRecentStay) {
  fail(20);
  for (std::size_t i = 0; i < 2 * LoginGuard::kMostEntries; ++i) {
    fail(1, "10.0.0.1:1", "user" + std::to_string(i));
    if (i % 1000 == 0) fail(1);
  }
  EXPECT_EQ(guard_.size(), LoginGuard::kMostEntries);
  EXPECT_GT(wait(), 0);
}

TEST_F(LoginGuardTest, WhoCannotWaitIsToldHowLong) {
  fail(20);
  EXPECT_EQ(guard_.admit_now("192.0.2.7:1", "ada", now_), 0);
  EXPECT_EQ(guard_.admit_now("192.0.2.7:1", "ada", now_), 10 * kSecond);
  now_ += 10 * kSecond;
  EXPECT_EQ(guard_.admit_now("192.0.2.7:1", "ada", now_), 0);
}

TEST_F(LoginGuardTest, WithoutALimitNobodyWaits) {
  guard_.set({.allowed = 0});
  fail(1000);
  EXPECT_EQ(wait(), 0);
  EXPECT_EQ(guard_.size(), 0U);
}

}  // namespace
}  // namespace understudy::proxy
