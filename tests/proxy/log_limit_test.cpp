// Is the log bounded whatever clients do, and is what it leaves out told?
#include "proxy/log_limit.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace understudy::proxy {
namespace {

constexpr TimeNs kOne = 1'000'000'000;
using Withheld = std::vector<std::pair<std::string, std::uint64_t>>;

TEST(LogLimit, SoManyLinesOfAKindASecondAndTheRestIsCounted) {
  LogLimit limit(3);
  for (int line = 0; line < 3; ++line) EXPECT_TRUE(limit.takes("a", kOne + line));
  for (int line = 0; line < 5; ++line) EXPECT_FALSE(limit.takes("a", 2 * kOne - 1));
  EXPECT_TRUE(limit.takes("b", 2 * kOne - 1)) << "another kind has its own";
  EXPECT_EQ(limit.withheld(2 * kOne - 1), Withheld{}) << "more may come";
  EXPECT_EQ(limit.withheld(2 * kOne), (Withheld{{"a", 5}}));
  EXPECT_EQ(limit.withheld(2 * kOne), Withheld{}) << "told once";
  EXPECT_TRUE(limit.takes("a", 2 * kOne));
}

TEST(LogLimit, WhatTheNextSecondFindsUntoldIsNotForgotten) {
  LogLimit limit(1);
  EXPECT_TRUE(limit.takes("a", 0));
  EXPECT_FALSE(limit.takes("a", 1));
  EXPECT_TRUE(limit.takes("a", kOne));
  EXPECT_FALSE(limit.takes("a", kOne + 1));
  EXPECT_EQ(limit.withheld(LogLimit::kTheEnd), (Withheld{{"a", 2}})) << "at the end all of it";
}

TEST(LogLimit, EveryLineIsLoggedOrCounted) {
  set_log_level(LogLevel::kInfo);
  ::testing::internal::CaptureStderr();
  for (int line = 0; line < 1000; ++line) log_limited(LogLevel::kWarning, "flood", {}, kOne);
  log_withheld(2 * kOne);
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11) << text;
  EXPECT_NE(text.find(" warning lines_withheld event=flood lines=990 reason="), std::string::npos) << text;
}

TEST(LogLimit, WhatTheLevelHidesIsNotCounted) {
  set_log_level(LogLevel::kError);
  for (int line = 0; line < 100; ++line) log_limited(LogLevel::kWarning, "hidden", {}, kOne);
  set_log_level(LogLevel::kInfo);
  ::testing::internal::CaptureStderr();
  log_withheld(LogLimit::kTheEnd);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace understudy::proxy
