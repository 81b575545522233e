// All statements of a recording, session by session or in order of time, in one pass: what filters, tables,
// `show --top` and `show --follow` are made of. Holds what is half read and unanswered of the sessions that
// are open. One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "formats/transcript/recording.h"
#include "replayer/session_statements.h"
#include "replayer/show/session_tally.h"

namespace understudy::replayer {

// A session as far as it was read.
struct ScannedSession {
  SessionDescriptor descriptor;
  bool continuing = false;  // open before the recording began
  SessionTally tally;
  std::uint64_t bytes_not_read = 0;  // behind a hole, or before it could be joined; known at its end
};

class StatementSink {
 public:
  virtual ~StatementSink() = default;
  // False: nothing more of this session is wanted.
  virtual bool opened(const ScannedSession& /*session*/) { return true; }
  virtual void sent(const ScannedSession& /*session*/, const Statement& /*statement*/) {}
  virtual void done(const ScannedSession& /*session*/, const Statement& /*statement*/) {}
  virtual void failed(const ScannedSession& /*session*/, TimeNs /*time*/, std::uint64_t /*statement*/,
                      const wire::ErrorFields& /*error*/) {}
  virtual void cancelled(const ScannedSession& /*session*/, TimeNs /*time*/) {}
  // The server told of a setting (ParameterStatus).
  virtual void reported(const ScannedSession& /*session*/, std::string_view /*name*/,
                        std::string_view /*value*/) {}
  // Behind its last event: nothing more will come.
  virtual void ended(const ScannedSession& /*session*/) {}
};

class StatementScan {
 public:
  // All borrowed. `keep_binds`: parameters are wanted.
  StatementScan(StatementCatalog& catalog, StatementSink& sink, bool keep_binds = false);
  ~StatementScan();
  StatementScan(const StatementScan&) = delete;
  StatementScan& operator=(const StatementScan&) = delete;

  // MessageSplitter::begin_between_transactions(), of every session.
  void begin_between_transactions() { between_transactions_ = true; }
  // Who is meant by events of a session whose opening is not among them.
  void know(const SessionDescriptor& continuing);
  // Events of one session in order.
  void take(const Event& event);
  // Events of this session are missing here.
  void lose(SessionId session, TimeNs time);
  // Ends the sessions that are open, in order of their ids.
  void finish();

  // All of the above for a whole recording, in order of time.
  void run(const Recording& recording);

 private:
  class Open;
  Open& find(SessionId session, const Event* opening);
  void end(SessionId session);

  StatementCatalog& catalog_;
  StatementSink& sink_;
  const bool keep_binds_;
  bool between_transactions_ = false;
  std::unordered_map<SessionId, SessionDescriptor> continuing_;
  std::unordered_map<SessionId, std::unique_ptr<Open>> open_;
};

}  // namespace understudy::replayer
