// The recording options of commands other than the proxy (replay records too).
#include "recorder/recorder_options.h"

#include <gtest/gtest.h>

#include <cxxopts.hpp>

namespace understudy::recorder {
namespace {

RecorderOptions parse(std::vector<const char*> arguments) {
  cxxopts::Options command("test");
  add_recorder_options(command);
  arguments.insert(arguments.begin(), "test");
  RecorderOptions options;
  apply_recorder_options(command.parse(static_cast<int>(arguments.size()), arguments.data()), options);
  return options;
}

TEST(RecorderOptionsTest, NothingGivenLeavesTheDefaults) {
  const RecorderOptions options = parse({});
  EXPECT_TRUE(options.directory.empty());
  EXPECT_EQ(options.queue_bytes, std::size_t{128} << 20);
  EXPECT_EQ(options.fsync, FsyncPolicy::kSegment);
}

TEST(RecorderOptionsTest, WhatStandsForAValueSaysWhatItIs) {
  EXPECT_EQ(placeholder("directory, none"), "DIR");
  EXPECT_EQ(placeholder("addresses, 127.0.0.1:5432"), "HOST:PORT");
  EXPECT_EQ(placeholder("duration, 1h"), "DURATION");
  EXPECT_EQ(placeholder("SQL"), "SQL");
}

TEST(RecorderOptionsTest, EveryOptionIsTakenOver) {
  const RecorderOptions options =
      parse({"--record", "a,b", "--record-segment-size=8MiB", "--record-segment-age=5min",
             "--record-buffer=16MiB", "--record-fsync=never", "--record-level=3"});
  EXPECT_EQ(options.directory, "a,b");
  EXPECT_EQ(options.segment_bytes, std::uint64_t{8} << 20);
  EXPECT_EQ(options.segment_age, 300 * kSecond);
  EXPECT_EQ(options.queue_bytes, std::size_t{16} << 20);
  EXPECT_EQ(options.fsync, FsyncPolicy::kNever);
  EXPECT_EQ(options.level, 3);
}

TEST(RecorderOptionsTest, BadValueNamesTheOption) {
  try {
    (void)parse({"--record-buffer=tiny"});
    ADD_FAILURE() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string(error.what()).rfind("--record-buffer tiny: ", 0), 0U) << error.what();
  }
}

}  // namespace
}  // namespace understudy::recorder
