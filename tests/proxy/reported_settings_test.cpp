#include "proxy/reported_settings.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

TEST(ReportedSettings, AreFoundByName) {
  const ReportedSettings settings{{"TimeZone", "UTC"}, {"DateStyle", "ISO"}};
  ASSERT_NE(settings.find("TimeZone"), nullptr);
  EXPECT_EQ(*settings.find("TimeZone"), "UTC");
  EXPECT_EQ(settings.find("timezone"), nullptr);
  EXPECT_EQ(settings.begin()->first, "DateStyle");
  EXPECT_EQ(ReportedSettings().find("TimeZone"), nullptr);
  EXPECT_EQ(ReportedSettings().begin(), ReportedSettings().end());
}

TEST(ReportedSettings, TheLastReportCounts) {
  ReportedSettings settings(
      ReportedSettings::Items{{"b", "1"}, {"a", "1"}, {"b", "2"}, {"a", "3"}, {"b", "4"}});
  EXPECT_EQ(settings.end() - settings.begin(), 2);
  EXPECT_EQ(*settings.find("a"), "3");
  EXPECT_EQ(*settings.find("b"), "4");
  settings.set("b", "5");
  settings.set("aa", "6");
  EXPECT_EQ(*settings.find("b"), "5");
  EXPECT_EQ(settings.end() - settings.begin(), 3);
}

TEST(ReportedSettings, ACopyIsOnItsOwn) {
  ReportedSettings one{{"a", "1"}};
  ReportedSettings other = one;
  other.set("a", "2");
  other.set("b", "3");
  EXPECT_EQ(*one.find("a"), "1");
  EXPECT_EQ(one.find("b"), nullptr);
  one.set("a", "4");
  EXPECT_EQ(*other.find("a"), "2");
  ReportedSettings none;
  none.set("a", "5");
  EXPECT_EQ(*none.find("a"), "5");
}

}  // namespace
}  // namespace understudy::proxy
