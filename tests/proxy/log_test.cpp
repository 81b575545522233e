// A line is one fact: what clients and servers say of themselves cannot look like another.
#include "proxy/log.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace understudy::proxy {
namespace {

std::string logged(LogLevel level, std::string value) {
  ::testing::internal::CaptureStderr();
  log_event(level, "event", {{"key", std::move(value)}});
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, ValuesCannotBeginALineOrAFieldOfTheirOwn) {
  set_log_level(LogLevel::kInfo);
  for (const std::string value : {"x\n2026-01-01T00:00:00.000Z info started", "x\ry", "x key2=y", "\"",
                                  "\\ \"", "x\x1b[2J", "x\x7fy", "", "a=b"}) {
    const std::string line = logged(LogLevel::kInfo, value);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    EXPECT_TRUE(line.ends_with("\"\n")) << line;
    EXPECT_NE(line.find(" key=\""), std::string::npos) << line;
    EXPECT_TRUE(std::none_of(line.begin(), line.end() - 1, [](char c) { return c >= 0 && c < ' '; })) << line;
  }
}

TEST(Log, PlainValuesAreNotQuoted) {
  set_log_level(LogLevel::kInfo);
  EXPECT_TRUE(logged(LogLevel::kInfo, "127.0.0.1:5432").ends_with("Z info event key=127.0.0.1:5432\n"));
}

TEST(Log, LevelHidesWhatIsLess) {
  set_log_level(LogLevel::kWarning);
  EXPECT_EQ(logged(LogLevel::kInfo, "x"), "");
  EXPECT_NE(logged(LogLevel::kWarning, "x"), "");
  set_log_level(LogLevel::kInfo);
}

}  // namespace
}  // namespace understudy::proxy
