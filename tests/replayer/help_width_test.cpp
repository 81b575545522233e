// --help of every command fits a terminal of kHelpColumns.
#include <gtest/gtest.h>

#include <sstream>

#include "formats/command.h"
#include "recorder/commands.h"
#include "replayer/commands.h"

namespace understudy::test {
namespace {

const std::vector<Subcommand> kCommands = {
    {"proxy", "", recorder::run_proxy},       {"record", "", recorder::run_record},
    {"import", "", recorder::run_import},     {"ctl", "", recorder::run_ctl},
    {"replay", "", replayer::run_replay},     {"diff", "", replayer::run_diff},
    {"show", "", replayer::run_show},         {"verify", "", replayer::run_verify},
    {"export", "", replayer::run_export},     {"mask", "", replayer::run_mask},
    {"mask-sql", "", replayer::run_mask_sql},
};

TEST(HelpTest, NoLineIsWiderThanItSays) {
  for (const Subcommand& command : kCommands) {
    std::string program = "understudy";
    std::string name(command.name);
    std::string option = "--help";
    char* argv[] = {program.data(), name.data(), option.data(), nullptr};
    testing::internal::CaptureStdout();
    const int code = run_command_line(3, argv, kCommands);
    std::istringstream help(testing::internal::GetCapturedStdout());
    EXPECT_EQ(code, 0) << name;
    std::size_t lines = 0;
    for (std::string line; std::getline(help, line); ++lines) {
      EXPECT_LE(line.size(), static_cast<std::size_t>(kHelpColumns)) << name << ": " << line;
      // What cxxopts says where an option's value has no name.
      EXPECT_EQ((line + " ").find(" arg "), std::string::npos) << name << ": " << line;
    }
    EXPECT_GT(lines, 5U) << name;
  }
}

}  // namespace
}  // namespace understudy::test
