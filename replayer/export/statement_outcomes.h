// What came of every statement of a session, told in the order the client sent them. Reads the session by
// itself, ahead of whoever asks, so that a statement can be written with the knowledge of how its exchange
// ended, and without holding what it carried. One thread at a time.
#pragma once

#include <deque>
#include <set>

#include "replayer/export/copy_lines.h"
#include "replayer/request_tracker.h"
#include "replayer/session_messages.h"

namespace understudy::replayer {

struct StatementOutcome {
  enum class Fate : std::uint8_t {
    kRun,
    kFailed,   // by itself; a Query may have run in part: see `effective`
    kSkipped,  // the server passed over it, after an error in its pipeline
    kUndone,   // ran, and was rolled back with the failure of its pipeline
    kUnknown   // the recording does not tell
  };
  Fate fate = Fate::kUnknown;
  std::vector<std::string> tags;  // of the commands that completed, in order
  std::size_t effective = 0;      // so many of them were not undone by a failure in the same exchange
  std::uint32_t copies_in = 0;    // times COPY data was taken
  std::string copy_trouble;       // why that data cannot be in a script; empty when it can
  std::string sqlstate;
  std::string error;
  // The first, and the last, of several statements that a pipeline made one transaction.
  bool begins_block = false;
  bool ends_block = false;
};

class StatementOutcomes {
 public:
  StatementOutcomes(const Recording& recording, const SessionSummary& session);

  // Of the client's next Query, FunctionCall or Execute message.
  [[nodiscard]] StatementOutcome next();
  // Whether the client's `number`th Parse (1, 2, ...) succeeded. Ask in order.
  [[nodiscard]] bool parsed(std::uint64_t number);
  // The types the server told of that Parse's parameters, once; empty when it was not asked.
  [[nodiscard]] std::vector<std::uint32_t> take_types(std::uint64_t number);

 private:
  bool read_on();
  void follow(const SessionItem& item);
  void take_ended();
  void end_exchange(char status);

  SessionMessages messages_;
  RequestTracker tracker_;
  CopyLines copy_;
  std::string copy_trouble_;              // of the exchange at hand
  std::vector<TrackedRequest> exchange_;  // its requests that are over
  std::deque<StatementOutcome> ready_;
  char status_ = 'I';  // of the last ReadyForQuery
  bool finished_ = false;
  std::uint64_t parses_over_ = 0;
  std::set<std::uint64_t> parses_failed_;
  std::map<std::uint64_t, std::vector<std::uint32_t>> types_;
};

}  // namespace understudy::replayer
