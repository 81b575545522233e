// What `understudy ctl` prints; and that a server which is no admin port is told apart.
#include "recorder/ctl_report.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace understudy::recorder {
namespace {

CtlStatus sample() {
  return {{200, "ready\n"},
          {200, R"({"backends":[
             {"backend":"db1:5432","up":true,"role":"primary","primary":true,"fenced":false,"timeline":3,"lag_bytes":0},
             {"backend":"db2:5432","up":true,"role":"replica","primary":false,"timeline":3,"lag_bytes":42},
             {"backend":"db3:5432","up":false,"role":"unknown","timeline":0,"error":"connection refused"}]})"},
          {200, R"({"paused":false,"servers":3,"idle":1,"waiting":2,"pools":[
             {"database":"shop","user":"a\u001b[31mda","servers":3,"idle":1,"waiting":2}]})"},
          {200, R"({"sessions":[{"state":"READY"},{"state":"QUERY"},{"state":"READY","in_transaction":true},
             {"state":"AUTHENTICATING","waiting":true},{"state":"FAILOVER","moving":true}]})"},
          {200, R"({"failovers":[{"time":"2026-11-24T13:31:07.123456Z","from":"db3:5432","to":"db1:5432",
             "timeline":3,"without_primary_seconds":1.5,"sessions_moved":16}],
             "restarts":[{"time":"2026-11-24T14:00:00.000000Z","from":"db1:5432","to":"db1:5432","timeline":3,
             "without_primary_seconds":0.5,"sessions_moved":7}]})"}};
}

TEST(CtlReportTest, StatusIsReadable) {
  EXPECT_EQ(status_as_text(sample()),
            "ready\n"
            "backends\n"
            "  db1:5432  up    primary  timeline 3\n"
            "  db2:5432  up    replica  timeline 3  42 bytes behind\n"
            "  db3:5432  down  unknown              connection refused\n"
            "pools: 3 servers, 1 idle, 2 clients waiting\n"
            "  a?[31mda@shop  3 servers  1 idle  2 waiting\n"
            "sessions: 5 (1 QUERY, 1 READY, 1 READY in a transaction, 1 moving, 1 waiting for a resume)\n"
            "failovers: 1\n"
            "  2026-11-24T13:31:07.123456Z  db3:5432 -> db1:5432  timeline 3  16 sessions moved\n"
            "restarts: 1\n"
            "  2026-11-24T14:00:00.000000Z  db1:5432 -> db1:5432  timeline 3  7 sessions moved\n");
}

TEST(CtlReportTest, WhoElseAnswersIsTold) {
  CtlStatus status = sample();
  status.backends.body = R"({"mode":"shadow","backends":[
     {"backend":"db2:5432","up":true,"role":"replica","timeline":3,"lag_bytes":42,"reads":17}],
     "shadow":{"backend":"db9:5432","compared":9,"equal":7,"different":2,"shed":1}})";
  const std::string text = status_as_text(status);
  EXPECT_NE(text.find("  db2:5432  up  replica  timeline 3  42 bytes behind, 17 reads\n"
                      "shadow: db9:5432, 9 reads compared: 7 equal, 2 different; 1 not compared\n"),
            std::string::npos)
      << text;
  EXPECT_NE(status_as_json(status).find(R"("shadow":{"backend":"db9:5432")"), std::string::npos);
}

TEST(CtlReportTest, StatusIsJsonForPrograms) {
  CtlStatus status = sample();
  status.ready = {503, "no primary: db1:5432 down\n"};
  const std::string text = status_as_json(status);
  EXPECT_EQ(text.find(R"({"ready":false,"reason":"no primary: db1:5432 down","backends":[{)"), 0U) << text;
  EXPECT_NE(text.find(R"("sessions":{"total":5,"by_state":{"QUERY":1,"READY":1,)"), std::string::npos)
      << text;
}

