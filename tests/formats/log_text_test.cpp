// Times and messages of logs.
#include "formats/command.h"
#include "formats/logs/log_message.h"
#include "formats/logs/log_time.h"
#include "gtest/gtest.h"

namespace understudy::logs {
namespace {

using Kind = LogMessage::Kind;

std::string time_of(std::string_view text) {
  const auto time = read_log_time(text);
  return time ? format_time(time->time, 3) + (time->zone_known ? "" : " ?") : "none";
}

TEST(LogTimeTest, ZonesWhoseMeaningIsNotInDispute) {
  EXPECT_EQ(time_of("2026-11-24 13:31:07.123 UTC"), "2026-11-24T13:31:07.123Z");
  EXPECT_EQ(time_of("2026-11-24 13:31:07 UTC [1]"), "2026-11-24T13:31:07.000Z");
  EXPECT_EQ(time_of("2026-11-24 13:31:07.123 CET"), "2026-11-24T12:31:07.123Z");
  EXPECT_EQ(time_of("2026-11-24 13:31:07.123 -03"), "2026-11-24T16:31:07.123Z");
  EXPECT_EQ(time_of("2026-11-24 13:31:07.123 +0530|x"), "2026-11-24T08:01:07.123Z");
  EXPECT_EQ(time_of("2026-11-24 13:31:07.123 IST"), "2026-11-24T13:31:07.123Z ?");
  EXPECT_EQ(time_of("2024-02-29 00:00:00.000 GMT,"), "2024-02-29T00:00:00.000Z");
}

TEST(LogTimeTest, WhatIsNoTime) {
  for (const char* const text :
       {"", "2026", "2026-11-24 13:31:07", "2026-13-24 13:31:07 UTC", "2026-11-24 13:31:07.1 UTC",
        "2026-11-24 25:31:07 UTC", "2026-11-24T13:31:07 UTC", "x026-11-24 13:31:07 UTC"})
    EXPECT_EQ(time_of(text), "none") << text;
}

TEST(LogTimeTest, TheZoneEndsWhereThePrefixGoesOn) {
  EXPECT_EQ(read_log_time("2026-11-24 13:31:07.123 UTC:user")->length, 27U);
  EXPECT_EQ(read_log_time("2026-11-24 13:31:07.123 UTC-user")->length, 27U);
  EXPECT_EQ(read_log_time("2026-11-29 19:24:30 GMT-6b0c7bee.517c-LOG:  ")->length, 23U);
  EXPECT_EQ(read_log_time("2026-11-29 19:24:30 -03-6b0c7bee.517c-LOG:  ")->length, 23U);
  EXPECT_EQ(read_log_time("2026-11-29 19:24:30 +0530-6b0c7bee.517c-")->length, 25U);
  EXPECT_EQ(read_log_time("2026-11-29 19:24:30 +05:30:alice")->length, 23U);
  EXPECT_EQ(read_log_time("2026-11-29 19:24:30 +05:30 alice")->length, 26U);
  EXPECT_EQ(read_log_time("2026-11-29 19:24:30 +02:10.0.0.7(50000)")->length, 23U);
  EXPECT_EQ(read_log_time("2026-11-29 19:24:30 +02:12345")->length, 23U);
  EXPECT_EQ(read_log_time("2026-11-24 13:31:07.123 UTC [7]")->length, 27U);
  EXPECT_EQ(read_epoch_time("1795527067.123 [7]")->length, 14U);
  EXPECT_EQ(read_epoch_time("1795527067.123 [7]")->time, 1'795'527'067'123'000'000);
  EXPECT_FALSE(read_epoch_time("17955.123"));
}

TEST(LogMessageTest, Requests) {
  const LogMessage simple = read_log_message("statement: select 1;\nselect 2");
  EXPECT_EQ(simple.kind, Kind::kStatement);
  EXPECT_EQ(simple.text, "select 1;\nselect 2");
  EXPECT_FALSE(simple.duration);

  const LogMessage execute = read_log_message("execute S_1/C_2: select ': ', $1");
  EXPECT_EQ(execute.kind, Kind::kExecute);
  EXPECT_EQ(execute.name, "S_1");
  EXPECT_EQ(execute.portal, "C_2");
  EXPECT_EQ(execute.text, "select ': ', $1");

  const LogMessage unnamed = read_log_message("execute <unnamed>: select $1");
  EXPECT_EQ(unnamed.name, "");
  EXPECT_EQ(unnamed.portal, "");

  EXPECT_EQ(read_log_message("execute fetch from S_1/C_2: select 1").kind, Kind::kFetch);
  EXPECT_EQ(read_log_message("fastpath function call: \"lo_open\" (OID 952)").kind, Kind::kFunctionCall);
  EXPECT_EQ(read_log_message("execute nothing").kind, Kind::kOther);
  EXPECT_EQ(read_log_message("checkpoint starting: time").kind, Kind::kOther);
}

TEST(LogMessageTest, Durations) {
  const LogMessage simple = read_log_message("duration: 0.450 ms  statement: select 1");
  EXPECT_EQ(simple.kind, Kind::kStatement);
  EXPECT_EQ(simple.duration, 450'000);
  EXPECT_EQ(simple.text, "select 1");
  EXPECT_EQ(read_log_message("duration: 61000.001 ms").kind, Kind::kDuration);
  EXPECT_EQ(read_log_message("duration: 61000.001 ms").duration, 61'000'001'000);
  EXPECT_EQ(read_log_message("duration: 0.1 ms  parse s: select 1").kind, Kind::kParse);
  EXPECT_EQ(read_log_message("duration: 0.1 ms  bind s/p: select 1").kind, Kind::kBind);
  EXPECT_EQ(read_log_message("duration: 0.1 ms  execute s: select 1").kind, Kind::kExecute);
  EXPECT_EQ(read_log_message("duration: 0.1 ms  plan:\n\tQuery Text: select 1").kind, Kind::kOther);
  for (const char* const harmed : {"duration: ", "duration: x ms", "duration: -1 ms", "duration: 1 s",
                                   "duration: 99999999999999999999 ms", "duration: 0.1 ms statement: x"})
    EXPECT_EQ(read_log_message(harmed).kind, Kind::kOther) << harmed;
}

TEST(LogMessageTest, Connections) {
  const LogMessage one = read_log_message(
      "connection authorized: user=ann lee database=my shop application_name=psql SSL enabled "
      "(protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)");
  EXPECT_EQ(one.kind, Kind::kAuthorized);
  EXPECT_EQ(connection_word(one.text, "user="), "ann lee");
  EXPECT_EQ(connection_word(one.text, "database="), "my shop");
  EXPECT_EQ(connection_word(one.text, "application_name="), "psql");
  EXPECT_EQ(connection_word(one.text, "host="), "");
  const LogMessage received = read_log_message("connection received: host=::1 port=5000");
  EXPECT_EQ(connection_word(received.text, "host="), "::1");
  EXPECT_EQ(connection_word(received.text, "port="), "5000");
  EXPECT_EQ(read_log_message("disconnection: session time: 0:00:01.000 user=a").kind, Kind::kDisconnection);
  EXPECT_EQ(read_log_message("replication connection authorized: user=r").kind, Kind::kReplication);
}

std::string parameters_of(std::string_view text) {
  const auto parameters = read_parameters(text);
  if (!parameters) return "none";
  std::string out;
  for (const LogParameter& one : *parameters) out += (one ? "<" + *one + ">" : "NULL") + " ";
  return out;
}

TEST(LogMessageTest, ParametersInBothSpellings) {
  EXPECT_EQ(parameters_of("parameters: $1 = '1', $2 = NULL"), "<1> NULL ");
  EXPECT_EQ(parameters_of("Parameters: $1 = 'it''s', $2 = ', $3 = ''x'''"), "<it's> <, $3 = 'x'> ");
  EXPECT_EQ(parameters_of("parameters: $1 = ''"), "<> ");
  EXPECT_EQ(parameters_of("parameters: $1 = 'two\nlines'"), "<two\nlines> ");
  EXPECT_EQ(parameters_of("unnamed portal with parameters: $1 = 'x'"), "<x> ");
  for (const char* const harmed : {"", "parameters: ", "parameters: $2 = '1'", "parameters: $1 = 'x",
                                   "parameters: $1 = 1", "parameters: $1 = '1', ", "$1 = '1'"})
    EXPECT_EQ(parameters_of(harmed), "none") << harmed;
}

}  // namespace
}  // namespace understudy::logs
