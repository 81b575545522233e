// Recordings that begin and end while sessions go on, without a proxy: the test is the worker.
#include "recorder/recording_control.h"

#include <gtest/gtest.h>

#include <fstream>

#include "recorder/recording_api.h"
#include "tests/recorder/support.h"

namespace understudy::recorder {
namespace {

namespace fs = std::filesystem;

class RecordingControlTest : public ::testing::Test {
 protected:
  RecordingControlTest() {
    options_.seal_interval = kSecond / 1000;
    options_.fsync = FsyncPolicy::kNever;
    control_options_.root = directory_.path() / "root";
  }
  RecordingControl& control() {
    if (!control_) {
      control_ = std::make_unique<RecordingControl>(options_, control_options_, 1, "test");
      control_->attach(
          {[this](const std::shared_ptr<proxy::JoinTally>& tally) { tally_ = tally; }, [this] { ++ended_; }});
    }
    return *control_;
  }
  std::unique_ptr<proxy::SessionObserver> open(std::uint32_t number) {
    return control().open_session(0, descriptor(number, ++time_));
  }
  void say(proxy::SessionObserver& session, const std::string& data) {
    session.relayed(Direction::kFromClient, ++time_, as_bytes(data));
  }
  // As the admin port would.
  int ask(proxy::AdminEndpoint endpoint, const std::string& target) {
    proxy::AdminRequest request;
    request.target = target;
    const proxy::AdminReply reply = answer_recording(control(), endpoint, request);
    body_ = reply.body;
    return reply.status;
  }
  fs::path named(const char* name) const { return control_options_.root / name; }

