#include "replayer/show/follow.h"

#include <csignal>
#include <cstdio>
#include <ctime>
#include <map>
#include <set>

#include "formats/command.h"
#include "formats/transcript/segment_name.h"
#include "formats/transcript/segment_reader.h"
#include "replayer/condition_scope.h"
#include "replayer/counted.h"
#include "replayer/message_json.h"
#include "replayer/readable.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

namespace fs = std::filesystem;

constexpr long kPollNs = 200'000'000;
constexpr std::size_t kNameBytes = 100;

volatile std::sig_atomic_t stop_asked = 0;

void ask_to_stop(int /*signal*/) { stop_asked = 1; }

// What was answered, a line each.
class Lines final : public StatementSink {
 public:
  Lines(const FollowOptions& options, const StatementCatalog& catalog, Output& out)
      : options_(options), catalog_(catalog), out_(out) {}

  // `start`: of the recording.
  void begin(TimeNs start) {
    if (options_.where.empty() || condition_) return;
    try {
      condition_.emplace(options_.where, start);
    } catch (const ConditionError& error) {
      throw std::invalid_argument(std::string("--where, ") + error.what());
    }
    if (condition_->asks_for_totals())
      throw std::invalid_argument(
          "--where asks for gaps, session_bytes or session_duration, which are not known "
          "of a recording that goes on: leave them out with --follow");
  }
  // From now on what comes is shown.
  void show() { shown_ = true; }

  void done(const ScannedSession& session, const Statement& statement) override {
    const bool wanted = options_.from ? statement.completed >= *options_.from : shown_;
    if (!wanted) return;
    const std::uint64_t fingerprint = catalog_.fingerprint(statement.id());
    if (condition_ && !condition_->holds({session.descriptor, nullptr, &statement, fingerprint})) return;
    out_.line(options_.json ? json(session, statement) : line(session, statement));
  }

 private:
  static std::string what_came(const Statement& statement) {
    if (statement.end == Statement::End::kFailed)
      return readable_state("ERROR", statement.sqlstate) + " " + readable_text(statement.error, kNameBytes);
    if (statement.end != Statement::End::kDone) return std::string(statement_end_name(statement.end));
    return counted(statement.rows, "row");
  }

  [[nodiscard]] std::string line(const ScannedSession& session, const Statement& statement) const {
    const SessionDescriptor& descriptor = session.descriptor;
    const std::size_t limit = options_.columns == 0 ? SIZE_MAX / 2 : options_.columns * 4;
    std::string out = format_time(statement.completed < 0 ? statement.sent : statement.completed, 3) + "  " +
                      descriptor.id.to_string() + "  " + readable_text(descriptor.user(), kNameBytes) + "@" +
                      readable_text(descriptor.database(), kNameBytes) + "  " +
                      (statement.duration < 0 ? "-" : format_duration(statement.duration)) + "  " +
                      what_came(statement) + "  " +
                      (statement.text ? readable_text(statement.text->sql, limit)
                                      : "(a statement prepared before the recording began)");
    return options_.columns == 0 ? out : fitted(std::move(out), options_.columns);
  }

  [[nodiscard]] static std::string json(const ScannedSession& session, const Statement& statement) {
    Poco::JSON::Object out = json_object();
    out.set("session", session.descriptor.id.to_string());
    out.set("user", json_text(session.descriptor.user()));
    out.set("database", json_text(session.descriptor.database()));
    out.set("sent_at", format_time(statement.sent, 9));
    if (statement.completed >= 0) out.set("completed_at", format_time(statement.completed, 9));
    if (statement.duration >= 0) out.set("duration_ns", statement.duration);
    out.set("kind", std::string(statement_kind_name(statement.kind)));
    out.set("outcome", std::string(statement_end_name(statement.end)));
    out.set("rows", statement.rows);
    if (!statement.sqlstate.empty()) {
      out.set("sqlstate", json_text(statement.sqlstate));
      out.set("error", json_text(statement.error));
    }
    if (statement.text) out.set("statement", json_text(statement.text->sql));
    return to_line(out);
  }

  const FollowOptions& options_;
  const StatementCatalog& catalog_;
  Output& out_;
  std::optional<Condition> condition_;
  bool shown_ = false;
};

class Follower {
 public:
  Follower(fs::path path, const Keyring* keys, StatementScan& scan, Lines& lines)
      : path_(std::move(path)), keys_(keys), scan_(scan), lines_(lines) {}

  // Takes what has come since. True when there is nothing more to come.
  bool poll() {
    bool ended = true;
    for (const fs::path& file : list_segments(path_)) {
      Segment& segment = segments_[file.string()];
      if (!segment.whole) read(file, segment);
      ended = ended && segment.whole;
    }
    return ended;
  }

 private:
  struct Segment {
    std::uint64_t read_up_to = 0;  // the offset of the next chunk is not below it
    bool whole = false;            // its footer was seen, and all before it
  };

  void read(const fs::path& file, Segment& segment) {
    std::optional<SegmentReader> reader;
    try {
      reader.emplace(open_file(file), file.string(), keys_);
    } catch (const RecordingError&) {
      if (is_encrypted(file)) throw;  // and this is no key of it
      return;  // its header is still being written, or it is no segment at all: `verify` tells
    } catch (const std::system_error&) {
      return;  // deleted meanwhile
    }
    lines_.begin(reader->header().created_at);
    for (const SessionDescriptor& one : reader->continuing()) scan_.know(one);
    for (std::size_t i = 0; i < reader->chunk_count(); ++i) {
      if (reader->chunk_offset(i) < segment.read_up_to) continue;
      segment.read_up_to = reader->chunk_offset(i) + 1;
      take(*reader, i);
    }
    segment.whole = reader->clean();
  }

  static bool is_encrypted(const fs::path& file) {
    try {
      return SegmentReader(open_file(file), file.string(), nullptr, Contents::kOptional).encrypted();
    } catch (const std::exception&) {
      return false;
    }
  }

  void take(const SegmentReader& reader, std::size_t index) {
    Damage damage;
    const std::shared_ptr<const Chunk> chunk = reader.load(index, damage);
    if (!chunk) {
      const ChunkHead& head = reader.chunk_head(index);
      for (const ChunkHead::Session& one : head.sessions) scan_.lose(one.id, head.last_time);
      std::fprintf(stderr, "understudy show: %s, offset %llu: %s; passed over\n", damage.file.c_str(),
                   static_cast<unsigned long long>(damage.offset), damage.what.c_str());
      return;
    }
    for (std::size_t i = 0; i < chunk->size(); ++i) scan_.take(chunk->event(i));
  }

  const fs::path path_;
  const Keyring* const keys_;
  StatementScan& scan_;
  Lines& lines_;
  std::map<std::string, Segment> segments_;
};

void wait_a_little() {
  const timespec pause{0, kPollNs};
  ::nanosleep(&pause, nullptr);  // a signal ends it early
}

}  // namespace

void follow_recording(const fs::path& path, const FollowOptions& options, Output& out) {
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
  StatementCatalog catalog(ConditionScope::kMostStatements);
  Lines lines(options, catalog, out);
  StatementScan scan(catalog, lines);
  Follower follower(path, options.keys.get(), scan, lines);
  bool ended = follower.poll();
  lines.show();
  while (!ended && stop_asked == 0) {
    out.finish();
    wait_a_little();
    ended = follower.poll();
  }
  out.finish();
  std::fprintf(stderr, "understudy show: %s\n",
               ended ? "the recording has ended" : "stopped; the recording goes on");
}

}  // namespace understudy::replayer
