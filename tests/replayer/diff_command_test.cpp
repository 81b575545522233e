// understudy diff, as a user types it: what it refuses. What it finds is tested in diff_test.cpp and others.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using testing::HasSubstr;

class DiffCommandTest : public RecordingTest {
 protected:
  DiffCommandTest() {
    begin_segment(1, 1);
    open_session(kA, 100);
    from_server(kA, 101, ready());
    from_client(kA, 102, query("select 1"));
    from_server(kA, 103, complete("SELECT 1") + ready());
    close_session(kA, 104);
    seal();
    finish_and_save();
  }
  // The recording with itself.
  [[nodiscard]] Outcome diff(std::vector<std::string> options) const {
    options.insert(options.begin(), {"diff", path(), path(), "--quiet"});
    return run_command(std::move(options));
  }
};

TEST_F(DiffCommandTest, BadNumbersAreToldWithTheirOption) {
  EXPECT_EQ(diff({}).code, 0);
  for (const char* option : {"--examples", "--statements"}) {
    for (const char* value : {"-1", "many", "", "5x", "99999999999999999999"}) {
      const Outcome outcome = diff({std::string(option) + "=" + value});
      EXPECT_EQ(outcome.code, 2);
      EXPECT_THAT(outcome.err, HasSubstr(std::string(option) + " \"" + value + "\" is not a whole number"));
    }
  }
}

TEST_F(DiffCommandTest, ARecordingThatIsReadIsNeverOverwritten) {
  const std::string segment = (directory_ / name_).string();
  const auto size = std::filesystem::file_size(segment);
  const Outcome outcome = diff({"--json", segment});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--json \"" + segment + "\" is a segment of the recording " + path()));
  EXPECT_EQ(diff({"--json", path() + "/a.transcript"}).code, 2);
  EXPECT_EQ(std::filesystem::file_size(segment), size);
  EXPECT_EQ(diff({"--json", path() + "/a.json"}).code, 0);
}

TEST_F(DiffCommandTest, ItsReportFitsTheTerminal) {
  const TerminalColumns terminal("80");
  std::istringstream out(diff({}).out);
  for (std::string line; std::getline(out, line);) EXPECT_LE(line.size(), 80U) << line;
}

}  // namespace
}  // namespace understudy::test
