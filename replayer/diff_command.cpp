// understudy diff: opens both recordings, compares, reports.
#include <cstdio>
#include <cxxopts.hpp>
#include <optional>

#include "formats/command.h"
#include "replayer/command_frame.h"
#include "replayer/commands.h"
#include "replayer/diff.h"
#include "replayer/diff_json.h"
#include "replayer/diff_report.h"
#include "replayer/output_stream.h"
#include "replayer/progress.h"
#include "replayer/reading_keys.h"
#include "replayer/recording_lookup.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

constexpr int kExitNotCompared = 2;

constexpr const char* kNotes =
    "\nA and B are recordings (directories or files): production and its replay, or two replays. Sessions\n"
    "are compared exchange by exchange: errors and SQLSTATE, command tags, row counts, columns, rows\n"
    "cell by cell, their order, transaction states, notices. Latency is shown and never a difference.\n"
    "What differs by nature (process ids, cancel keys, server versions, ...) is left out and counted. So\n"
    "is a login that production refused and the replay did not: a recording holds no passwords.\n"
    "\nExit codes: 0 same; 1 different; 2 could not compare, or bad usage; 3 the same as far as it could be\n"
    "compared: a recording is damaged, has a hole, or ends before an answer or what the other one has.\n"
    "A recording that was cut off (a crash, the proxy's end) where each of its sessions stood between two\n"
    "requests, where the other has no more than that either, is the same: 0. The report says that it was\n"
    "not closed (JSON: closed), so that what came after its end is not known.\n";

cxxopts::Options command_options() {
  cxxopts::Options options("understudy diff", "Compares the replies of two recordings.\n");
  options.set_width(kHelpColumns);
  options.custom_help("A B [options]");
  options.positional_help("");
  auto add = options.add_options();
  add("json", "write all differences, and the summary, as JSON; - for standard output, in place of the text",
      cxxopts::value<std::string>(), "FILE");
  add("examples", "how many kinds of differences to show", cxxopts::value<std::string>()->default_value("10"),
      "N");
  add("statements", "how many statements' latencies to show",
      cxxopts::value<std::string>()->default_value("10"), "N");
  add("ignore-unpaired",
      "sessions that only one recording has are counted, but no difference (replay --from, --until)");
  add("quiet", "no progress");
  add("h,help", "this text");
  add_key_options(options);
  options.add_options("hidden")("recordings", "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional({"recordings"});
  return options;
}

// Why there is no answer; null when there is one.
const char* nothing_compared(const DiffTotals& totals) {
  if (totals.sessions == 0) return "no session of A has a counterpart in B";
  const bool cut = totals.sessions_cut > 0 && totals.exchanges == 0;
  return cut ? "the recordings end before the first exchange is over" : nullptr;
}

// Where the results go. Standard output's text or JSON, a file's JSON; each only if asked for.
class Reports {
 public:
  Reports(const std::string& json_path, const Recording& a, const Recording& b) : stream_(out_) {
    if (json_path.empty()) return;
    if (json_path != "-") {
      refuse_to_overwrite(a, "json", json_path);
      refuse_to_overwrite(b, "json", json_path);
      file_.emplace(json_path);
      file_stream_.emplace(*file_);
    }
    json_.emplace(file_ ? static_cast<std::ostream&>(*file_stream_) : stream_);
  }
  void follow(DiffResult& result) {
    if (!json_) return;
    result.tell([&](const Difference& difference) { json_->add(difference, result.catalog); });
  }
  void finish(const DiffResult& result, const DiffSubjects& subjects, const DiffReportOptions& options) {
    if (json_) json_->finish(result, subjects);
    if (file_) file_->finish();
    if (file_ || !json_) print_diff(stream_, result, subjects, options);
    out_.finish();
  }

 private:
  Output out_;
  OutputStream stream_;
  std::optional<Output> file_;
  std::optional<OutputStream> file_stream_;
  std::optional<DiffJson> json_;
};

void compare(Diff& comparison, const Recording& a, bool quiet) {
  std::optional<Progress> progress;
  if (!quiet) progress.emplace();
  const auto [first, last] = a.time_range();
  const auto into = [from = first](TimeNs time) {
    return static_cast<std::uint64_t>(std::max<TimeNs>(0, time_between(from, time)));
  };
  (void)comparison.run([&, total = into(last)](TimeNs time) {
    if (progress) progress->at(into(time), total);
    return true;
  });
}

int diff(const cxxopts::ParseResult& given, const std::string& path_a, const std::string& path_b) {
  DiffReportOptions report;
  report.examples = count_option(given, "examples");
  report.statements = count_option(given, "statements");
  report.columns = output_columns(report.columns);
  const auto keys = reading_keys(given);
  const Recording a(path_a, keys);
  const Recording b(path_b, keys);
  Reports reports(option(given, "json"), a, b);
  DiffResult result;
  reports.follow(result);
  Diff comparison(a, b, result, given.count("ignore-unpaired") > 0);
  bool compared = false;
  try {
    compare(comparison, a, given.count("quiet") > 0);
    compared = true;
    reports.finish(result, {a, b, comparison.paired_by()}, report);
  } catch (const OutputClosed&) {
    // Whoever read it has seen enough. Where all was compared the answer is known.
    if (!compared) return kExitNotCompared;
  }
  warn_of_damage("diff", a);
  warn_of_damage("diff", b);
  if (const char* const why = nothing_compared(result.totals)) {
    std::fprintf(stderr, "understudy diff: %s: nothing was compared\n", why);
    return kExitNotCompared;
  }
  if (!result.same()) return 1;
  return result.complete() ? 0 : kExitInPart;
}

}  // namespace

int run_diff(int argc, char** argv) {
  cxxopts::Options options = command_options();
  try {
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::fputs((options.help({""}) + kNotes).c_str(), stdout);
      return 0;
    }
    const auto paths = given.count("recordings") > 0 ? given["recordings"].as<std::vector<std::string>>()
                                                     : std::vector<std::string>{};
    if (paths.size() != 2) throw std::invalid_argument("give two recordings, A and B");
    return diff(given, paths[0], paths[1]);
  } catch (const cxxopts::exceptions::exception& error) {
    std::fprintf(stderr, "understudy diff: %s\nSee understudy diff --help.\n", error.what());
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "understudy diff: %s\nSee understudy diff --help.\n", error.what());
  }
  return kExitUsage;
}

}  // namespace understudy::replayer
