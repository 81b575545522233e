// The command line's dispatch, and sizes, durations and times as text.
#include "formats/command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>

namespace understudy {
namespace {

int succeed(int argc, char** argv) {
  const std::string_view option = argc == 2 ? argv[1] : "";
  return option == "--flag" ? 0 : option == "--help" ? 7 : 9;
}
int fail(int, char**) { throw std::runtime_error("the disk is gone"); }

const std::vector<Subcommand> kCommands = {{"proxy", "relay", succeed},
                                           {"show", "list", fail},
                                           {"diff", "compare", fail},
                                           {"verify", "check", fail}};

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "understudy");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_command_line(static_cast<int>(arguments.size()), argv.data(), kCommands);
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(Command, SubcommandGetsItsOwnArguments) { EXPECT_EQ(run({"proxy", "--flag"}).code, 0); }

TEST(Command, HelpListsEveryCommand) {
  const Outcome outcome = run({"--help"});
  EXPECT_EQ(outcome.code, 0);
  for (const Subcommand& command : kCommands) {
    EXPECT_NE(outcome.out.find(command.name), std::string::npos);
    EXPECT_NE(outcome.out.find(command.summary), std::string::npos);
  }
}

TEST(Command, VersionIsPrinted) {
  EXPECT_EQ(run({"--version"}).out.find("understudy "), 0U);
  EXPECT_EQ(run({"--version"}).code, 0);
}

TEST(Command, VersionAndHelpOfACommandMayBeAskedForEitherWay) {
  EXPECT_EQ(run({"proxy", "--version"}).out, run({"--version"}).out);
  EXPECT_EQ(run({"help", "proxy"}).code, run({"proxy", "--help"}).code);
  EXPECT_EQ(run({"help", "proxy"}).code, 7);
  EXPECT_EQ(run({"help", "nothing"}).code, 0);
}

TEST(Command, UnknownCommandOrNoneIsBadUsage) {
  EXPECT_EQ(run({}).code, kExitUsage);
  const Outcome outcome = run({"reply"});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_NE(outcome.err.find("no command \"reply\""), std::string::npos);
}

TEST(Command, ErrorsOfFilesAreSaidWithoutTheLibrarysWords) {
  namespace fs = std::filesystem;
  const auto denied = std::make_error_code(std::errc::permission_denied);
  EXPECT_EQ(
      in_words(fs::filesystem_error("cannot create directory", "/srv/x", denied)),
      "cannot create directory /srv/x: Permission denied. Run it as a user who may, or name another place");
  EXPECT_EQ(
      in_words(fs::filesystem_error("cannot copy", "/a", "/b", std::make_error_code(std::errc::io_error))),
      "cannot copy /a to /b: Input/output error");
}

TEST(Command, ExceptionThatLeavesACommandIsPrintedAndGivesItsCode) {
  EXPECT_EQ(run({"show"}).code, 1);
  EXPECT_EQ(run({"show"}).err, "understudy show: the disk is gone\n");
  EXPECT_EQ(run({"diff"}).code, 2) << "1 would say \"different\"";
  EXPECT_EQ(run({"verify"}).code, 2) << "1 would say \"damaged\"";
}

TEST(CommandText, Sizes) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(820), "820 B");
  EXPECT_EQ(format_size(1024), "1 KiB");
  EXPECT_EQ(format_size(1'572'864), "1.5 MiB");
  EXPECT_EQ(format_size(1'048'575), "1 MiB") << "not 1024 KiB";
  EXPECT_EQ(format_size(UINT64_MAX), "16 EiB");
}

TEST(CommandText, Durations) {
  EXPECT_EQ(format_duration(0), "0 ns");
  EXPECT_EQ(format_duration(850'000), "850 us");
  EXPECT_EQ(format_duration(999'999), "1 ms") << "not 1000 us";
  EXPECT_EQ(format_duration(1'200'000'000), "1.2 s");
  EXPECT_EQ(format_duration(123'000'000'000), "2 min 3 s");
  EXPECT_EQ(format_duration(59'999'000'000), "1 min");
  EXPECT_EQ(format_duration(7'384'000'000'000), "2 h 3 min");
  EXPECT_EQ(format_duration(-1'500'000), "-1.5 ms");
  EXPECT_EQ(format_duration(INT64_MIN).front(), '-');
}

TEST(CommandText, TimesAreUtcWithTheDigitsAskedFor) {
  EXPECT_EQ(format_time(1'795'527'067'123'456'789), "2026-11-24T13:31:07.123456Z");
  EXPECT_EQ(format_time(1'795'527'067'123'456'789, 9), "2026-11-24T13:31:07.123456789Z");
  EXPECT_EQ(format_time(1'795'527'067'123'456'789, 0), "2026-11-24T13:31:07Z");
  EXPECT_EQ(format_time(-1, 9), "1969-12-31T23:59:59.999999999Z");
}

TEST(CommandText, SizesAreParsed) {
  EXPECT_EQ(parse_size("4096"), 4096U);
  EXPECT_EQ(parse_size("64MiB"), 67'108'864U);
  EXPECT_EQ(parse_size("1GB"), 1'000'000'000U);
  EXPECT_EQ(parse_size("1.5 KiB"), 1536U);
  EXPECT_EQ(parse_size("0"), 0U);
}

TEST(CommandText, MalformedSizesAreRefused) {
  for (const std::string_view text : {"", " ", "MiB", "-1", "+1", "1e3", "1 XiB", "1MiB2", "nan", "inf",
                                      "0x10", "99999999999999999999", "9999999TiB"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(CommandText, DurationsAreParsed) {
  EXPECT_EQ(parse_duration("500ms"), 500'000'000);
  EXPECT_EQ(parse_duration("2s"), 2'000'000'000);
  EXPECT_EQ(parse_duration("5min"), 300'000'000'000);
  EXPECT_EQ(parse_duration("1h"), 3'600'000'000'000);
  EXPECT_EQ(parse_duration("30"), 30'000'000'000);
  EXPECT_EQ(parse_duration("0.5"), 500'000'000);
}

TEST(CommandText, MalformedDurationsAreRefused) {
  for (const std::string_view text : {"", "s", "-2s", "2 fortnights", "1:30", "999999999h"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace understudy
