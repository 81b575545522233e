// What backends answer to the health check's queries, and what servers that are odd might.
#include "proxy/health_query.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

const QueryRow kPrimary{"f",         "0000001A00000002000000FF", "2/FF000028", "2/FF000000", std::nullopt,
                        std::nullopt};
const QueryRow kReplica{"t", std::nullopt, "2/FF000028", std::nullopt, "26", "1500000"};

QueryRow with(QueryRow row, std::size_t column, std::optional<std::string> value) {
  row[column] = std::move(value);
  return row;
}

TEST(ParseState, APrimaryIsOnTheTimelineOfItsWal) {
  const auto result = parse_state(kPrimary);
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->in_recovery);
  EXPECT_EQ(result->timeline, 26U);
  EXPECT_EQ(result->lsn, Lsn{0x2FF000028});
  EXPECT_EQ(result->flushed, Lsn{0x2FF000000});
  EXPECT_FALSE(result->history);
  EXPECT_EQ(result->lag, TimeNs{0});
}

TEST(ParseState, AReplicaSaysHowFarItIs) {
  const auto result = parse_state(kReplica);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->in_recovery);
  EXPECT_EQ(result->timeline, 26U);
  EXPECT_EQ(result->lsn, Lsn{0x2FF000028});
  EXPECT_EQ(result->lag, TimeNs{1'500'000'000});
}

TEST(ParseState, AReplicaMayHaveReplayedNothing) {
  const auto result = parse_state(with(with(kReplica, 2, std::nullopt), 5, std::nullopt));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->lsn, Lsn{0});
  EXPECT_EQ(result->lag, TimeNs{0});
}

TEST(ParseState, ClocksThatDisagreeMakeNoNegativeLagAndNoOverflow) {
  EXPECT_EQ(parse_state(with(kReplica, 5, "-250000"))->lag, TimeNs{0});
  EXPECT_GT(parse_state(with(kReplica, 5, "9223372036854775807"))->lag, TimeNs{0});
}

TEST(ParseState, WhatMakesNoSenseIsRefused) {
  EXPECT_FALSE(parse_state({}));
  EXPECT_FALSE(parse_state({"f"}));
  EXPECT_FALSE(parse_state(with(kPrimary, 0, std::nullopt)));
  EXPECT_FALSE(parse_state(with(kPrimary, 0, "true")));
  EXPECT_FALSE(parse_state(with(kPrimary, 1, std::nullopt)));
  EXPECT_FALSE(parse_state(with(kPrimary, 1, "0000001A")));
  EXPECT_FALSE(parse_state(with(kPrimary, 1, "0000000000000002000000FF")));
  EXPECT_FALSE(parse_state(with(kPrimary, 1, "0x00001A00000002000000FF")));
  EXPECT_FALSE(parse_state(with(kPrimary, 2, "2")));
  EXPECT_FALSE(parse_state(with(kPrimary, 3, "")));
  EXPECT_FALSE(parse_state(with(kReplica, 4, std::nullopt)));
  EXPECT_FALSE(parse_state(with(kReplica, 4, "0")));
  EXPECT_FALSE(parse_state(with(kReplica, 4, "4294967296")));
  EXPECT_FALSE(parse_state(with(kReplica, 5, "1.5")));
}

TEST(ParseHistory, IsReadAsTheServerWritesIt) {
  EXPECT_EQ(history_query(26), "SELECT pg_read_file('pg_wal/0000001A.history', 0, 524288, true)");
  const std::vector<TimelineSwitch> expected{{1, Lsn{0x3000148}}, {2, Lsn{0x16B374D848}}};
  EXPECT_EQ(
      parse_history("1\t0/3000148\tno recovery target specified\n\n2\t16/B374D848\tbefore 2026-01-01\n"),
      expected);
}

TEST(ParseHistory, CommentsAndOddLinesArePassedOver) {
  const std::vector<TimelineSwitch> expected{{1, Lsn{0x10}}, {3, Lsn{0x30}}};
  EXPECT_EQ(parse_history("# 9\t0/90\n  1  0/10\r\n2\tnowhere\n2\n\t\nx\t0/20\n3\t0/30"), expected);
  EXPECT_TRUE(parse_history("").empty());
  EXPECT_TRUE(parse_history("\n\n").empty());
}

}  // namespace
}  // namespace understudy::proxy
