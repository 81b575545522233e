// csvlog, jsonlog, and which dialect a file is in; whole and harmed.
#include "formats/logs/csv_log.h"
#include "formats/logs/json_log.h"
#include "formats/logs/log_format.h"
#include "tests/formats/log_fixture.h"

namespace understudy::logs {
namespace {

std::unique_ptr<LogParser> csv(LogHandler& handler) { return std::make_unique<CsvLog>(handler); }
std::unique_ptr<LogParser> json(LogHandler& handler) { return std::make_unique<JsonLog>(handler); }

// As PostgreSQL 12 writes it; later versions append columns.
std::string csv_line(const std::string& message, const std::string& detail = "",
                     const std::string& more = "") {
  return "2026-11-24 13:31:07.123 UTC,\"alice\",\"shop\",6699,\"127.0.0.1:50000\",67440000.1a2b,3,\"SELECT\","
         "2026-11-24 13:31:04 UTC,3/7,0,LOG,00000,\"" +
         message + "\"," + (detail.empty() ? "" : "\"" + detail + "\"") + ",,,,,,,,\"psql\"" + more + "\n";
}

TEST(CsvLogTest, ColumnsOfEveryVersion) {
  for (const char* const more : {"", ",\"client backend\"", ",\"client backend\",,123456"}) {
    const Collector read = read_log(csv, csv_line("statement: select \"\"a\"\"", "it's", more));
    ASSERT_EQ(read.records.size(), 1U);
    const LogRecord& record = read.records[0];
    EXPECT_EQ(record.user, "alice");
    EXPECT_EQ(record.database, "shop");
    EXPECT_EQ(record.process, "6699");
    EXPECT_EQ(record.client, "127.0.0.1:50000");
    EXPECT_EQ(record.session, "67440000.1a2b");
    EXPECT_EQ(record.severity, "LOG");
    EXPECT_EQ(record.sqlstate, "00000");
    EXPECT_EQ(record.message, "statement: select \"a\"");
    EXPECT_EQ(record.detail, "it's");
    EXPECT_EQ(record.application, "psql");
    EXPECT_EQ(record.time - record.session_start, 3'123'000'000);
    EXPECT_TRUE(read.problems.empty());
  }
}

TEST(CsvLogTest, TextsSpanLines) {
  const Collector read = read_log(csv, csv_line("statement: select 1,\n2,\n\"\"x\"\"") + csv_line("second"));
  ASSERT_EQ(read.records.size(), 2U);
  EXPECT_EQ(read.records[0].message, "statement: select 1,\n2,\n\"x\"");
  EXPECT_EQ(read.records[1].line, 4U);
}

TEST(CsvLogTest, ALineCutShortCostsThatLine) {
  const std::string line = csv_line("statement: select 1\nfrom t");
  for (std::size_t length = 1; length + 1 < line.size(); length += 3) {
    // A server that crashed, and one that began anew.
    const Collector read =
        read_log(csv, csv_line("first") + line.substr(0, length) + "\n" + csv_line("last"));
    ASSERT_GE(read.records.size(), 2U) << length;
    EXPECT_EQ(read.records.front().message, "first");
    EXPECT_EQ(read.records.back().message, "last") << length;
    EXPECT_LE(read.records.size() + read.problems.size(), 4U);
  }
}

TEST(CsvLogTest, ALogThatEndsInTheMiddleOfALine) {
  const std::string line = csv_line("statement: select 1\nfrom t");
  for (std::size_t length = 1; length < line.size(); ++length) {
    const Collector read = read_log(csv, csv_line("first") + line.substr(0, length));
    ASSERT_FALSE(read.records.empty());
    EXPECT_EQ(read.records.size() + read.problems.size(), 2U) << length;
  }
}

TEST(CsvLogTest, WhatIsTooLongIsPassedOver) {
  const MakeParser bounded = [](LogHandler& handler) { return std::make_unique<CsvLog>(handler, 4096); };
  const Collector read =
      read_log(bounded, csv_line("first") + csv_line(std::string(10'000, 'x')) + csv_line("last"));
  ASSERT_EQ(read.records.size(), 2U);
  EXPECT_EQ(read.records[1].message, "last");
  EXPECT_EQ(read.problems.size(), 1U);
}

TEST(CsvLogTest, Garbage) {
  const Collector read = read_log(csv, "no csv\nat all\n" + std::string(1000, '"') + "\n" + csv_line("last"));
  ASSERT_EQ(read.records.size(), 1U);
  EXPECT_EQ(read.records[0].message, "last");
  EXPECT_FALSE(read.problems.empty());
}

std::string json_line(const std::string& message) {
  return R"({"timestamp":"2026-11-24 13:31:07.123 UTC","user":"alice","dbname":"shop","pid":6699,)"
         R"("remote_host":"127.0.0.1","remote_port":50000,"session_id":"67440000.1a2b","line_num":3,)"
         R"("ps":"SELECT","session_start":"2026-11-24 13:31:04 UTC","error_severity":"LOG",)"
         R"("state_code":"00000","message":")" +
         message + R"(","application_name":"psql","backend_type":"client backend","query_id":0})" + "\n";
}

TEST(JsonLogTest, Members) {
  const Collector read = read_log(json, json_line(R"(statement: select \"a\",\n\t'\u00e9\ud83d\ude00\\')"));
  ASSERT_EQ(read.records.size(), 1U);
  const LogRecord& record = read.records[0];
  EXPECT_EQ(record.message, "statement: select \"a\",\n\t'\xC3\xA9\xF0\x9F\x98\x80\\'");
  EXPECT_EQ(record.user, "alice");
  EXPECT_EQ(record.database, "shop");
  EXPECT_EQ(record.client, "127.0.0.1:50000");
  EXPECT_EQ(record.session, "67440000.1a2b");
  EXPECT_EQ(record.process, "6699");
  EXPECT_EQ(record.application, "psql");
  EXPECT_EQ(record.backend_type, "client backend");
}

TEST(JsonLogTest, OtherEncodingsPassAsTheyAre) {
  const Collector read = read_log(json, json_line("statement: select '\xE9\xFF'"));
  ASSERT_EQ(read.records.size(), 1U);
  EXPECT_EQ(read.records[0].message, "statement: select '\xE9\xFF'");
}

TEST(JsonLogTest, HarmedLinesCostThemselves) {
  const std::string line = json_line("x\\u00e9");
  for (std::size_t length = 1; length + 1 < line.size(); ++length) {
    const Collector read =
        read_log(json, json_line("first") + line.substr(0, length) + "\n" + json_line("last"));
    ASSERT_EQ(read.records.size(), 2U) << length;
    ASSERT_EQ(read.problems.size(), 1U);
    EXPECT_EQ(read.problems[0].first, 2U);
  }
  for (const char* const harmed :
       {"{}", "[]", "{\"a\":{}}", "{\"a\":[1]}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}", "{\"timestamp\":\"x\"}", "{\"a\":1,}", "null"})
    EXPECT_EQ(read_log(json, std::string(harmed) + "\n").problems.size(), 1U) << harmed;
}

LogFormat format_of(const std::string& text) { return detect_format(as_bytes(text)); }

TEST(LogFormatTest, TellsDialectsApart) {
  EXPECT_EQ(format_of(csv_line("x")), LogFormat::kCsv);
  EXPECT_EQ(format_of("rest of a line cut\n" + csv_line("x") + csv_line("y")), LogFormat::kCsv);
  EXPECT_EQ(format_of(json_line("x")), LogFormat::kJson);
  EXPECT_EQ(format_of("t\"}\n" + json_line("x")), LogFormat::kJson);
  EXPECT_EQ(format_of("2026-11-24 13:31:07.123 UTC [7] LOG:  statement: {\"a\":1}\n"), LogFormat::kStderr);
  EXPECT_EQ(format_of("2026-11-24 13:31:07.123 UTC,[7] LOG:  statement: select 1\n"), LogFormat::kStderr);
  EXPECT_EQ(format_of(""), LogFormat::kStderr);
  EXPECT_EQ(format_of(std::string(500, '\0')), LogFormat::kStderr);
}

}  // namespace
}  // namespace understudy::logs
