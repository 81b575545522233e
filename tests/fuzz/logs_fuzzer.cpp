// Logs of every dialect, from bytes to sessions; the first byte selects the dialect. What is held: nothing
// crashes; how the bytes are cut changes nothing; a session's times never run backwards, nothing follows its
// end; what is relayed is whole messages; a log yields no more text than it holds.
#include "formats/logs/csv_log.h"
#include "formats/logs/json_log.h"
#include "formats/logs/log_format.h"
#include "formats/logs/stderr_log.h"
#include "recorder/import/import_sessions.h"
#include "tests/fuzz/require.h"

namespace understudy {
namespace {

constexpr std::size_t kMaxRecord = 5000;

class Watcher final : public proxy::TrafficObserver {
 public:
  std::uint64_t hash = 0;
  std::uint64_t sessions = 0;

  std::unique_ptr<proxy::SessionObserver> open_session(unsigned,
                                                       const SessionDescriptor& descriptor) override {
    ++sessions;
    require(descriptor.id.number == sessions);
    for (const auto& [name, value] : descriptor.startup_parameters) add(as_bytes(value));
    return std::make_unique<Watch>(*this, descriptor.opened_at);
  }
  void add(ByteView bytes) {
    for (const Byte byte : bytes) hash = hash * 31 + byte;
  }

 private:
  class Watch final : public proxy::SessionObserver {
   public:
    Watch(Watcher& watcher, TimeNs opened_at) : watcher_(watcher), last_(opened_at) {}
    void relayed(Direction direction, TimeNs time, ByteView bytes) override {
      note(time);
      watcher_.hash =
          watcher_.hash * 31 + static_cast<unsigned>(direction) + static_cast<std::uint64_t>(time);
      watcher_.add(bytes);
      while (!bytes.empty()) {
        require(bytes.size() >= 5);
        const std::size_t length = load_be32(bytes.data() + 1);
        require(length >= 4 && length + 1 <= bytes.size());
        bytes = bytes.subspan(length + 1);
      }
    }
    // Messages may quote statements of which passwords are hidden.
    void redacted(Redaction, TimeNs time) override { note(time); }
    void cancelled(TimeNs time) override { note(time); }
    void backend_switched(const std::string&, TimeNs) override { require(false); }
    void closed(const CloseDetail&, TimeNs time) override {
      note(time);
      closed_ = true;
    }

   private:
    void note(TimeNs time) {
      require(!closed_ && time >= last_);
      last_ = time;
    }
    Watcher& watcher_;
    TimeNs last_;
    bool closed_ = false;
  };
};

struct Outcome {
  std::uint64_t hash = 0;
  std::uint64_t sessions = 0;
  std::uint64_t records = 0;
  std::uint64_t statements = 0;
  std::uint64_t unreadable = 0;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

std::unique_ptr<logs::LogParser> parser_for(unsigned dialect, logs::LogHandler& handler) {
  switch (dialect) {
    case 0:
      return std::make_unique<logs::CsvLog>(handler, kMaxRecord);
    case 1:
      return std::make_unique<logs::JsonLog>(handler, kMaxRecord);
    case 2:
      return std::make_unique<logs::StderrLog>(handler, "", "", kMaxRecord);
    default:
      return std::make_unique<logs::StderrLog>(handler, "%m [%p] %q%u@%d %a %e ", "", kMaxRecord);
  }
}

Outcome import_in_pieces(unsigned dialect, ByteView bytes, std::size_t piece) {
  Watcher watcher;
  recorder::ImportSessions sessions(watcher, 4);
  sessions.begin_file("fuzzed");
  Outcome outcome;
  if (dialect == 4) {
    logs::PgreplayFile file(kMaxRecord);
    const auto take = [&sessions](const logs::PgreplayItem& item) { sessions.item(item); };
    bool going = true;
    for (std::size_t at = 0; going && at < bytes.size(); at += piece)
      going = file.feed(bytes.subspan(at, std::min(piece, bytes.size() - at)), take);
    (void)file.finish(take);
    require(file.offset() <= bytes.size());
    outcome.error = file.error();
  } else {
    const auto parser = parser_for(dialect, sessions);
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      parser->feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    parser->finish();
  }
  sessions.finish();
  const recorder::ImportCounts& counts = sessions.counts();
  outcome.hash = watcher.hash;
  outcome.sessions = watcher.sessions;
  outcome.records = counts.records;
  outcome.statements = counts.statements();
  for (const auto& [why, places] : counts.unreadable) {
    require(places.count > 0 && !places.first.empty() && places.first.size() <= recorder::Places::kShown);
    outcome.unreadable += places.count;
  }
  require(counts.records <= bytes.size() && counts.sessions == watcher.sessions);
  require(counts.sessions <= counts.records && counts.statements() <= counts.records);
  return outcome;
}

}  // namespace
}  // namespace understudy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  if (size == 0) return 0;
  const unsigned dialect = data[0] % 5;
  const ByteView bytes(data + 1, size - 1);
  const Outcome whole = import_in_pieces(dialect, bytes, std::max<std::size_t>(bytes.size(), 1));
  require(import_in_pieces(dialect, bytes, 1 + size / 7) == whole);
  require(import_in_pieces(dialect, bytes, 1) == whole);
  (void)logs::detect_format(bytes);
  return 0;
}
