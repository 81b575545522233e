// understudy import: a recording from a server's logs. Runs on the main thread.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <stdexcept>

#include "formats/command.h"
#include "formats/transcript/segment_name.h"
#include "proxy/clock.h"
#include "recorder/capture/waiting_recorder.h"
#include "recorder/commands.h"
#include "recorder/import/import_options.h"
#include "recorder/import/import_report.h"
#include "recorder/signals.h"

namespace understudy::recorder {
namespace {

constexpr int kFailed = 1;
constexpr int kInPart = 3;

// How far it is, on standard error if that is a terminal.
class ImportProgress {
 public:
  explicit ImportProgress(std::uint64_t total) : total_(total), terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~ImportProgress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }
  ImportProgress(const ImportProgress&) = delete;
  ImportProgress& operator=(const ImportProgress&) = delete;

  void at(std::uint64_t done, const ImportCounts& counts) {
    if (!terminal_ || proxy::now_ns() < next_) return;
    next_ = proxy::now_ns() + kSecond / 2;
    drawn_ = true;
    const std::string of =
        total_ > 0 ? std::to_string(std::min<std::uint64_t>(100, done * 100 / total_)) + " %" : "";
    std::fprintf(stderr, "\r\033[K%s of the logs read, %llu statements",
                 of.empty() ? format_size(done).c_str() : of.c_str(),
                 static_cast<unsigned long long>(counts.statements()));
  }

 private:
  const std::uint64_t total_;
  const bool terminal_;
  bool drawn_ = false;
  TimeNs next_ = proxy::now_ns() + kSecond;
};

// One server's stderr log and its csvlog hold the same statements.
void refuse_mixture(const std::vector<LogFile>& files) {
  for (const LogFile& file : files) {
    if (!file.format || !files.front().format || *file.format == *files.front().format) continue;
    throw std::runtime_error(
        files.front().name + " is " + std::string(logs::format_name(*files.front().format)) + ", " +
        file.name + " is " + std::string(logs::format_name(*file.format)) +
        ": if one server wrote both, each statement would be there twice. Import them apart");
  }
}

bool asked_to_end(const Signals& signals) {
  const auto signal = signals.poll(-1, 0);
  return signal == SIGTERM || signal == SIGINT;
}

// The same statements would be in it twice.
void refuse_used(const std::filesystem::path& output) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(output, error), end; !error && at != end; at.increment(error)) {
    if (parse_segment_name(at->path().filename().string()))
      throw std::invalid_argument("--output " + output.string() +
                                  ": there is a recording in it already; name another directory");
  }
}

int import_logs(const ImportOptions& options) {
  const Signals signals;
  const std::vector<LogFile> files = survey_logs(options.files, options.dialect);
  refuse_mixture(files);
  WaitingRecorder recorder(options.recording, {.producer = "understudy " UNDERSTUDY_VERSION " import",
                                               .attributes = {{"import", "logs"}}});
  ImportSessions sessions(recorder, ImportSessions::kMaxOpen, options.recording.redact);
  ImportSummary summary;
  {
    ImportProgress progress(
        std::accumulate(files.begin(), files.end(), std::uint64_t{0},
                        [](std::uint64_t sum, const LogFile& file) { return sum + file.bytes; }));
    std::string prefix;
    std::uint64_t before = 0;
    for (const LogFile& file : files) {
      LogFileReader reader(file, options.dialect, prefix, sessions);
      while (!summary.ended_early && recorder.failure().empty() && reader.read()) {
        summary.ended_early = asked_to_end(signals);
        progress.at(before + reader.bytes_read(), sessions.counts());
      }
      before += reader.bytes_read();
      if (!reader.prefix().empty()) prefix = reader.prefix();
      summary.files.push_back({file.name,
                               std::string(reader.format() ? logs::format_name(*reader.format()) : ""),
                               reader.prefix(), reader.bytes_read(), reader.error()});
      if (summary.ended_early) break;
    }
  }
  sessions.finish();
  summary.output = options.recording.directory.string();
  summary.counts = sessions.counts();
  const bool nothing = summary.counts.records == 0 && recorder.failure().empty();
  if (nothing) {
    recorder.withdraw();
  } else {
    summary.run = recorder.run();
    summary.recorded = recorder.finish(summary.counts.last_time);
    summary.recording = recorder.statistics();
  }
  std::fputs((options.json ? summary_as_json(summary) : summary_as_text(summary)).c_str(), stdout);
  if (!nothing && !recorder.failure().empty()) throw std::runtime_error(recorder.failure());
  if (nothing) {
    std::fprintf(
        stderr,
        "understudy import: nothing in these files is a record of a server's log. Is it a stderr log "
        "with another\nlog_line_prefix (--log-line-prefix), or another --format?\n");
    return kFailed;
  }
  if (summary.counts.statements() == 0) {
    std::fprintf(stderr,
                 "understudy import: no statement in these logs. Was log_statement = all set, or\n"
                 "log_min_duration_statement = 0, and lc_messages English?\n");
  }
  if (!summary.recorded) return kFailed;
  return is_in_part(summary) ? kInPart : 0;
}

}  // namespace

int run_import(int argc, char** argv) {
  std::optional<ImportOptions> options;
  try {
    options = read_import_options(argc, argv);
    if (options) refuse_used(options->recording.directory);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "understudy import: %s\nSee understudy import --help.\n", error.what());
    return kExitUsage;
  }
  return options ? import_logs(*options) : 0;
}

}  // namespace understudy::recorder
