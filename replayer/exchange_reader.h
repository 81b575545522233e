// A session as exchanges, the unit of a diff: one simple Query, one function call, or an extended pipeline up
// to its Sync, with everything that answered it (PostgreSQL documentation, "Message Flow"). Replies are
// handed out one by one as they are read, so a result of any size passes through; what was asked and not yet
// answered is kept in a few words. One thread at a time.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <unordered_map>

#include "replayer/request.h"
#include "replayer/session_messages.h"

namespace understudy::replayer {

// One message of the server that answers the request at hand.
struct Reply {
  wire::Message message;
  TimeNs time = 0;
  StatementId statement = StatementCatalog::kNone;  // that it answers
  std::size_t step = 0;                             // of Request::steps, likewise
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
  // Longer messages are known by their beginning and their hash.
  static constexpr std::size_t kMessageCapBytes = std::size_t{1} << 20;

  // What the login told, complete when the first exchange is there.
  struct Login {
    bool complete = false;
    std::uint32_t process_id = 0;
    std::map<std::string, std::string> settings;  // ParameterStatus by name
    std::string sqlstate;                         // of a refused login
    std::string error;
  };

  // Who ended the session. kCut: nobody, but the recording goes no further (a hole, a crash, the proxy's
  // end).
  enum class End : std::uint8_t { kClient, kServer, kCut };

  // `continuing`: the session was open before the recording began, so its login is not in it.
  ExchangeReader(const Recording& recording, const SessionSummary& summary, bool continuing,
                 StatementCatalog& catalog);

  // Goes on to the next exchange, past what is left of this one. False when there is none.
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
  // An error that nobody asked for: the server's good-bye ("FATAL 57P01: terminating connection ...").
  [[nodiscard]] const std::string& farewell() const { return farewell_; }

  // Something was asked that is not answered (yet).
  [[nodiscard]] bool awaits_answer() const { return !requests_.empty(); }
  // Once next_exchange() said false, or next_reply() ended without an answer.
  [[nodiscard]] End end() const;
  [[nodiscard]] bool has_hole() const { return !messages_.hole().empty(); }
  // Of End::kCut: what is missing.
  [[nodiscard]] std::string cut_reason() const;

  [[nodiscard]] std::optional<TimeNs> next_time() { return messages_.next_time_lower_bound(); }
  // Lets go of decoded chunks; between exchanges.
  void release() { messages_.release(); }

 private:
  void client_message(const wire::Message& message, TimeNs time);
  Request& open_request(Request::Kind kind, TimeNs time);
  Request& pipeline(TimeNs time);
  void query(const wire::Message& message, TimeNs time);
  void function_call(const wire::Message& message, TimeNs time);
  void parse(const wire::Message& message, TimeNs time);
  StatementId add_statement(Request& request, const wire::Message& message, std::string_view sql,
                            TimeNs time);
  void bind(const wire::Message& message, TimeNs time);
  void named(const wire::Message& message, TimeNs time);
  void copy_end(TimeNs time);

  // Whether the message answers something (else it came unasked, or belongs to the login).
  [[nodiscard]] bool server_message(const wire::Message& message, TimeNs time);
  void login_message(const wire::Message& message);
  void aside(const wire::Message& message);
  void note_event(const Event& event);
  void begin_exchange();
  void answer(const wire::Message& message, TimeNs time);
  void pass_step(char answer, TimeNs time);
  [[nodiscard]] TimeNs latency(TimeNs sent, TimeNs completed) const;
  void ignore_syncs_of_copy();
  void ready(const wire::Message& message, TimeNs time);

  SessionMessages messages_;
  StatementCatalog& catalog_;
  Login login_;

  std::unordered_map<std::string, StatementId> statements_;  // prepared, by name
  std::unordered_map<std::string, StatementId> portals_;
  std::deque<Request> requests_;  // in order of asking; the front is being answered

  Request current_;
  Request spare_;  // its memory is used again
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
  std::optional<CloseDetail> closing_;
};

}  // namespace understudy::replayer
