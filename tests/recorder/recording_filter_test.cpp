// Whom a recording takes: a filter that takes too many leaks, one that takes too few is found out too late.
#include "recorder/recording_filter.h"

#include <gtest/gtest.h>

namespace understudy::recorder {
namespace {

SessionDescriptor session(const std::string& user, const std::string& peer = "192.0.2.7:49152",
                          const std::string& application = "") {
  SessionDescriptor descriptor;
  descriptor.startup_parameters = {{"user", user}, {"application_name", application}};
  descriptor.peer = peer;
  return descriptor;
}

bool takes(RecordingFilter filter, const SessionDescriptor& one) {
  EXPECT_EQ(filter.prepare(), "");
  return filter.takes(one);
}

TEST(RecordingFilterTest, WithoutConditionsEverybodyIsTaken) { EXPECT_TRUE(takes({}, session("ada"))); }

TEST(RecordingFilterTest, EveryConditionMustFitByOneOfItsValues) {
  const RecordingFilter filter{.users = {"ada", "bob"},
                               .databases = {"ada"}};  // a database is the user's by default
  EXPECT_TRUE(takes(filter, session("ada")));
  EXPECT_FALSE(takes(filter, session("bob")));
  EXPECT_FALSE(takes(filter, session("eve")));
  EXPECT_TRUE(takes({.applications = {"shop"}}, session("ada", "unix:", "shop")));
  EXPECT_FALSE(takes({.applications = {"shop"}}, session("ada", "unix:", "Shop")));
}

TEST(RecordingFilterTest, ClientsAreNetworksOfEitherFamilyOrUnixSockets) {
  EXPECT_TRUE(takes({.clients = {"192.0.2.0/24"}}, session("ada")));
  EXPECT_FALSE(takes({.clients = {"192.0.3.0/24"}}, session("ada")));
  EXPECT_TRUE(takes({.clients = {"10.0.0.0/8", "::1"}}, session("ada", "[::1]:5000")));
  EXPECT_FALSE(takes({.clients = {"0.0.0.0/0"}}, session("ada", "unix:")));
  EXPECT_TRUE(takes({.clients = {"unix"}}, session("ada", "unix:")));
  EXPECT_FALSE(takes({.clients = {"unix"}}, session("ada")));
}

TEST(RecordingFilterTest, WhatMakesNoSenseIsRefused) {
  EXPECT_NE(RecordingFilter{.clients = {"10.0.0.0/33"}}.prepare(), "");
  EXPECT_NE(RecordingFilter{.clients = {"shop.example"}}.prepare(), "");
  EXPECT_NE(RecordingFilter{.sample_percent = 0}.prepare(), "");
  EXPECT_NE(RecordingFilter{.sample_percent = 100.1}.prepare(), "");
}

TEST(RecordingFilterTest, ASampleIsAsLargeAsItSaysAndLiesWithinLargerOnes) {
  constexpr int kSessions = 20'000;
  int small = 0;
  int large = 0;
  for (int n = 0; n < kSessions; ++n) {
    const SessionDescriptor one = session("ada", "192.0.2.7:" + std::to_string(10'000 + n));
    const bool in_small = takes({.sample_percent = 5}, one);
    const bool in_large = takes({.sample_percent = 50}, one);
    small += in_small ? 1 : 0;
    large += in_large ? 1 : 0;
    EXPECT_TRUE(in_large || !in_small);
  }
  EXPECT_NEAR(small, kSessions / 20, kSessions / 100);
  EXPECT_NEAR(large, kSessions / 2, kSessions / 50);
}

// Another version, another proxy, a program of somebody else's must find the same: it is in the README.
TEST(RecordingFilterTest, ThePointOfASessionNeverChanges) {
  const double point = sample_point(session("ada"));
  SessionDescriptor elsewhere = session("ada");
  elsewhere.id = {3, 77};
  elsewhere.backend = "another";
  elsewhere.client_tls = true;
  EXPECT_EQ(sample_point(elsewhere), point);
  EXPECT_NE(sample_point(session("bob")), point);
  EXPECT_GE(point, 0);
  EXPECT_LT(point, 1);
}

TEST(RecordingFilterTest, ClientsOfUnixSocketsAreToldApart) {
  SessionDescriptor one = session("ada", "unix:");
  SessionDescriptor other = one;
  other.id.number = 2;
  EXPECT_NE(sample_point(one), sample_point(other));
}

TEST(RecordingFilterTest, ItIsToldInWords) {
  EXPECT_EQ(RecordingFilter{}.describe(), "");
  EXPECT_EQ((RecordingFilter{.users = {"ada", "bob"}, .clients = {"::1"}, .sample_percent = 12.5}.describe()),
            "user ada, bob; client ::1; sample 12.5 %");
}

}  // namespace
}  // namespace understudy::recorder
