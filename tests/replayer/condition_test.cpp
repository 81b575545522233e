// Conditions: what they mean, and where what is none of them goes wrong.
#include "replayer/condition.h"

#include <gmock/gmock.h>

namespace understudy::replayer {
namespace {

using testing::HasSubstr;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kStart = 1'795'000'000 * kSecond;  // 2026-11-18T...

SessionDescriptor session() {
  SessionDescriptor out;
  out.id = {1, 17};
  out.opened_at = kStart + kSecond;
  out.startup_parameters = {{"user", "app"}, {"database", "shop"}, {"application_name", "till 3"}};
  out.peer = "192.0.2.7:49152";
  out.backend = "127.0.0.1:5432";
  return out;
}

Statement statement(std::string sql = "UPDATE stock SET n = 1 WHERE id = 7") {
  auto text = std::make_shared<StatementText>();
  text->sql = std::move(sql);
  Statement out;
  out.number = 3;
  out.text = std::move(text);
  out.end = Statement::End::kFailed;
  out.sqlstate = "40001";
  out.sent = kStart + 10 * kSecond;
  out.duration = 150'000'000;
  out.client_bytes = 40;
  out.server_bytes = 60;
  out.rows = 5;
  return out;
}

bool holds(const std::string& text) {
  const SessionDescriptor of = session();
  const SessionTotals totals{kStart + kSecond, kStart + 61 * kSecond, 5000, 2};
  const Statement asked = statement();
  return Condition(text, kStart)
      .holds({of, &totals, &asked, StatementCatalog::fingerprint_of(asked.text->sql)});
}

bool holds_of_session(const std::string& text) {
  const SessionDescriptor of = session();
  const SessionTotals totals{kStart + kSecond, kStart + 61 * kSecond, 5000, 2};
  return Condition(text, kStart).holds({of, &totals, nullptr, 0});
}

std::size_t column_of_error(const std::string& text) {
  try {
    (void)Condition(text, kStart);
  } catch (const ConditionError& error) {
    return error.column();
  }
  return 0;
}

std::string error_of(const std::string& text) {
  try {
    (void)Condition(text, kStart);
  } catch (const ConditionError& error) {
    return error.what();
  }
  return {};
}

TEST(ConditionTest, NamesTakePatterns) {
  EXPECT_TRUE(holds("user = app"));
  EXPECT_TRUE(holds("user = a*"));
  EXPECT_FALSE(holds("user != ap?"));
  EXPECT_TRUE(holds("USER=app"));
  EXPECT_TRUE(holds("database != postgres"));
  EXPECT_TRUE(holds("application = 'till 3'"));
  EXPECT_TRUE(holds("application = \"till 3\""));
  EXPECT_TRUE(holds("application contains ill"));
  EXPECT_TRUE(holds("application ~ '^till [0-9]+$'"));
  EXPECT_TRUE(holds("backend = *:5432"));
  EXPECT_TRUE(holds("session = 1.17 and not session = 1.18"));
}

TEST(ConditionTest, AClientIsAnAddressWithOrWithoutItsPortOrInANetwork) {
  for (const char* one :
       {"192.0.2.7", "192.0.2.7:49152", "192.0.2.*", "192.0.2.0/24", "192.0.0.0/14", "0.0.0.0/0"})
    EXPECT_TRUE(holds(std::string("client = ") + one)) << one;
  for (const char* one : {"192.0.2.8", "192.0.3.0/24", "2001:db8::/32", "192.0.2.6/32"})
    EXPECT_FALSE(holds(std::string("client = ") + one)) << one;
  EXPECT_TRUE(holds("client != 10.0.0.0/8"));
  EXPECT_EQ(column_of_error("client = 10.0.0/8"), 10U);
  EXPECT_EQ(column_of_error("client = 10.0.0.0/33"), 10U);
}

TEST(ConditionTest, NumbersHaveUnits) {
  EXPECT_TRUE(holds("duration > 100ms and duration < 0.2s and duration = 150ms"));
  EXPECT_TRUE(holds("bytes >= 100 and bytes <= 100 and bytes < 1KiB"));
  EXPECT_TRUE(holds("rows = 5 and rows != 6"));
  EXPECT_TRUE(holds("gaps > 1 and session_bytes = 5000 and session_duration = 60s"));
  EXPECT_EQ(column_of_error("duration > fast"), 12U);
  EXPECT_EQ(column_of_error("bytes > 1parsec"), 9U);
  EXPECT_EQ(column_of_error("rows > -1"), 8U);
  EXPECT_EQ(column_of_error("rows > 99999999999999999999"), 8U);
}

TEST(ConditionTest, TimeIsOfTheClockOrIntoTheRecording) {
  EXPECT_TRUE(holds("time >= 10s and time < 11s"));
  EXPECT_FALSE(holds("time > 10s"));
  EXPECT_TRUE(holds("time > 2026-01-01 and time < '2027-01-01 00:00'"));
  // A session was open from its first event to its last.
  EXPECT_TRUE(holds_of_session("time > 60s and time < 2s"));
  EXPECT_FALSE(holds_of_session("time > 62s"));
  EXPECT_EQ(column_of_error("time = 10s"), 6U);
  EXPECT_EQ(column_of_error("time > soon"), 8U);
}

TEST(ConditionTest, StatementsByTextAndKind) {
  EXPECT_TRUE(holds("statement ~ 'UPDATE.*stock'"));
  EXPECT_FALSE(holds("statement ~ update"));
  EXPECT_TRUE(holds("statement ~* update and statement !~ insert"));
  EXPECT_FALSE(holds("statement !~* update"));
  EXPECT_TRUE(holds("statement contains 'id = 7'"));
  EXPECT_TRUE(holds("fingerprint = 'update stock set n = 9 where id = 1'"));
  EXPECT_FALSE(holds("fingerprint != 'update stock set n = 9 where id = 1'"));
  EXPECT_FALSE(holds("fingerprint = 0123456789abcdef"));
}

TEST(ConditionTest, WhatIsNotThereFulfilsNoComparison) {
  EXPECT_TRUE(holds("sqlstate = 40*"));
  for (const char* one : {"sqlstate = *", "sqlstate != 40001", "duration >= 0", "duration < 1h", "bytes >= 0",
                          "statement ~ .", "statement !~ x", "fingerprint != 0123456789abcdef"})
    EXPECT_FALSE(holds_of_session(one)) << one;
  EXPECT_TRUE(holds_of_session("not duration >= 0"));
}

TEST(ConditionTest, AndBindsMoreThanOr) {
  EXPECT_TRUE(holds("user = app or user = x and user = y"));
  EXPECT_FALSE(holds("(user = app or user = x) and user = y"));
  EXPECT_TRUE(holds("not user = x and user = app"));
  EXPECT_FALSE(holds("not (user = x or user = app)"));
  EXPECT_TRUE(holds("not not user = app"));
  EXPECT_TRUE(holds("NOT user = 'x' AND (rows=5)or user=x"));
}

TEST(ConditionTest, ValuesInQuotesMayHoldQuotes) {
  const SessionDescriptor of = session();
  const Statement asked = statement("select 'it''s (here)'");
  const auto found = [&](const std::string& text) {
    return Condition(text, kStart).holds({of, nullptr, &asked, 0});
  };
  EXPECT_TRUE(found("statement contains '''it''''s (here)'''"));
  EXPECT_TRUE(found("statement contains \"it''s (here)\""));
}

TEST(ConditionTest, ErrorsPointAtTheColumnAndSayWhatWasExpected) {
  EXPECT_EQ(column_of_error(""), 1U);
  EXPECT_EQ(column_of_error("user"), 5U);
  EXPECT_EQ(column_of_error("user ="), 7U);
  EXPECT_EQ(column_of_error("user = app or"), 14U);
  EXPECT_EQ(column_of_error("user = app database = x"), 12U);
  EXPECT_EQ(column_of_error("(user = app"), 12U);
  EXPECT_EQ(column_of_error("user = app)"), 11U);
  EXPECT_EQ(column_of_error("owner = app"), 1U);
  EXPECT_EQ(column_of_error("user > app"), 6U);
  EXPECT_EQ(column_of_error("session ~ 1"), 9U);
  EXPECT_EQ(column_of_error("user = 'app"), 8U);
  EXPECT_EQ(column_of_error("statement ~ '('"), 13U);
  EXPECT_EQ(column_of_error("session = 17"), 11U);
  EXPECT_EQ(error_of("user = app and owner = x").substr(0, 28), "column 16: expected not, a p");
  EXPECT_THAT(error_of("user = app and owner = x"),
              HasSubstr("\n  user = app and owner = x\n                 ^"));
}

TEST(ConditionTest, WhatWouldTakeForEverIsRefused) {
  EXPECT_THAT(error_of(std::string(5000, ' ')), HasSubstr("at most 4096 bytes"));
  EXPECT_THAT(error_of(std::string(200, '(') + "user = x" + std::string(200, ')')), HasSubstr("too deeply"));
  std::string nots;
  for (int i = 0; i < 500; ++i) nots += "not ";
  EXPECT_THAT(error_of(nots + "user = x"), HasSubstr("too deeply"));
  EXPECT_THAT(error_of("statement ~ '((a{100}){100})'"), HasSubstr("repetitions"));
  EXPECT_THAT(error_of("statement ~ 'a" + std::string(60, '+') + "'"), HasSubstr("repetitions"));
  std::string nested = "a";
  for (int depth = 0; depth < 20; ++depth) nested = "(" + nested + "[])]x\\)+)+";
  EXPECT_THAT(error_of("statement ~ '" + nested + "'"), HasSubstr("repetitions"));
  EXPECT_THAT(error_of("statement ~ 'a{99999999999999999999}'"), HasSubstr("repetitions"));
  EXPECT_EQ(error_of("statement ~ '^[0-9]{4}-[0-9]{2,}(a+b+c+)+ x{500}y{500}'"), "");
  EXPECT_THAT(error_of("statement ~ '(a)\\1'"), HasSubstr("refers back"));
  EXPECT_THAT(error_of("statement ~ " + std::string(600, 'a')), HasSubstr("more than 500 bytes"));
  std::string many = "user = x";
  for (int i = 0; i < 300; ++i) many += " or user=x";
  EXPECT_FALSE(holds(many));
}

}  // namespace
}  // namespace understudy::replayer
