// A session as exchanges, the unit of a diff: one simple Query, one function call, or an extended pipeline up
// to its Sync, with everything that answered it (PostgreSQL documentation, "Message Flow"). Replies are
// handed out one by one as they are read, so a result of any size passes through; what was asked and not yet
// answered is kept in a few words. One thread at a time.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "replayer/session_messages.h"
#include "replayer/statement_catalog.h"

namespace understudy::replayer {

// What a client asked for, up to where the server says it is ready again.
struct Request {
  enum class Kind : std::uint8_t { kSimple, kFunctionCall, kPipeline };
  Kind kind = Kind::kPipeline;
  bool whole = false;     // its Query, FunctionCall or Sync was seen
  bool copy_end = false;  // CopyDone or CopyFail was seen
  TimeNs began = 0;       // its first message
  std::uint64_t hash =
      0;             // of its messages, parameters and COPY data included; Sync, Flush, CopyDone are not
  std::string text;  // of a simple Query, abridged
  std::string parameters;  // of the first Bind: "7, 'ada', NULL", abridged
  // What will be answered by a message of its own: Parse, Bind, Describe, Execute, Close; or the Query.
  struct Step {
    char type;
    StatementId statement;
    TimeNs sent;
  };
  std::vector<Step> steps;
  [[nodiscard]] StatementId statement() const {
    return steps.empty() ? StatementCatalog::kOther : steps.front().statement;
  }
};

// One message of the server that answers the request at hand.
struct Reply {
  wire::Message message;
  TimeNs time = 0;
  StatementId statement = StatementCatalog::kOther;  // that it answers
  // Of a reply that completes a statement: since it was sent, or since the one before was complete, if that
  // is later. Below 0: completes none.
  TimeNs latency = -1;
};

// What comes unasked, as order-free sums: notices and settings of an exchange, notifications of a session.
struct Asides {
  std::uint64_t count = 0;
  std::uint64_t hash_sum = 0;
  std::string first;
  bool operator==(const Asides& other) const { return count == other.count && hash_sum == other.hash_sum; }
};

class ExchangeReader {
 public:
  // What the login told, complete when the first exchange is there.
  struct Login {
    bool complete = false;
    std::uint32_t process_id = 0;
    std::map<std::string, std::string> settings;  // ParameterStatus by name
    std::string error;                            // SQLSTATE of a refused login
    std::string error_text;
  };

  // `continuing`: the session was open before the recording began, so its login is not in it.
  ExchangeReader(const Recording& recording, const SessionSummary& summary, bool continuing,
                 StatementCatalog& catalog);

  // Goes on to the next exchange, past what is left of this one. False at the end of the session, or where
  // bytes are missing (messages().hole()).
  [[nodiscard]] bool next_exchange();
  // The next reply, ReadyForQuery being the last; valid until the next call. Null when the exchange is over.
  [[nodiscard]] const Reply* next_reply();

  // Of the exchange at hand. The request is complete once the exchange is over, and in request-reply traffic
  // from its first reply on.
  [[nodiscard]] const Request& request() const { return begun_ ? requests_.front() : current_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] const Asides& notices() const { return notices_; }
  [[nodiscard]] const Asides& settings() const { return settings_; }
  // The server said that it is ready again: nothing is missing. Only when the exchange is over.
  [[nodiscard]] bool answered() const { return answered_; }
  [[nodiscard]] char transaction_status() const { return transaction_status_; }

  [[nodiscard]] const Login& login() const { return login_; }
  // Notifications, and what else came while nothing was asked.
  [[nodiscard]] const Asides& notifications() const { return notifications_; }
  // An error that nobody asked for: the server's good-bye ("57P01 terminating connection ...").
  [[nodiscard]] const std::string& farewell() const { return farewell_; }
  // Asked, and not answered when the session ended.
  [[nodiscard]] std::uint64_t unanswered() const { return requests_.size(); }
  [[nodiscard]] const SessionMessages& messages() const { return messages_; }

  [[nodiscard]] std::optional<TimeNs> next_time() { return messages_.next_time_lower_bound(); }
  void release() { messages_.release(); }

 private:
  void client_message(const wire::Message& message, TimeNs time);
  Request& open_request(Request::Kind kind, TimeNs time);
  Request& pipeline(TimeNs time);
  void query(const wire::Message& message, TimeNs time);
  void function_call(const wire::Message& message, TimeNs time);
  void parse(const wire::Message& message, TimeNs time);
  void bind(const wire::Message& message, TimeNs time);
  void named(const wire::Message& message, TimeNs time);
  void copy_end(TimeNs time);

  // Whether the message answers something (else it came unasked, or belongs to the login).
  [[nodiscard]] bool server_message(const wire::Message& message, TimeNs time);
  void login_message(const wire::Message& message);
  void aside(const wire::Message& message);
  void begin_exchange();
  void answer(const wire::Message& message, TimeNs time);
  void pass_step(char answer, TimeNs time);
  void ignore_syncs_of_copy();
  void ready(const wire::Message& message, TimeNs time);

  SessionMessages messages_;
  StatementCatalog& catalog_;
  Login login_;

  std::unordered_map<std::string, StatementId> statements_;  // prepared, by name
  std::unordered_map<std::string, StatementId> portals_;
  std::deque<Request> requests_;  // in order of asking; the front is being answered

  Request current_;
  Reply reply_;
  std::size_t next_step_ = 0;
  TimeNs completed_at_ = 0;
  std::uint64_t number_ = 0;
  bool begun_ = false;          // an exchange is at hand
  bool reply_waiting_ = false;  // reply_ was read and not yet handed out
  bool answered_ = false;
  char transaction_status_ = 'I';
  Asides notices_;
  Asides settings_;
  Asides notifications_;
  std::string farewell_;
};

}  // namespace understudy::replayer
