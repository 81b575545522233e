// A recording of which a segment was deleted: who reads it on is told, and invents nothing.
#include <gmock/gmock.h>

#include <filesystem>

#include "replayer/left_out.h"
#include "tests/replayer/support.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;

class MissingSegmentTest : public RecordingTest {
 protected:
  // A session that is in all of three segments, and one that opens in the last.
  void SetUp() override {
    begin_segment(1, 1);
    open_session(kA, 100);
    from_server(kA, 101, ready());
    from_client(kA, 110, query("SELECT 1"));
    seal();
    finish_and_save();
    begin_segment(1, 2, {descriptor(kA, 100)});
    from_server(kA, 200, complete("SELECT 1") + ready());
    seal();
    finish_and_save();
    begin_segment(1, 3, {descriptor(kA, 100)});
    open_session(kB, 300);
    from_server(kB, 301, ready());
    from_client(kA, 310, query("SELECT 3"));
    close_session(kA, 320);
    close_session(kB, 330);
    seal();
    finish_and_save();
  }
  void lose(const char* segment) { ASSERT_TRUE(std::filesystem::remove(directory_ / segment)); }
  // How many holes were told by the end, of this session.
  static std::uint64_t holes(const Recording& recording, SessionId session) {
    SessionCursor cursor(recording, session);
    while (cursor.next()) {
    }
    return cursor.holes();
  }
};

TEST_F(MissingSegmentTest, ASessionThatSpansItHasAHoleThere) {
  lose("000001-000002.transcript");
  const Recording recording(path());
  ASSERT_EQ(recording.damage().size(), 1U);
  EXPECT_THAT(recording.damage()[0].file, HasSubstr("000001-000003.transcript"));
  EXPECT_THAT(recording.damage()[0].what,
              HasSubstr("000001-000002.transcript, which it follows, is missing"));
  EXPECT_GT(recording.damage()[0].bytes, 0U);
  SessionCursor cursor(recording, kA);
  for (const char* before : {"opened", "ready", "asks"}) {
    ASSERT_TRUE(cursor.next()) << before;
    EXPECT_EQ(cursor.holes(), 0U) << before;
  }
  ASSERT_TRUE(cursor.next());
  EXPECT_EQ(cursor.holes(), 1U);
  EXPECT_STREQ(cursor.hole(), "a missing segment");
  EXPECT_EQ(holes(recording, kB), 0U);
}

TEST_F(MissingSegmentTest, EveryCommandTellsItAndExitsWith3) {
  lose("000001-000002.transcript");
  const Outcome table = run("show");
  EXPECT_EQ(table.code, 3);
  EXPECT_THAT(table.err, HasSubstr("000001-000002.transcript, which it follows, is missing"));
  const Outcome session = run("show", {"--session", "1.1"});
  EXPECT_EQ(session.code, 3);
  EXPECT_THAT(session.out, HasSubstr("a missing segment"));
}

TEST_F(MissingSegmentTest, WhatAReplayLeavesOutBehindItIsCounted) {
  lose("000001-000002.transcript");
  const Recording recording(path());
  SessionSet sessions;
  sessions.insert(kA);
  sessions.insert(kB);
  // Its query in the last segment; where messages begin there is not known, so none is counted.
  EXPECT_EQ(left_out_of(recording, sessions, {}).behind_holes.bytes, query("SELECT 3").size());
}

// What it did there may have been part of a transaction whose beginning is gone.
TEST_F(MissingSegmentTest, WhatComesBeforeTheFirstIdleMomentIsLeftOutAndCounted) {
  begin_segment(1, 4, {descriptor(kC, 100)});
  from_client(kC, 400, query("INSERT INTO t VALUES (1)"));
  from_server(kC, 401, complete("INSERT 0 1") + ready('T'));
  from_client(kC, 402, query("ROLLBACK"));
  from_server(kC, 403, complete("ROLLBACK") + ready());
  from_client(kC, 404, query("SELECT 4"));
  from_server(kC, 405, complete("SELECT 1") + ready());
  close_session(kC, 406);
  seal();
  finish_and_save();
  const Recording recording(path());
  SessionSet continuing;
  continuing.insert(kC);
  const LeftOutParts parts = left_out_of(recording, {}, continuing);
  EXPECT_EQ(parts.begun_late, 1U);
  EXPECT_EQ(parts.before_beginnings.requests, 2U);
  EXPECT_EQ(parts.before_beginnings.bytes,
            query("INSERT INTO t VALUES (1)").size() + query("ROLLBACK").size());
  EXPECT_EQ(parts.behind_holes.bytes, 0U);
  const Outcome script = run("export", {"--format", "sql", "--session", kC.to_string()});
  EXPECT_THAT(script.out, Not(HasSubstr("INSERT INTO t")));
  EXPECT_THAT(script.out, HasSubstr("SELECT 4;\n"));
  EXPECT_THAT(script.out, HasSubstr("taken up between transactions"));
  const Outcome lines = run("export", {"--format", "pgreplay"});
  EXPECT_THAT(lines.out, HasSubstr("SELECT 4"));
  EXPECT_THAT(lines.out, Not(HasSubstr("INSERT INTO t")));
}

TEST_F(MissingSegmentTest, TheOldestThatAreGoneAreNone) {
  lose("000001-000001.transcript");  // as a flight recorder does
  const Recording recording(path());
  EXPECT_TRUE(recording.damage().empty());
  EXPECT_EQ(holes(recording, kA), 0U);
}

}  // namespace
}  // namespace understudy::replayer