TEST(CtlReportTest, ChangesAreTold) {
  EXPECT_EQ(change_as_text("pause", {200, R"({"paused":true,"quiet":true,"busy":0})"}), "paused\n");
  EXPECT_EQ(change_as_text("pause", {202, R"({"paused":true,"quiet":false,"busy":2})"}),
            "paused, but 2 sessions are not quiet yet\n");
  EXPECT_EQ(change_as_text("pause", {202, R"({"paused":true,"quiet":false,"busy":1})"}),
            "paused, but 1 session is not quiet yet\n");
  EXPECT_EQ(
      change_as_text("move",
                     {200, R"({"moved":true,"from":"a:1","to":"b:2","timeline":3,"paused_seconds":0.25})"}),
      "moved from a:1 to b:2 (timeline 3); sessions waited 0.25 s\n");
  EXPECT_EQ(change_as_text("resume", {200, R"({"paused":false})"}), "resumed\n");
  EXPECT_EQ(change_as_text("reload", {200, R"({"reloaded":true,"restart_needed":[]})"}), "reloaded\n");
  EXPECT_EQ(change_as_text("reload", {200, R"({"reloaded":true,"restart_needed":["listen","workers"]})"}),
            "reloaded; these wait for a restart: listen, workers\n");
}

TEST(CtlReportTest, RecordingsAreTold) {
  EXPECT_EQ(record_as_text("status", {200, R"({"recording":false})"}), "nothing is being recorded\n");
  EXPECT_EQ(record_as_text("mark", {200, R"({"marked":true})"}), "marked\n");
  EXPECT_EQ(record_as_text("save", {200, R"({"saved":"/r/x","segments":3})"}), "saved 3 segments in /r/x\n");
  EXPECT_EQ(record_as_text("save", {200, R"({"saved":"/r/x","segments":1})"}), "saved 1 segment in /r/x\n");
  EXPECT_EQ(record_as_text("save", {200, R"({"saved":"/r/x","segments":1,"expired_meanwhile":2})"}),
            "saved 1 segment in /r/x; 2 older segments expired before they could be copied\n");
  const std::string counts =
      R"("sessions":2,"sessions_filtered":1,"events":7,"stored_bytes":2048,)"
      R"("already_open":{"joined":1,"waiting":3,"state_not_movable":2,"state_changed_unseen":1}})";
  EXPECT_EQ(record_as_text("start", {200, R"({"recording":true,"now":{"directory":"/r/x","since":"then",)"
                                          R"("filter":"user ada","max_size":4096,)" +
                                              counts + "}"}),
            "recording into /r/x since then\n"
            "  only: user ada\n"
            "  ends after 4 KiB\n"
            "  2 sessions, 7 events, 2 KiB on disk, 1 session filtered out\n"
            "  of sessions already open: 1 taken in, 3 wait for an idle moment, 2 not taken in: temporary "
            "tables, locks, cursors, or settings that nobody can tell, 1 not taken in: DO, CALL or a text "
            "too long to be parsed may have "
            "changed their state\n");
  EXPECT_EQ(
      record_as_text("stop", {200, R"({"recording":false,"last":{"directory":"/r/x","since":"then",)"
                                   R"("ended":"now","ended_by":"stopped","whole":true,"sessions":0}})"}),
      "nothing is being recorded; last, into /r/x from then to now (stopped)\n"
      "  0 sessions, 0 events, 0 B on disk\n");
}

TEST(CtlReportTest, AnotherServersAnswerIsNotTakenForOne) {
  for (const char* body :
       {"", "<html>", "[]", "{}", "null", R"({"backends":1})", R"({"backends":[1]})", R"({"backends":{}})"}) {
    CtlStatus status = sample();
    status.backends.body = body;
    EXPECT_THROW((void)status_as_text(status), std::runtime_error) << body;
  }
  EXPECT_EQ(error_of({502, "<html>"}), "this is not the answer of an admin port (HTTP status 502)");
  EXPECT_EQ(error_of({401, R"({"error":"no token"})"}), "no token (HTTP status 401)");
}

}  // namespace
}  // namespace understudy::recorder
