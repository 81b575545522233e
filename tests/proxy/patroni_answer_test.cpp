// What Patroni says, and what is not said by Patroni; one test a hazard.
#include "proxy/patroni_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// As version 3.0.2 answers; a member that is being made has no address yet.
constexpr const char* kCluster = R"({"members": [
 {"name": "n1", "role": "replica", "state": "running", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1",
  "port": 5432, "timeline": 3, "lag": 0},
 {"name": "n2", "role": "leader", "state": "running", "host": "db2.example", "port": 5433, "timeline": 4,
  "tags": {"nofailover": true}},
 {"name": "n3", "role": "sync_standby", "state": "starting", "host": "fd00::3", "lag": "unknown"},
 {"name": "n4", "role": "replica", "state": "creating replica"}], "pause": true})";

std::string wrong_of(std::string_view json) {
  std::string wrong;
  EXPECT_EQ(parse_patroni_cluster(json, wrong), std::nullopt) << json;
  return wrong;
}

TEST(PatroniAnswerTest, TellsMembersAndLeader) {
  std::string wrong;
  const auto cluster = parse_patroni_cluster(kCluster, wrong);
  ASSERT_TRUE(cluster) << wrong;
  EXPECT_THAT(cluster->members, ElementsAre(PatroniMember{"n1", {"10.0.0.1", 5432}, 3},
                                            PatroniMember{"n2", {"db2.example", 5433}, 4},
                                            PatroniMember{"n3", {"fd00::3", 5432}, 0}));
  EXPECT_EQ(cluster->leader, 1U);
}

TEST(PatroniAnswerTest, AStandbyClustersLeaderTakesNoWrites) {
  std::string wrong;
  const auto cluster = parse_patroni_cluster(
      R"({"members": [{"name": "a", "role": "standby_leader", "host": "h", "port": 1, "timeline": 2}]})",
      wrong);
  ASSERT_TRUE(cluster);
  EXPECT_EQ(cluster->leader, std::nullopt);
}

TEST(PatroniAnswerTest, EveryVersionsWordForTheLeaderIsKnown) {
  for (const char* const role : {"leader", "master", "primary"}) {
    std::string wrong;
    const auto cluster = parse_patroni_cluster(
        R"({"members": [{"name": "a", "host": "h", "port": 1, "role": ")" + std::string(role) + R"("}]})",
        wrong);
    ASSERT_TRUE(cluster);
    EXPECT_EQ(cluster->leader, 0U) << role;
  }
}

TEST(PatroniAnswerTest, WhatItCannotHaveSaidIsRefusedWithAReason) {
  EXPECT_THAT(wrong_of(""), testing::Not(IsEmpty()));
  EXPECT_THAT(wrong_of("<html>"), testing::Not(IsEmpty()));
  EXPECT_THAT(wrong_of("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(wrong_of("{}"), HasSubstr("members"));
  EXPECT_THAT(wrong_of(R"({"members": {"name": "a"}})"), HasSubstr("members"));
  EXPECT_THAT(wrong_of(R"({"members": [1]})"), HasSubstr("no object"));
  EXPECT_THAT(wrong_of(R"({"members": [null]})"), HasSubstr("no object"));
  EXPECT_THAT(wrong_of(R"({"members": [{"host": "h"}]})"), HasSubstr("no name"));
  EXPECT_THAT(wrong_of(R"({"members": [{"name": 7, "host": "h"}]})"), HasSubstr("no name"));
  for (const char* const port :
       {"0", "-1", "65536", "99999999999999999999", "1.5", "\"5432\"", "null", "{}"}) {
    EXPECT_THAT(wrong_of(R"({"members": [{"name": "a", "host": "h", "port": )" + std::string(port) + "}]}"),
                testing::Not(IsEmpty()))
        << port;
  }
  for (const char* const host : {"/tmp", "a b", "a\\nb", "h\\u0000"}) {
    EXPECT_THAT(wrong_of(R"({"members": [{"name": "a", "host": ")" + std::string(host) + R"("}]})"),
                testing::Not(IsEmpty()))
        << host;
  }
}

TEST(PatroniAnswerTest, TwoLeadersOrTwoOfOneAddressAreRefused) {
  EXPECT_THAT(wrong_of(R"({"members": [{"name": "a", "host": "h", "port": 1, "role": "leader"},
                                       {"name": "b", "host": "h", "port": 2, "role": "leader"}]})"),
              HasSubstr("two leaders"));
  EXPECT_THAT(wrong_of(R"({"members": [{"name": "a", "host": "h", "port": 1},
                                       {"name": "b", "host": "h", "port": 1}]})"),
              HasSubstr("one address"));
}

TEST(PatroniAnswerTest, EveryTruncationIsRefused) {
  const std::string_view whole(kCluster);
  for (std::size_t size = 0; size < whole.size(); ++size) wrong_of(whole.substr(0, size));
}

TEST(PatroniAnswerTest, DepthLengthAndNumberOfMembersAreBounded) {
  EXPECT_THAT(wrong_of(R"({"members": )" + std::string(100'000, '[')), testing::Not(IsEmpty()));
  EXPECT_THAT(wrong_of(std::string(kMostPatroniAnswerBytes + 1, ' ')), HasSubstr("too long"));
  std::string many;
  for (std::size_t i = 0; i <= kMostPatroniMembers; ++i) {
    many += (i == 0 ? "" : ",") + std::string(R"({"name": "a", "host": "h", "port": )") +
            std::to_string(i + 1) + "}";
  }
  EXPECT_THAT(wrong_of("{\"members\": [" + many + "]}"), HasSubstr("too many"));
}

TEST(PatroniAnswerTest, TheHistoryTellsWhereTimelinesEnded) {
  std::string wrong;
  const auto history = parse_patroni_history(
      R"([[1, 67108960, "no recovery target specified", "2026-11-28T20:00:00+00:00", "n2"], [2, 83886240, "x"]])",
      wrong);
  ASSERT_TRUE(history) << wrong;
  EXPECT_THAT(*history, ElementsAre(TimelineSwitch{1, Lsn{67108960}}, TimelineSwitch{2, Lsn{83886240}}));
  for (const char* const bad :
       {"{}", "[1]", "[[1]]", "[[\"1\", 2]]", "[[1, -2]]", "[[4294967296, 2]]", "[[1, 2"}) {
    EXPECT_EQ(parse_patroni_history(bad, wrong), std::nullopt) << bad;
  }
  EXPECT_THAT(parse_patroni_history("[]", wrong).value(), IsEmpty());
}

}  // namespace
}  // namespace understudy::proxy
