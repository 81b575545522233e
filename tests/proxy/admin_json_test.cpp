// What /api/v1 says is JSON whatever clients call themselves; and which failovers it tells of.
#include "proxy/admin_json.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

Poco::JSON::Object::Ptr parse(const std::string& text) {
  return Poco::JSON::Parser().parse(text).extract<Poco::JSON::Object::Ptr>();
}

TEST(AdminJsonTest, ABackendIsToldWhole) {
  Topology topology;
  topology.backends.resize(1);
  BackendState& backend = topology.backends[0];
  backend.address = {"db1", 5432};
  backend.up = true;
  backend.role = BackendRole::kPrimary;
  backend.timeline = 3;
  backend.lsn = Lsn{0x16B374D848};
  topology.primary = 0;
  EXPECT_EQ(
      backends_json(topology, {}),
      R"({"mode":"primary","backends":[{"backend":"db1:5432","up":true,"role":"primary","primary":true,"fenced":false,)"
      R"("timeline":3,"lsn":"16/B374D848","lag_bytes":0,"lag_seconds":0,"error":""}]})"
      "\n");
}

TEST(AdminJsonTest, WhoElseAnswersIsTold) {
  Topology topology;
  topology.backends.resize(2);
  const auto split = parse(backends_json(topology, {.mode = Mode::kSplit, .reads = {0, 7}}));
  EXPECT_EQ(split->getValue<std::string>("mode"), "split");
  EXPECT_EQ(split->getArray("backends")->getObject(1)->getValue<int>("reads"), 7);
  EXPECT_FALSE(split->has("shadow"));
  const auto shadow = parse(backends_json(
      topology,
      {.mode = Mode::kShadow, .shadow = "db9:1", .compared = 9, .equal = 7, .different = 2, .shed = 1}));
  EXPECT_EQ(shadow->getObject("shadow")->getValue<std::string>("backend"), "db9:1");
  EXPECT_EQ(shadow->getObject("shadow")->getValue<int>("different"), 2);
  EXPECT_FALSE(shadow->getArray("backends")->getObject(0)->has("reads"));
}

TEST(AdminJsonTest, PoolsAreNamedByDatabaseAndUser) {
  const std::string key = std::string("shop\0ada\0application_name=x\0options=-c secret=1", 46);
  const auto json = parse(pools_json({{key, {1, 5, 2, 1}}, {"strange", {1, 1, 0, 0}}}, 3, true));
  EXPECT_TRUE(json->getValue<bool>("paused"));
  EXPECT_EQ(json->getValue<int>("servers"), 6);
  EXPECT_EQ(json->getValue<int>("idle"), 2);
  EXPECT_EQ(json->getValue<int>("waiting"), 4);
  const auto pool = json->getArray("pools")->getObject(0);
  EXPECT_EQ(pool->getValue<std::string>("database"), "shop");
  EXPECT_EQ(pool->getValue<std::string>("user"), "ada");
  EXPECT_EQ(json->getArray("pools")->getObject(1)->getValue<std::string>("user"), "");
}

TEST(AdminJsonTest, NamesOfAnyBytesStayJson) {
  SessionStatus session;
  session.number = 17;
  session.state = SessionState::kReady;
  for (const char* name : {"plain", "quo\"te", "back\\slash", "line\nfeed", "\x01\x1f", "ä€😀", "\xff\xfe",
                           "\xc3", "\xed\xa0\x80", "\xf0\x9f\x98", "</script>"}) {
    session.names.user = name;
    const auto json = parse(sessions_json({session}))->getArray("sessions")->getObject(0);
    const std::string user = json->getValue<std::string>("user");
    if (std::string_view(name).find_first_of("\xff\xed\xc3\xf0") == std::string_view::npos ||
        std::string_view(name) == "ä€😀") {
      EXPECT_EQ(user, name);
    } else {
      EXPECT_NE(user.find('?'), std::string::npos) << name;
    }
    EXPECT_EQ(json->getValue<int>("number"), 17);
    EXPECT_EQ(json->getValue<std::string>("state"), "READY");
  }
}

