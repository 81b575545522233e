// Sessions and what they amount to, in one pass: order, counts, filters, damage.
#include "replayer/show/session_survey.h"

#include <gmock/gmock.h>

#include "replayer/left_out.h"
#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using replayer::matches_pattern;
using replayer::SessionFilter;
using replayer::SessionSurvey;
using replayer::SurveyedSession;
using testing::ElementsAre;
using testing::IsEmpty;

class SessionSurveyTest : public RecordingTest {
 protected:
  // "1.1", "1.2"; everything of the sessions is in sessions_.
  std::vector<std::string> survey(const SessionFilter& filter = {}, std::size_t most = SIZE_MAX) {
    const Recording recording(directory_);
    std::vector<std::string> ids;
    sessions_.clear();
    lost_ = SessionSurvey(recording, filter, [&](const SurveyedSession& session) {
              ids.push_back(session.descriptor.id.to_string());
              sessions_.push_back(session);
              return ids.size() < most;
            }).run();
    return ids;
  }

  std::vector<SurveyedSession> sessions_;
  std::vector<SessionId> lost_;
};

TEST_F(SessionSurveyTest, CountsWhatEachSaid) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("select 1") + parse("", "x") + bind("", "") + execute("") + sync());
  from_server(kA, 120, complete("SELECT 1") + ready() + error("42601", "x"));
  from_server(kA, 130, ready());
  close_as(kA, 140, CloseReason::kTimeout, "idle");
  seal();
  finish_and_save();
  EXPECT_THAT(survey(), ElementsAre("1.1"));
  const replayer::SessionTally& tally = sessions_.front().tally;
  EXPECT_EQ(tally.requests(), 2U) << "a Query and an Execute";
  EXPECT_EQ(tally.errors(), 1U);
  EXPECT_EQ(tally.messages(Direction::kFromClient), 5U);
  EXPECT_EQ(tally.messages(Direction::kFromServer), 4U);
  EXPECT_EQ(tally.bytes(Direction::kFromServer),
            (complete("SELECT 1") + ready() + error("42601", "x") + ready()).size());
  EXPECT_EQ(tally.last_time(), 140);
  EXPECT_TRUE(tally.closed());
  EXPECT_EQ(tally.close_detail().text, "idle");
  EXPECT_FALSE(tally.has_hole());
}

// Two workers: chunks overlap in time, are sealed late, and interleave.
TEST_F(SessionSurveyTest, ComesInOrderOfOpeningWhateverTheOrderOfChunksAndEnds) {
  begin_segment(1, 1);
  open_session(kB, 200);
  from_client(kB, 900, query("b"));
  seal();
  open_session(kA, 100);
  close_session(kA, 950);
  seal();
  open_session(kC, 300);
  close_session(kC, 310);
  seal();
  close_session(kB, 1000);
  seal();
  finish_and_save();
  EXPECT_THAT(survey(), ElementsAre("1.1", "1.2", "1.3"));
  EXPECT_EQ(sessions_[1].tally.requests(), 1U);
  EXPECT_TRUE(sessions_[1].tally.closed());
}

TEST_F(SessionSurveyTest, ASessionGoesOnInLaterSegmentsAndIsListedOnce) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("one").substr(0, 4));
  seal();
  finish_and_save();
  begin_segment(1, 2, {descriptor(kA, 100)});
  from_client(kA, 210, query("one").substr(4));
  close_session(kA, 220);
  seal();
  finish_and_save();
  EXPECT_THAT(survey(), ElementsAre("1.1"));
  EXPECT_EQ(sessions_.front().tally.requests(), 1U);
  EXPECT_FALSE(sessions_.front().continuing);
}

TEST_F(SessionSurveyTest, OneOpenBeforeTheRecordingAndOneNeverClosedAreThere) {
  begin_segment(1, 2, {descriptor(kA, 50)});
  from_client(kA, 110, query("a"));
  open_session(kB, 120);
  seal();
  finish_and_save();
  EXPECT_THAT(survey(), ElementsAre("1.1", "1.2"));
  EXPECT_TRUE(sessions_[0].continuing);
  EXPECT_EQ(sessions_[0].tally.requests(), 1U);
  EXPECT_FALSE(sessions_[1].continuing);
  EXPECT_FALSE(sessions_[1].tally.closed());
}

// The segment in which it opened is gone: what others said before it is none the less on record.
TEST_F(SessionSurveyTest, ASessionWhoseOpeningIsGoneTakesNothingFromThoseBeforeIt) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("before"));
  close_session(kA, 120);
  seal();
  finish_and_save();
  begin_segment(1, 3, {descriptor(kB, 200)});
  from_client(kB, 310, query("behind"));
  open_session(kC, 320);
  close_session(kB, 330);
  seal();
  finish_and_save();
  EXPECT_THAT(survey(), ElementsAre("1.1", "1.2", "1.3"));
  EXPECT_EQ(sessions_[0].tally.requests(), 1U);
  EXPECT_TRUE(sessions_[0].tally.closed());
  EXPECT_FALSE(sessions_[0].continuing);
  EXPECT_EQ(sessions_[1].tally.requests(), 1U);
  EXPECT_TRUE(sessions_[1].tally.closed());
  EXPECT_TRUE(sessions_[1].continuing);
  EXPECT_FALSE(sessions_[2].continuing);
  SessionFilter early;
  early.until = 150;
  EXPECT_THAT(survey(early), ElementsAre("1.1"));
}

