// Records of logs, file after file, as sessions. Which session a record belongs to is told by its session id
// (%c), or its process id until that begins another session. Main thread.
#pragma once

#include <list>
#include <unordered_map>

#include "formats/logs/log_record.h"
#include "formats/logs/pgreplay_file.h"
#include "recorder/import/import_counts.h"
#include "recorder/import/imported_session.h"

namespace understudy::recorder {

class ImportSessions final : public logs::LogHandler {
 public:
  static constexpr std::size_t kMaxOpen = 100'000;
  // `max_open`: sessions whose end was not seen; beyond it the one idle for longest is closed.
  // `redact`: passwords in errors are hidden here, those in statements by the recording.
  explicit ImportSessions(proxy::TrafficObserver& recording, std::size_t max_open = kMaxOpen,
                          bool redact = true)
      : recording_(recording), max_open_(max_open), redact_(redact) {}

  // What follows is of this file. The name is for messages.
  void begin_file(const std::string& name) { file_ = name; }
  void record(const logs::LogRecord& record) override;
  void unreadable(std::uint64_t line, std::string_view why) override;
  void item(const logs::PgreplayItem& item);
  // No more files: what is open stays without an end. Call it before counts().
  void finish();

  [[nodiscard]] const ImportCounts& counts() const { return counts_; }

 private:
  // What a prepared or bound statement was, when its execution failed before the log told of it.
  struct Bound {
    std::string name;
    std::string portal;
    std::string text;
    std::vector<logs::LogParameter> parameters;
  };
  struct Entry {
    std::unique_ptr<ImportedSession> session;
    std::string client;  // as "connection received" told
    bool replication = false;
    // log_statement = all logs it, and it asked so last: what failed unlogged failed in its Parse or Bind.
    // With durations alone those have lines of their own, and what has none was a Query.
    bool extended = false;
    Bound bound;
    std::unordered_map<std::string, std::string> prepared;  // of a pgreplay file
    std::list<std::string>::iterator in_order;
  };

  Entry& entry(const std::string& key);
  void forget(const std::string& key);
  void end_unheard(Entry& entry, const char* why);
  void make_room();
  void open(Entry& entry, const logs::LogRecord& record, TimeNs at, const logs::LogMessage* authorized,
            bool logged_in = true);
  void open_session(Entry& entry, SessionDescriptor descriptor, bool logged_in);
  void connection(Entry& entry, const logs::LogRecord& record, const logs::LogMessage& message);
  void request(Entry& entry, const logs::LogRecord& record, const logs::LogMessage& message);
  void ask(Entry& entry, TimeNs at, const ImportedRequest& request, std::uint64_t line);
  void bound(Entry& entry, const logs::LogRecord& record, const logs::LogMessage& message);
  void error(Entry& entry, const logs::LogRecord& record);
  [[nodiscard]] bool ask_failed(Entry& entry, const logs::LogRecord& record);
  void refused(Entry& entry, const logs::LogRecord& record);
  void execute(Entry& entry, const logs::PgreplayItem& item);
  void leave_out(Entry& entry, const logs::LogRecord& record, const logs::LogMessage& message);
  void note_cut(const std::vector<logs::LogParameter>& parameters, std::uint64_t line);
  void note_copies(const ImportedSession& session, std::uint64_t before);
  void note_time(TimeNs time);

  proxy::TrafficObserver& recording_;
  const std::size_t max_open_;
  const bool redact_;
  proxy::StatementTraitsCache traits_;
  std::string file_;
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> order_;  // keys, the one heard of last at the end
  std::uint32_t next_number_ = 1;
  ImportCounts counts_;
  Places cut_;  // values that log_parameter_max_length may have cut, and their length without the dots
  std::size_t longest_cut_ = 0;
  std::size_t longest_whole_ = 0;
};

}  // namespace understudy::recorder
