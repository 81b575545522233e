// The JSON that scripts read: it parses, whatever was recorded, and holds everything.
#include "replayer/diff_json.h"

#include <Poco/JSON/Parser.h>
#include <gmock/gmock.h>

#include <sstream>

#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;
using Poco::JSON::Array;
using Poco::JSON::Object;

class DiffJsonTest : public DiffTest {
 protected:
  // Compares, and parses what was written.
  const Object& json() {
    std::ostringstream out;
    DiffJson writer(out);
    result.tell([&](const Difference& difference) { writer.add(difference, result.catalog); });
    Diff diff(a.recording(), b.recording(), result, false);
    EXPECT_TRUE(diff.run([](TimeNs) { return true; }));
    writer.finish(result, {a.recording(), b.recording(), diff.paired_by()});
    text = out.str();
    parsed_ = Poco::JSON::Parser().parse(text).extract<Object::Ptr>();
    return *parsed_;
  }
  static const Object& object(const Object& in, const std::string& key) { return *in.getObject(key); }
  static std::uint64_t number(const Object& in, const std::string& key) {
    return in.getValue<std::uint64_t>(key);
  }

  std::string text;

 private:
  Object::Ptr parsed_;
};

TEST_F(DiffJsonTest, SameRecordings) {
  both_open();
  both_exchange("SELECT 1", Server().rows({"1"}));
  both_leave();
  const Object& diff = json();
  EXPECT_TRUE(diff.getValue<bool>("same"));
  EXPECT_EQ(diff.getArray("differences")->size(), 0U);
  EXPECT_EQ(number(object(diff, "summary"), "exchanges"), 1U);
  EXPECT_EQ(number(object(diff, "noise"), "cancel_keys"), 1U);
  EXPECT_EQ(object(diff, "a").getValue<std::string>("id"), a.id());
  EXPECT_EQ(diff.getArray("latency")->size(), 1U);
  EXPECT_EQ(object(diff, "cuts").size(), 0U);
}

TEST_F(DiffJsonTest, LatencyIsToldByItsPercentilesOfBothSides) {
  both_open();
  for (int n = 1; n <= 1000; ++n) {
    a.asks(Client().query("SELECT 1")).after(n * kMillisecond).answers(Server().rows({"1"}));
    b.asks(Client().query("SELECT 1")).after(3 * n * kMillisecond).answers(Server().rows({"1"}));
  }
  both_leave();
  const Object& statement = *json().getArray("latency")->getObject(0);
  for (const auto& [side, times] : {std::pair("a", 1), std::pair("b", 3)}) {
    const Object& told = object(statement, side);
    EXPECT_EQ(number(told, "count"), 1000U);
    for (const auto& [key, exact] :
         {std::pair("p50_ns", 500), std::pair("p95_ns", 950), std::pair("p99_ns", 990)}) {
      const auto milliseconds = static_cast<double>(number(told, key)) / kMillisecond;
      EXPECT_GE(milliseconds, exact * times) << side << key;
      EXPECT_LE(milliseconds, exact * times * 1.03) << side << key;
    }
    EXPECT_EQ(number(told, "max_ns"), 1000U * times * kMillisecond);
  }
}

TEST_F(DiffJsonTest, ADifferenceWithItsRows) {
  both_open();
  asked("SELECT id, price FROM product WHERE id = 7",
        Server().columns({"id", "price"}).row({"7", "8.75"}).tag("SELECT 1").ready(),
        Server().columns({"id", "price"}).row({"7", "99.99"}).tag("SELECT 1").ready());
  both_leave();
  const Object& diff = json();
  EXPECT_FALSE(diff.getValue<bool>("same"));
  const Object::Ptr difference = diff.getArray("differences")->getObject(0);
  EXPECT_EQ(difference->getValue<std::string>("class"), "rows");
  EXPECT_FALSE(difference->getValue<bool>("downstream"));
  EXPECT_EQ(difference->getValue<std::string>("session_a"), "1.1");
  EXPECT_EQ(number(*difference, "exchange"), 1U);
  EXPECT_EQ(difference->getValue<std::string>("statement"), "SELECT id, price FROM product WHERE id = $1");
  EXPECT_EQ(difference->getValue<std::string>("request"), "SELECT id, price FROM product WHERE id = 7");
  EXPECT_EQ(difference->getArray("columns")->getElement<std::string>(1), "price");
  const Object& rows = object(*difference, "rows");
  EXPECT_EQ(number(rows, "changed"), 1U);
  EXPECT_EQ(rows.getArray("examples")->getObject(0)->getValue<std::string>("b"), "7 | 99.99");
  EXPECT_EQ(diff.getArray("groups")->getObject(0)->getValue<std::string>("class"), "rows");
}

TEST_F(DiffJsonTest, EveryDifferenceIsThereHoweverMany) {
  both_open();
  constexpr std::size_t kStatements = DiffResult::kMaxGroups + 500;
  for (std::size_t i = 0; i < kStatements; ++i)
    asked("SELECT * FROM " + letters(i), Server().rows({"1"}), Server().rows({"2"}));
  both_leave();
  EXPECT_EQ(json().getArray("differences")->size(), kStatements);
}

TEST_F(DiffJsonTest, WhateverWasRecordedItIsValid) {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string surrogates = "\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80\xe2\x82\"\\";
  a.session(1, {.user = all, .settings = {{"x", all}}});
  b.session(1, replaying(a, 1, {.user = all, .settings = {{"x", surrogates}}}));
  asked("SELECT '" + all + "' AS \"" + surrogates + "\"", Server().columns({all}).row({all}).tag(all).ready(),
        Server().columns({all}).row({surrogates}).tag(surrogates).ready());
  asked(all, Server().error("1", all).ready(), Server().tag("x").ready());
  a.gap();
  both_leave();
  EXPECT_GE(json().getArray("differences")->size(), 3U);
  for (const char c : text) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n');
}

}  // namespace
}  // namespace understudy::replayer