TEST_F(SessionSurveyTest, ADamagedChunkIsAHoleInItsSessionsAndOneWhoseOpeningItHeldIsTold) {
  begin_segment(1, 1);
  open_session(kA, 100);
  seal();
  open_session(kB, 110);
  from_client(kA, 120, query("lost"));
  seal();
  from_client(kA, 130, query("behind"));
  close_session(kA, 140);
  seal();
  finish();
  flip_byte(chunk_ends_[1] - 1);
  save();
  EXPECT_THAT(survey(), ElementsAre("1.1"));
  EXPECT_TRUE(sessions_[0].tally.has_hole());
  EXPECT_EQ(sessions_[0].tally.requests(), 0U) << "behind a hole nothing is a message for sure";
  EXPECT_EQ(sessions_[0].tally.bytes(Direction::kFromClient), query("behind").size());
  EXPECT_THAT(lost_, ElementsAre(kB));
}

// A capture goes on between messages; what else was lost may have ended in the middle of one.
TEST_F(SessionSurveyTest, CountsBehindGapsOfACaptureAndTellsWhatItCannotRead) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("one") + query("cut off").substr(0, 7));
  gap(kA, 120, {GapReason::kCaptureLoss, 110, 120, 30, 4000, 5});
  from_client(kA, 130, query("two"));
  from_server(kA, 140, complete("SELECT 1") + ready());
  gap(kA, 150, {GapReason::kOverload, 140, 150, 1, 2, 3});
  from_client(kA, 160, query("not for sure"));
  gap(kA, 170, {GapReason::kCaptureLoss, 160, 170, 1, 2, 3});
  from_client(kA, 180, query("nor this"));
  seal();
  finish_and_save();
  EXPECT_THAT(survey(), ElementsAre("1.1"));
  const replayer::SessionTally& tally = sessions_.front().tally;
  EXPECT_EQ(tally.requests(), 3U) << "with the one that was cut off, which had begun";
  EXPECT_EQ(tally.messages(Direction::kFromServer), 2U);
  EXPECT_EQ(tally.gaps(), 3U);
  EXPECT_TRUE(tally.has_hole());
  EXPECT_EQ(tally.bytes_not_read(), (query("not for sure") + query("nor this")).size());
}

// What a replay leaves out: of the sessions it cut, from the hole on.
TEST_F(SessionSurveyTest, WhatIsBehindHolesIsCounted) {
  begin_segment(1, 1);
  open_session(kA, 100);
  from_client(kA, 110, query("one"));
  gap(kA, 120, {GapReason::kCaptureLoss, 110, 120, 30, 4000, 5});
  from_client(kA, 130, query("two") + query("three"));
  gap(kA, 140, {GapReason::kCaptureLoss, 130, 140, 1, 2, 3});
  from_client(kA, 150, query("four"));
  open_session(kB, 160);
  from_client(kB, 170, query("not asked for"));
  gap(kB, 180, {GapReason::kCaptureLoss, 170, 180, 1, 2, 3});
  from_client(kB, 190, query("nor this"));
  seal();
  finish_and_save();
  SessionSet cut;
  cut.insert(kA);
  const replayer::LeftOut left_out = replayer::left_out_of(Recording(directory_), cut, {}).behind_holes;
  EXPECT_EQ(left_out.requests, 3U);
  EXPECT_EQ(left_out.bytes, (query("two") + query("three") + query("four")).size());
}

TEST_F(SessionSurveyTest, FiltersByWhoWhereAndWhen) {
  begin_segment(1, 1);
  SessionDescriptor other = descriptor(kB, 200, "bob");
  other.startup_parameters = {{"user", "bob"}, {"application_name", "batch-7"}};
  other.peer = "[2001:db8::1]:5000";
  open_session(kA, 100);
  close_session(kA, 150);
  open_as(other);
  close_session(kB, 300);
  open_session(kC, 400);
  seal();
  finish_and_save();
  const auto with = [](auto&& set) {
    SessionFilter filter;
    set(filter);
    return filter;
  };
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.user = "bob"; })), ElementsAre("1.2"));
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.database = "bob"; })), ElementsAre("1.2"))
      << "the user's by default";
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.application = "batch-*"; })), ElementsAre("1.2"));
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.client = "192.0.2.7"; })), ElementsAre("1.1", "1.3"));
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.client = "2001:db8::1"; })), ElementsAre("1.2"));
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.client = "192.0.2.7:49152"; })),
              ElementsAre("1.1", "1.3"));
  // Open at some time in the range.
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.from = 151; })), ElementsAre("1.2", "1.3"));
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.until = 200; })), ElementsAre("1.1"));
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.from = 250, f.until = 260; })), ElementsAre("1.2"));
  EXPECT_THAT(survey(with([](SessionFilter& f) { f.user = "nobody"; })), IsEmpty());
}

TEST_F(SessionSurveyTest, StopsWhenEnoughWereSeen) {
  begin_segment(1, 1);
  for (const SessionId id : {kA, kB, kC}) {
    open_session(id, 100 * id.number);
    close_session(id, 100 * id.number + 50);
    seal();
  }
  finish_and_save();
  EXPECT_THAT(survey({}, 2), ElementsAre("1.1", "1.2"));
}

TEST(SessionPattern, StarsAndQuestionMarksAndNothingElse) {
  EXPECT_TRUE(matches_pattern("web-*", "web-17"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("a?c*", "abc"));
  EXPECT_TRUE(matches_pattern("*a*b*", "xxaxxbxx"));
  EXPECT_TRUE(matches_pattern("[x]", "[x]"));
  EXPECT_FALSE(matches_pattern("web", "web-17"));
  EXPECT_FALSE(matches_pattern("a?", "a"));
  EXPECT_FALSE(matches_pattern("*ab", "abc"));
  // What takes a backtracking matcher for ever.
  EXPECT_FALSE(matches_pattern("*a*a*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));
}

}  // namespace
}  // namespace understudy::test
