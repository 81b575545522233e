// One session as a log tells it, said in the protocol's words to an observer: what was asked, when it was
// answered where the log knows it, and which errors came. The rest of the replies is absent, and the session
// says so (formats/transcript/known_replies.h). Owned by ImportSessions; one thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "formats/logs/log_message.h"
#include "formats/wire/quoted_secrets.h"
#include "proxy/observer.h"
#include "proxy/statement_traits.h"

namespace understudy::recorder {

struct ImportedRequest {
  enum class Kind : std::uint8_t { kSimple, kExecute, kFetch };
  Kind kind = Kind::kSimple;
  std::string_view name{};  // of the prepared statement
  std::string_view portal{};
  std::string_view text{};
  const std::vector<logs::LogParameter>* parameters = nullptr;  // kExecute; null: none
};

// Empty where the log does not say.
struct ImportedError {
  std::string_view severity{};
  std::string_view sqlstate{};
  std::string_view message{};
  std::string_view detail{};
  std::string_view hint{};
  std::string_view context{};
  std::string_view query{};  // a function's, that failed: only what passwords it quotes is of interest
};

class ImportedSession {
 public:
  // The session begins with its descriptor's opening. `logged_in`: else what comes is the error that refused
  // it. (A server may still refuse whom it has authorized, if there is no such role or database: so the login
  // is told with what comes next.) `hidden`: errors in which passwords were overwritten are counted there;
  // null: they stay. All that is borrowed must outlive it.
  ImportedSession(proxy::TrafficObserver& recording, const SessionDescriptor& descriptor,
                  proxy::StatementTraitsCache& traits, bool logged_in, std::uint64_t* hidden = nullptr);

  // Times that go back are taken for the latest so far. What was asked before and is not answered yet was
  // answered by now. False: a fetch from a portal that is not known, and nothing was recorded.
  [[nodiscard]] bool ask(TimeNs at, const ImportedRequest& request);
  // `timed`: it was answered at that time, not merely by then. Nothing when nothing was asked.
  void answer(TimeNs at, bool timed);
  void fail(TimeNs at, const ImportedError& error);
  // Somebody asked to cancel what is being answered.
  void cancel(TimeNs at);
  // It is logged in as far as was told, and nothing came since.
  [[nodiscard]] bool may_be_refused() const { return login_due_; }
  // The error that refused it.
  void refuse(TimeNs at, const ImportedError& error);
  // Nothing more comes.
  void finish() { log_in(); }
  // An error that answers nothing, the server's good-bye.
  void say(TimeNs at, const ImportedError& error);
  void close(TimeNs at, const CloseDetail& why);

  [[nodiscard]] bool awaits_answer() const { return pending_; }
  [[nodiscard]] bool asked_for(std::string_view text) const;
  // COPY FROM STDIN so far: their data is in no log, so they copy nothing.
  [[nodiscard]] std::uint64_t copies() const { return copies_; }

 private:
  // More names are not remembered: they are prepared again.
  static constexpr std::size_t kMaxNames = 1000;

  void log_in();
  void append_execute(const ImportedRequest& request, std::size_t copies);
  void prepare(const ImportedRequest& request);
  void take_effects(std::string_view text);
  void end_transaction(char status);
  void append_error(TimeNs at, const ImportedError& error);
  void ready(ByteBuffer& out) const;
  [[nodiscard]] TimeNs at_least(TimeNs at);

  const std::unique_ptr<proxy::SessionObserver> observer_;
  proxy::StatementTraitsCache& traits_;
  std::uint64_t* const hidden_;
  TimeNs last_ = 0;
  bool login_due_;
  ByteBuffer bytes_;   // being put together
  ByteBuffer answer_;  // what a server says before its CommandComplete

  bool pending_ = false;
  std::size_t pending_hash_ = 0;                           // of its text
  wire::QuotedSecrets asked_;                              // the same text
  char status_ = 'I';                                      // as ReadyForQuery says it
  char status_after_ = 'I';                                // once what is asked has succeeded
  std::unordered_map<std::string, std::size_t> prepared_;  // name -> hash of its text
  bool names_forgotten_ = false;                           // a name not in prepared_ may be in use
  std::set<std::string, std::less<>> portals_;             // named ones, of this transaction
  std::uint64_t copies_ = 0;
};

// How many COPY ... FROM STDIN a text holds.
[[nodiscard]] std::size_t copies_from_client(std::string_view sql);

}  // namespace understudy::recorder
