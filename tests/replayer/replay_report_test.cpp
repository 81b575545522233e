#include "replayer/replay_report.h"

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <gtest/gtest.h>

#include <sstream>

namespace understudy::replayer {
namespace {

std::string summary(const ReplayResult& result, bool paced = false) {
  std::ostringstream out;
  print_summary(out, result, paced);
  return out.str();
}
Poco::JSON::Object::Ptr json(const ReplayResult& result, bool paced = false) {
  std::ostringstream out;
  print_json(out, result, paced);
  return Poco::JSON::Parser().parse(out.str()).extract<Poco::JSON::Object::Ptr>();
}

TEST(ReplayReport, AReplayWithNothingToTellIsTwoCounts) {
  ReplayResult result;
  result.sessions = 2;
  result.exchanges = 10;
  result.recorded_span = 2'000'000'000;
  result.wall_time = 1'000'000'000;
  EXPECT_EQ(summary(result),
            "Replayed 2 s of recorded time in 1 s, 10 exchanges/s\n"
            "  sessions                                          2\n"
            "  exchanges                                         10\n");
}

TEST(ReplayReport, WhateverWentAnotherWayIsTold) {
  ReplayResult result;
  result.errors_new = 3;
  result.sessions_cut_at_gap = 1;
  result.login_errors["28P01 no"] = 2;
  const std::string text = summary(result);
  EXPECT_NE(text.find("exchanges with an error that was not recorded     3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("sessions cut at a hole in the recording           1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("login failed 2 times: 28P01 no\n"), std::string::npos) << text;
}

TEST(ReplayReport, ThatSessionsWereCutAtHolesIsInPartAndSaysHowMuchWasLeftOut) {
  ReplayResult result;
  result.sessions = 9;
  EXPECT_FALSE(result.in_part());
  ReplayResult other;
  other.sessions_cut_at_gap = 8;
  other.cut_at_gap.insert({1, 3});
  result.add(other);
  EXPECT_TRUE(result.in_part());
  EXPECT_TRUE(result.cut_at_gap.contains({1, 3}));
  result.requests_left_out = 6249;
  result.bytes_left_out = 2048;
  const std::string text = summary(result);
  EXPECT_EQ(text.find("Replayed in part: "), 0U) << text;
  EXPECT_NE(text.find("requests behind these holes, left out             6249\n"), std::string::npos) << text;
  EXPECT_NE(text.find("bytes of clients behind them                      2 KiB\n"), std::string::npos)
      << text;
}

TEST(ReplayReport, AFailedLoginIsExplainedByItsErrors) {
  const std::string names =
      "see --user-map, --database-map, PGPASSWORD and pgpass in --help, and the target's max_connections";
  ReplayResult result;
  result.sessions = result.sessions_failed = 2;
  result.login_errors["28P01 no"] = 2;
  EXPECT_EQ(failed_logins_in_words(result), "no session could log in; " + names);
  result.sessions = 5;
  result.login_errors = {{"08001 could not connect to backend", 2}};
  EXPECT_EQ(failed_logins_in_words(result),
            "not every session could log in; they did not reach the target (does it run, and accept "
            "connections?)");
  result.sessions_failed = 3;
  result.login_errors["28P01 no"] = 1;
  EXPECT_EQ(failed_logins_in_words(result),
            "not every session could log in; 2 did not reach the target (does it run, and accept "
            "connections?); for the others " +
                names);
}

TEST(ReplayReport, WhereNobodyLoggedInNothingWasReplayed) {
  ReplayResult result;
  result.sessions = result.sessions_failed = 2;
  EXPECT_EQ(summary(result).find("Nothing was replayed of "), 0U) << summary(result);
  result.sessions = 3;
  EXPECT_EQ(summary(result).find("Replayed in part: "), 0U) << summary(result);
}

TEST(ReplayReport, PasswordsThatAreNotOnRecordAreToldWithTheFirstSessionsOfAllParts) {
  ReplayResult result;
  EXPECT_EQ(hidden_passwords_in_words(result), "");
  for (const std::uint32_t number : {9, 3, 3, 7}) result.note_password_hidden({1, number});
  EXPECT_NE(hidden_passwords_in_words(result).find("4 pieces (session 1.3, 1.7, 1.9) went"),
            std::string::npos)
      << hidden_passwords_in_words(result);
  EXPECT_NE(summary(result).find("with x for a password, as recorded         4\n"), std::string::npos)
      << summary(result);
  ReplayResult other;
  for (const std::uint32_t number : {5, 4, 8}) other.note_password_hidden({1, number});
  result.add(other);
  EXPECT_NE(hidden_passwords_in_words(result).find("7 pieces (session 1.3, 1.4, 1.5, 1.7, ...) went"),
            std::string::npos)
      << hidden_passwords_in_words(result);
}

TEST(ReplayReport, WhichNamesWereMappedIsKnownOfAllParts) {
  ReplayResult one;
  ReplayResult other;
  one.users_mapped = {"ada"};
  other.users_mapped = {"ada", "*"};
  other.databases_mapped = {"shop"};
  one.add(other);
  EXPECT_EQ(one.users_mapped, (std::set<std::string>{"ada", "*"}));
  EXPECT_EQ(one.databases_mapped, std::set<std::string>{"shop"});
}

TEST(ReplayReport, EveryCountStandsApartFromItsLabel) {
  ReplayResult result;
  result.sessions_skipped = 6;
  result.errors_new = result.errors_gone = result.cancels_late = 1;
  EXPECT_NE(summary(result).find("(replication, or by choice)     6\n"), std::string::npos)
      << summary(result);
  std::istringstream lines(summary(result));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) EXPECT_EQ(line.find_last_of(' '), 51U) << line;
}

TEST(ReplayReport, LagIsToldOfPacedReplaysOnlyInItsTwoParts) {
  ReplayResult result;
  result.server_slower.add(5'000'000);
  result.replayer_late.add(1'000);
  EXPECT_EQ(summary(result).find("lag"), std::string::npos);
  EXPECT_NE(summary(result, true).find("the server was slower"), std::string::npos);
  EXPECT_NE(summary(result, true).find("the replay was late"), std::string::npos);
  EXPECT_FALSE(json(result)->has("server_slower"));
  EXPECT_EQ(json(result, true)->getObject("server_slower")->getValue<std::int64_t>("max_ns"), 5'000'000);
}

TEST(ReplayReport, AStoppedReplaySaysSo) {
  ReplayResult result;
  result.stopped = true;
  result.recorded_span = 30'000'000'000;
  result.played_span = 1'600'000'000;
  result.wall_time = 1'500'000'000;
  EXPECT_TRUE(summary(result).starts_with(
      "Replay stopped early, after 1.6 s of the 30 s of recorded time in 1.5 s, 0 exchanges/s\n"))
      << summary(result);
  EXPECT_EQ(json(result)->getValue<std::int64_t>("played_span_ns"), 1'600'000'000);
  EXPECT_TRUE(json(result)->getValue<bool>("stopped"));
}

TEST(ReplayReport, JsonHoldsEveryCountAndTextsQuoted) {
  ReplayResult result;
  result.bytes_sent = 1ULL << 40;
  result.login_errors["3D000 database \"a\nb\" does not exist"] = 1;
  result.failure = "a \\ and a \"";
  const auto object = json(result);
  for (const char* key : {"sessions",
                          "exchanges",
                          "bytes_sent",
                          "events_sent",
                          "cancels",
                          "cancels_late",
                          "sessions_failed",
                          "sessions_not_admitted",
                          "sessions_ended_early",
                          "sessions_cut_at_gap",
                          "sessions_unfinished",
                          "sessions_skipped",
                          "sessions_lost",
                          "sessions_stuck",
                          "lock_waits_ended",
                          "rescues",
                          "unstuck",
                          "errors_new",
                          "errors_gone",
                          "transaction_state_differs",
                          "recorded_span_ns",
                          "played_span_ns",
                          "wall_time_ns",
                          "exchanges_per_second"}) {
    EXPECT_TRUE(object->has(key)) << key;
  }
  EXPECT_EQ(object->getValue<std::uint64_t>("bytes_sent"), 1ULL << 40);
  EXPECT_EQ(object->getValue<std::string>("failure"), result.failure);
  EXPECT_TRUE(object->getObject("login_errors")->has("3D000 database \"a\nb\" does not exist"));
}

TEST(ReplayReport, ARateOfNoTimeIsNoDivisionByZero) {
  ReplayResult result;
  result.exchanges = 5;
  EXPECT_NE(summary(result).find("0 exchanges/s"), std::string::npos);
}

}  // namespace
}  // namespace understudy::replayer