TEST(AdminJsonTest, TimesAreIso8601) {
  const std::string text = failovers_json({{1'764'355'000'123'456'789, "a:1", "b:2", 4, 1'250'000'000, 9}});
  const auto event = parse(text)->getArray("failovers")->getObject(0);
  EXPECT_EQ(event->getValue<std::string>("time"), "2025-11-28T18:36:40.123456Z");
  EXPECT_EQ(event->getValue<double>("without_primary_seconds"), 1.25);
  EXPECT_EQ(event->getValue<int>("sessions_moved"), 9);
}

TEST(AdminJsonTest, RestartsAreAListOfTheirOwn) {
  const auto json = parse(failovers_json({{1, "a:1", "b:2", 4, 1, 9}, {2, "b:2", "b:2", 4, 1, 8, true}}));
  ASSERT_EQ(json->getArray("failovers")->size(), 1U);
  ASSERT_EQ(json->getArray("restarts")->size(), 1U);
  EXPECT_EQ(json->getArray("restarts")->getObject(0)->getValue<int>("sessions_moved"), 8);
}

class FailoverLogTest : public testing::Test {
 protected:
  FailoverLogTest() {
    topology_.backends.resize(2);
    topology_.backends[0].address = {"a", 1};
    topology_.backends[1].address = {"b", 2};
  }
  void primary(std::optional<std::size_t> index, std::uint32_t timeline, TimeNs now,
               std::uint64_t moved = 0) {
    topology_.primary = index;
    if (index) topology_.backends[*index].timeline = timeline;
    log_.note(topology_, now, moved);
  }
  Topology topology_;
  FailoverLog log_;
};

TEST_F(FailoverLogTest, TheFirstPrimaryIsNoFailover) {
  primary(std::nullopt, 0, 1);
  primary(0, 1, 2);
  primary(0, 1, 3);
  EXPECT_TRUE(log_.events(5).empty());
}

TEST_F(FailoverLogTest, ATakeOverIsToldWithTheTimeBeforeIt) {
  primary(0, 1, 100);
  primary(std::nullopt, 0, 200);
  primary(std::nullopt, 0, 250);
  primary(1, 2, 300, 1);
  const auto events = log_.events(8);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0], (FailoverEvent{300, "a:1", "b:2", 2, 100, 7}));
}

TEST_F(FailoverLogTest, ASwitchWithoutAGapAndAReturnAreTold) {
  primary(0, 1, 100);
  primary(1, 2, 200, 0);
  primary(std::nullopt, 0, 300, 4);
  primary(1, 2, 400, 4);
  const auto events = log_.events(10);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0], (FailoverEvent{200, "a:1", "b:2", 2, 0, 4}));
  EXPECT_EQ(events[1], (FailoverEvent{400, "b:2", "b:2", 2, 100, 6, true}));
}

TEST_F(FailoverLogTest, AServerThatComesBackIsARestartOnlyOnItsTimeline) {
  primary(0, 1, 100);
  primary(std::nullopt, 0, 200);
  primary(0, 1, 300);
  EXPECT_EQ(log_.failovers(), 0U);
  EXPECT_EQ(log_.restarts(), 1U);
  primary(std::nullopt, 0, 400);
  primary(0, 2, 500);
  EXPECT_EQ(log_.failovers(), 1U);
  EXPECT_EQ(log_.restarts(), 1U);
  EXPECT_FALSE(log_.events(0).back().restart);
}

TEST_F(FailoverLogTest, OnlyTheLastHundredAreKeptButAllAreCounted) {
  for (std::uint32_t number = 0; number <= 150; ++number) primary(number % 2, number + 1, number + 1);
  EXPECT_EQ(log_.failovers(), 150U);
  const auto events = log_.events(0);
  ASSERT_EQ(events.size(), 100U);
  EXPECT_EQ(events.back().timeline, 151U);
  EXPECT_EQ(events.front().timeline, 52U);
}

}  // namespace
}  // namespace understudy::proxy
