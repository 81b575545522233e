// Follows both directions of a session after authentication: what is outstanding, whether a transaction is
// open, which state of session_state.h the session is in. Looks at message headers only and does no I/O.
// (PostgreSQL documentation, "Message Flow".)
#pragma once

#include <map>
#include <string>

#include "formats/wire/frame_scanner.h"
#include "proxy/copy_ends.h"
#include "proxy/request_queue.h"
#include "proxy/session_state.h"

namespace understudy::proxy {

class ProtocolTracker {
 public:
  // Feed what passes, in the order it passes. False when the peer broke the protocol; violation() says how,
  // and nothing more may be fed.
  [[nodiscard]] bool client_bytes(ByteView bytes);
  [[nodiscard]] bool server_bytes(ByteView bytes);
  // Moves the session through its states outside of the messages themselves (start-up, login, close).
  [[nodiscard]] bool advance(SessionEvent event);
  // The server is gone; another takes its place; and from where the session was, it goes on.
  void server_lost();
  void server_found();
  void server_restored();
  // The transaction status of the ReadyForQuery that ended the login.
  void set_transaction_status(char status) { transaction_status_ = status; }

  [[nodiscard]] SessionState state() const { return state_; }
  // As ReadyForQuery last said: 'I' idle, 'T' in a transaction, 'E' in a failed one.
  [[nodiscard]] char transaction_status() const { return transaction_status_; }
  // Nothing asked, nothing open: the session may end or move without anyone missing anything.
  [[nodiscard]] bool idle() const { return state_ == SessionState::kReady && transaction_status_ == 'I'; }
  // A replication stream: it ends when someone ends it, and may be taken up again where it was.
  [[nodiscard]] bool streams_replication() const { return state_ == SessionState::kCopy && copy_both_; }
  // The server skips to a Sync that the client has not sent.
  [[nodiscard]] bool awaits_sync() const {
    return state_ == SessionState::kExtendedError && requests_.empty();
  }
  // The server waits for CopyData, and no CopyDone or CopyFail was sent yet.
  [[nodiscard]] bool awaits_copy_data() const { return copy_in_; }
  // Extended-protocol messages were sent since the last Sync.
  [[nodiscard]] bool pipeline_open() const { return pipeline_open_; }
  [[nodiscard]] bool terminate_seen() const { return terminate_seen_; }
  // The server said FATAL or PANIC: its end of file is announced.
  [[nodiscard]] bool fatal_seen() const { return fatal_seen_; }
  // Settings the server reported in this session, by name; unknown when a report came in parts.
  [[nodiscard]] const std::map<std::string, std::string>& settings() const { return settings_; }
  [[nodiscard]] bool settings_known() const { return settings_known_; }
  // A stream stands between messages, so a message of our own may follow.
  [[nodiscard]] bool client_at_boundary() const { return client_.at_boundary(); }
  [[nodiscard]] bool server_at_boundary() const { return server_.at_boundary() && !status_due_; }
  // Bytes that are surely the rest of what the server has said in part.
  [[nodiscard]] std::size_t server_left() const { return server_.left(); }
  [[nodiscard]] const std::string& violation() const { return violation_; }

 private:
  bool client_frame(char type);
  bool server_frame(const wire::FrameHeader& frame);
  bool copy_ended();
  [[nodiscard]] bool pop_request();
  bool ready_for_query(char status);
  bool copy_started(char type);
  bool error_response(ByteView payload);
  void parameter_status(const wire::FrameHeader& frame);
  bool refuse(std::string why);
  bool broken_length(const wire::FrameScanner& scanner, const char* who);

  wire::FrameScanner client_;
  wire::FrameScanner server_;
  RequestQueue requests_;
  SessionState state_ = SessionState::kStartup;
  SessionState left_ = SessionState::kStartup;  // where the server was lost
  char transaction_status_ = 'I';
  bool pipeline_open_ = false;  // extended-protocol messages since the last Sync
  bool copy_in_ = false;        // the server reads COPY data and ignores Sync until it ends
  bool copy_both_ = false;      // the last copy that began goes both ways
  CopyEnds early_ends_;
  std::uint64_t answered_ = 0;  // requests, and those whose Sync a copy swallowed
  bool status_due_ = false;     // a ReadyForQuery's one payload byte is still to come
  std::map<std::string, std::string> settings_;
  bool settings_known_ = true;
  bool terminate_seen_ = false;
  bool fatal_seen_ = false;
  std::string violation_;
};

}  // namespace understudy::proxy