  TemporaryDirectory directory_;
  RecorderOptions options_;
  ControlOptions control_options_;
  std::unique_ptr<RecordingControl> control_;
  std::shared_ptr<proxy::JoinTally> tally_;
  unsigned ended_ = 0;
  TimeNs time_ = 1'700'000'000 * kSecond;
  std::string body_;
};

TEST_F(RecordingControlTest, WhileNothingIsRecordedNobodyIsObserved) {
  EXPECT_EQ(open(1), nullptr);
  EXPECT_FALSE(control().status());
  EXPECT_EQ(control().stop()->why, "nothing is being recorded");
}

TEST_F(RecordingControlTest, ARecordingHoldsWhatPassedBetweenStartAndStop) {
  ASSERT_FALSE(control().start({.name = "one"}));
  EXPECT_NE(tally_, nullptr);
  const auto session = open(1);
  say(*session, "hello");
  EXPECT_FALSE(control().stop());
  EXPECT_EQ(ended_, 1U);
  say(*session, "too late");  // the worker may not have heard of the end yet
  const std::vector<Seen> events = read_session(named("one"), {1, 1});
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[1].data, "hello");
  EXPECT_EQ(close_reason_of(events[2]), CloseReason::kRecordingEnded);
  EXPECT_EQ(open(2), nullptr);
}

TEST_F(RecordingControlTest, AnObserverMayOutliveItsRecording) {
  ASSERT_FALSE(control().start({.name = "one"}));
  auto session = open(1);
  EXPECT_FALSE(control().stop());
  ASSERT_FALSE(control().start({.name = "two"}));  // the first recorder is gone
  for (int n = 0; n < 100'000; ++n) say(*session, "nobody listens");
  session->closed({}, ++time_);
  session.reset();
  EXPECT_FALSE(control().stop());
  EXPECT_TRUE(read_all(named("two")).empty());
}

TEST_F(RecordingControlTest, OneAtATime) {
  ASSERT_FALSE(control().start({.name = "one"}));
  const auto refusal = control().start({.name = "two"});
  ASSERT_TRUE(refusal);
  EXPECT_FALSE(refusal->bad);
  EXPECT_NE(refusal->why.find("one"), std::string::npos) << refusal->why;
  EXPECT_FALSE(fs::exists(named("two")));
}

TEST_F(RecordingControlTest, ANameNeverLeavesTheRootAndNeverMeetsWhatIsThere) {
  for (const char* name : {"..", ".", "../x", "a/b", "/tmp/x", "-x", ".x", "a b", "x\n"}) {
    const auto refusal = control().start({.name = name});
    ASSERT_TRUE(refusal) << name;
    EXPECT_TRUE(refusal->bad) << name;
  }
  fs::create_directories(named("taken"));
  const auto refusal = control().start({.name = "taken"});
  ASSERT_TRUE(refusal);
  EXPECT_FALSE(refusal->bad);
}

TEST_F(RecordingControlTest, WithoutARootNothingCanBeStarted) {
  control_options_.root.clear();
  const auto refusal = control().start({.name = "one"});
  ASSERT_TRUE(refusal);
  EXPECT_NE(refusal->why.find("record_root"), std::string::npos);
}

TEST_F(RecordingControlTest, FirstOfDurationAndSizeEndsIt) {
  ASSERT_FALSE(control().start({.name = "short", .duration = kSecond / 100, .bytes = 1U << 30}));
  await([&] { return control().status()->ended_at != 0; });
  EXPECT_EQ(control().status()->ended_by, "its duration was reached");
  ASSERT_FALSE(control().start({.name = "small", .duration = 3600 * kSecond, .bytes = 20'000}));
  const auto session = open(1);
  std::string noise(1000, '\0');
  unsigned state = 1;
  await([&] {
    for (char& c : noise) c = static_cast<char>((state = state * 1'664'525U + 1'013'904'223U) >> 24);
    say(*session, noise);
    return control().status()->ended_at != 0;
  });
  EXPECT_EQ(control().status()->ended_by, "its size was reached");
  EXPECT_GE(control().status()->statistics.stored_bytes, 20'000U);
}

// Shedding is what is to be done under overload; the recording is not all that was asked for all the same.
TEST_F(RecordingControlTest, ARecordingThatShedASessionIsNotWhole) {
  options_.queue_bytes = 64 << 10;
  options_.level = 9;
  ASSERT_FALSE(control().start({.name = "one"}));
  const auto session = open(1);
  std::string noise(1000, '\0');
  unsigned state = 1;
  while (control().status()->statistics.sessions_shed == 0) {
    for (char& c : noise) c = static_cast<char>((state = state * 1'664'525U + 1'013'904'223U) >> 24);
    for (int more = 0; more < 100; ++more) say(*session, noise);
  }
  const auto refusal = control().stop();
  ASSERT_TRUE(refusal);
  EXPECT_NE(refusal->why.find("not everything is on record"), std::string::npos) << refusal->why;
  EXPECT_NE(refusal->why.find("sessions were shed under overload (1; "), std::string::npos) << refusal->why;
  EXPECT_FALSE(control().status()->whole);
  ASSERT_FALSE(control().start({.name = "two"}));
  EXPECT_FALSE(control().stop()) << "of which nothing is missing";
  EXPECT_TRUE(control().status()->whole);
  EXPECT_FALSE(control().finish()) << "of the first one something is";
}

TEST_F(RecordingControlTest, SessionsThatAreNotWantedAreCountedAndNotObserved) {
  RecordingRequest request{.name = "one"};
  request.filter.users = {"nobody"};
  ASSERT_FALSE(control().start(request));
  EXPECT_EQ(open(1), nullptr);
  EXPECT_EQ(control().status()->filtered, 1U);
  EXPECT_EQ(control().status()->filter, "user nobody");
}

TEST_F(RecordingControlTest, MarksAreEventsOfNoSession) {
  EXPECT_TRUE(control().mark("too early"));
  ASSERT_FALSE(control().start({.name = "one"}));
  EXPECT_FALSE(control().mark("before the deploy"));
  EXPECT_TRUE(control().mark("")->bad);
  EXPECT_TRUE(control().mark(std::string(1001, 'x'))->bad);
  EXPECT_FALSE(control().stop());
  const SeenBySession seen = read_all(named("one"));
  ASSERT_EQ(seen.size(), 1U);
  ASSERT_EQ(seen.at({0, 0}).size(), 1U);
  EXPECT_EQ(seen.at({0, 0})[0].kind, EventKind::kMark);
  EXPECT_EQ(seen.at({0, 0})[0].data, "before the deploy");
}

TEST_F(RecordingControlTest, WhatIsSavedCanBeReadWhileTheRecordingGoesOn) {
  ASSERT_FALSE(control().start({.name = "one"}));
  const auto session = open(1);
  say(*session, "hello");
  RecordingControl::Saved saved;
  ASSERT_FALSE(control().save("kept", 60 * kSecond, saved));
  EXPECT_EQ(saved.segments, 1U);
  say(*session, "later");
  const std::vector<Seen> kept = read_session(named("kept"), {1, 1});
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[1].data, "hello");
  EXPECT_TRUE(control().save("kept", 0, saved));  // it is there already
  EXPECT_FALSE(control().stop());
  EXPECT_EQ(read_session(named("one"), {1, 1}).size(), 4U);
  EXPECT_EQ(read_session(named("kept"), {1, 1}).size(), 2U);
}

TEST_F(RecordingControlTest, AFlightRecorderForgetsAndStaysReadable) {
  options_.directory = directory_.path() / "flight";
  options_.keep_bytes = 64'000;
  options_.slab_bytes = 4096;
  control().begin();
  const auto session = open(1);
  std::string noise(1000, '\0');
  unsigned state = 1;
  await([&] {
    const Statistics statistics = control().status()->statistics;
    // No faster than it is written: nothing is to be shed.
    for (int n = 0; n < 50 && statistics.queue_bytes < 100'000; ++n) {
      for (char& c : noise) c = static_cast<char>((state = state * 1'664'525U + 1'013'904'223U) >> 24);
      say(*session, noise);
    }
    return statistics.segments_expired > 2;
  });
  EXPECT_TRUE(control().finish());
  const Recording recording(options_.directory);
  EXPECT_GT(segment_files(options_.directory).front().name.segment, 1U);
  ASSERT_EQ(recording.continuing().size(), 1U);
  EXPECT_EQ(recording.continuing().front().id, (SessionId{1, 1}));
  EXPECT_FALSE(read_session(options_.directory, {1, 1}).empty());
  EXPECT_TRUE(recording.damage().empty());
}

TEST_F(RecordingControlTest, TheAdminPortsParametersAreUnderstoodOrRefused) {
  using E = proxy::AdminEndpoint;
  EXPECT_EQ(ask(E::kRecord, "/api/v1/record"), 200);
  EXPECT_EQ(body_, "{\"recording\":false}\n");
  for (const char* wrong : {"?name=..", "?duration=0", "?duration=long", "?max_size=x", "?sample=0",
                            "?sample=5x", "?client=nowhere", "?name=a&name=b", "?user=%zz"}) {
    EXPECT_EQ(ask(E::kRecordStart, std::string("/api/v1/record/start") + wrong), 400) << wrong;
  }
  EXPECT_EQ(ask(E::kRecordStop, "/api/v1/record/stop"), 409);
  EXPECT_EQ(ask(E::kRecordStart,
                "/api/v1/record/start?name=one&user=ada&user=bob%20x&duration=1h&max_size=1GiB&sample=50"),
            200);
  EXPECT_NE(body_.find("\"filter\":\"user ada, bob x; sample 50 %\""), std::string::npos) << body_;
  EXPECT_EQ(ask(E::kRecordMark, "/api/v1/record/mark"), 400);
  EXPECT_EQ(ask(E::kRecordMark, "/api/v1/record/mark?text=now"), 200);
  EXPECT_EQ(ask(E::kRecordSave, "/api/v1/record/save?name=kept&last=nothing"), 400);
  EXPECT_EQ(ask(E::kRecordStop, "/api/v1/record/stop"), 200);
  EXPECT_NE(body_.find("\"ended_by\":\"stopped\""), std::string::npos) << body_;
}

}  // namespace
}  // namespace understudy::recorder
