// Rules that nothing in a recording is called by, or that masked nothing, are told of.
#include "replayer/mask/mask_report.h"
#include "tests/replayer/mask_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;

class MaskReport : public MaskFixture {
 protected:
  MaskReport()
      : MaskFixture(
            "column emial\n\ncolumn email\ncolumn users.ssn\ncolumn peple.name\ncolumn flag\ntype "
            "uuid\npattern qq") {
    session_.begin();
  }
  std::string unused() { return unused_rules(masker_.counts(), rules_); }
};

TEST_F(MaskReport, TellsRulesThatNothingIsCalledBy) {
  // Rows not taken apart are masked by the first rule, which names nothing: that does not make it a good one.
  client(query("INSERT INTO t VALUES ('aaaaaa')"));
  server(complete("INSERT 0 1") + ready());
  client(query("SELECT 1 FROM users WHERE email = 'aaaaaa' AND flag = true AND name = 'aaaaaa'"));
  server(row_description({"ssn"}) + row({"aaaaaa"}) + complete("SELECT 1") + ready());
  const std::string text = unused();
  for (const char* const told : {"line 1, \"column emial\"", "line 5, \"column peple.name\"",
                                 "line 7, \"type uuid\"", "line 8, \"pattern qq\""})
    EXPECT_NE(text.find(told), std::string::npos) << told << "\n" << text;
  for (const char* const used : {"column email\"", "ssn", "flag"})
    EXPECT_EQ(text.find(used), std::string::npos) << used << "\n" << text;
}

TEST_F(MaskReport, TellsColumnsWithoutAValue) {
  client(query("SELECT email FROM t WHERE emial IS NULL"));
  EXPECT_NE(unused().find("line 3, \"column email\": no value"), std::string::npos) << unused();
  server(row_description({"email"}) + row({"aaaaaa"}) + complete("SELECT 1") + ready());
  EXPECT_EQ(unused().find("\"column email\""), std::string::npos) << unused();
  const std::string json = mask_report_json(masker_.counts(), rules_);
  EXPECT_NE(json.find("\"rule\": \"column email\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"unused\": false"), std::string::npos) << json;
}

}  // namespace
}  // namespace understudy::replayer
