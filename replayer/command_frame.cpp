#include "replayer/command_frame.h"

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "formats/command.h"
#include "formats/transcript/segment_name.h"
#include "replayer/output.h"
#include "replayer/reading_keys.h"

namespace understudy::replayer {

void usage(const std::string& what) { throw std::invalid_argument(what); }

cxxopts::Options command_options(const std::string& name, const std::string& summary) {
  cxxopts::Options options("understudy " + name, summary + "\n");
  options.set_width(kHelpColumns);
  options.custom_help("RECORDING [options]");
  options.positional_help("");
  options.add_options()("h,help", "this text");
  add_key_options(options);
  options.add_options("hidden")("recording", "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional({"recording"});
  return options;
}

int run_command(cxxopts::Options& options, const std::string& notes, int argc, char** argv,
                const std::function<int(const cxxopts::ParseResult&, const std::string&)>& body) {
  std::string problem;
  try {
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::fputs((options.help({""}) + notes).c_str(), stdout);
      return 0;
    }
    const auto paths = given.count("recording") > 0 ? given["recording"].as<std::vector<std::string>>()
                                                    : std::vector<std::string>{};
    if (paths.size() != 1) usage("give one RECORDING, a directory or a file");
    return body(given, paths.front());
  } catch (const OutputClosed&) {
    return 0;
  } catch (const cxxopts::exceptions::exception& error) {
    problem = error.what();
  } catch (const std::invalid_argument& error) {
    problem = error.what();
  }
  std::fprintf(stderr, "%s: %s\nSee %s --help.\n", options.program().c_str(), problem.c_str(),
               options.program().c_str());
  return kExitUsage;
}

std::uint64_t count_option(const cxxopts::ParseResult& given, const std::string& name) {
  const std::string text = given[name].as<std::string>();
  const char* const end = text.data() + text.size();
  std::uint64_t count = 0;
  const auto [last, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || last != end)
    usage("--" + name + " \"" + text + "\" is not a whole number, such as 20");
  return count;
}

void refuse_to_overwrite(const Recording& recording, const std::string& option, const std::string& file) {
  namespace fs = std::filesystem;
  // An error means that the file is not there yet, and so is no segment.
  std::error_code error;
  const fs::path output = fs::weakly_canonical(file, error);
  const fs::path source(recording.path());
  for (const fs::path& segment : list_segments(source)) {
    if (fs::equivalent(output, segment, error)) {
      usage("--" + option + " \"" + file + "\" is a segment of the recording " + recording.path() +
            ": name another file");
    }
  }
  const fs::path directory = fs::is_directory(source, error) ? source : fs::absolute(source).parent_path();
  if (output.extension() == ".transcript" && fs::equivalent(output.parent_path(), directory, error)) {
    usage("--" + option + " \"" + file + "\" would be taken for a segment of the recording in " +
          directory.string() + ": give it a name that does not end in .transcript, or another directory");
  }
}

std::string where_option(const cxxopts::ParseResult& given) {
  const std::string text = option(given, "where");
  if (given.count("where") > 0 && text.empty())
    usage("--where is empty: leave it out, and everything is meant");
  if (given.count("where") > 1) usage("--where is given more than once: join the conditions by \"and\"");
  return text;
}

std::string option(const cxxopts::ParseResult& given, const char* name) {
  return given.count(name) > 0 ? given[name].as<std::string>() : std::string();
}

}  // namespace understudy::replayer
