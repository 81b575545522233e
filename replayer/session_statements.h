// A session's statements: what its client asked to be run, and what came of each. A Query, a FunctionCall and
// an Execute are a statement each, as REQUESTS counts them; what failed without one (a Parse, the commit of a
// pipeline) is told as a statement without a number. Pushed item by item; holds what is unanswered. One
// thread at a time.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "formats/wire/backend_messages.h"
#include "replayer/message_splitter.h"
#include "replayer/request_tracker.h"
#include "replayer/statement_catalog.h"

namespace understudy::replayer {

// Shared by the executions of a prepared statement.
struct StatementText {
  std::string sql;    // of one over 1 MiB, the beginning
  bool whole = true;  // all of it
  StatementId id = StatementCatalog::kUnknown;
  std::string name;                            // of a prepared one; "" is the unnamed
  std::vector<std::uint32_t> declared_types;   // of parameters, by its Parse
  std::vector<std::uint32_t> described_types;  // by the server, once it was asked and has answered
  std::uint64_t parse_number = 0;              // of the session's Parses (1, 2, ...); 0: a Query
};

struct Statement {
  enum class Kind : std::uint8_t { kQuery, kExecute, kFunctionCall, kOther };
  enum class End : std::uint8_t {
    kDone,
    kFailed,
    kSkipped,  // the server passed over it, after an error in its pipeline
    kUnknown   // the recording does not tell
  };

  Kind kind = Kind::kQuery;
  End end = End::kUnknown;
  std::uint64_t number = 0;                   // of the session's (1, 2, ...); 0: kOther
  std::shared_ptr<const StatementText> text;  // null: prepared where the recording does not show it
  std::shared_ptr<const ByteBuffer> bind;     // the payload of an Execute's Bind, when asked for
  bool continues = false;                     // an Execute that fetches more rows of a portal that has run
  TimeNs sent = 0;
  // Of what was answered: when it was complete, and since when it could be worked on: its sending, or the
  // completion before it, if that is later. Below 0: not answered.
  TimeNs completed = -1;
  TimeNs duration = -1;
  std::uint64_t client_bytes = 0;
  std::uint64_t server_bytes = 0;
  std::uint64_t rows = 0;  // by its command tags
  std::string tag;         // the last of them
  std::string sqlstate;
  std::string error;

  [[nodiscard]] StatementId id() const { return text ? text->id : StatementCatalog::kUnknown; }
};

[[nodiscard]] std::string_view statement_kind_name(Statement::Kind kind);  // "query", "execute", ...
[[nodiscard]] std::string_view statement_end_name(Statement::End end);     // "done", "failed", ...

class StatementListener {
 public:
  virtual ~StatementListener() = default;
  // The client's message has passed; how it ends is not known yet.
  virtual void sent(const Statement& /*statement*/) {}
  virtual void done(const Statement& /*statement*/) {}
  // Every ErrorResponse; `statement` is the number of that which failed, 0 when there is none.
  virtual void failed(TimeNs /*time*/, std::uint64_t /*statement*/, const wire::ErrorFields& /*error*/) {}
};

class SessionStatements {
 public:
  // Longer messages are known by their beginning.
  static constexpr std::size_t kMessageCapBytes = std::size_t{1} << 20;

  // Both borrowed. `keep_binds`: parameters are wanted.
  SessionStatements(StatementCatalog& catalog, StatementListener& listener, bool keep_binds)
      : catalog_(catalog), listener_(listener), keep_binds_(keep_binds) {}

  void take(const SessionItem& item);
  // Nothing more will come: what is unanswered ends as it is.
  void finish();

 private:
  struct Portal {
    std::shared_ptr<StatementText> text;
    std::shared_ptr<const ByteBuffer> bind;
    bool run = false;
  };
  // What failed before the statement it belongs to could.
  struct Failure {
    std::shared_ptr<const StatementText> text;
    std::string sqlstate;
    std::string error;
  };

  void client_message(const wire::Message& message, TimeNs time);
  void server_message(const wire::Message& message, TimeNs time);
  void query(const wire::Message& message, TimeNs time);
  void function_call(const wire::Message& message, TimeNs time);
  void parse(const wire::Message& message);
  void bind(const wire::Message& message);
  void execute(const wire::Message& message, TimeNs time);
  void close(const wire::Message& message);
  void ask(Statement statement, TimeNs time);
  void settle(TimeNs time);
  void parse_over(const TrackedRequest& request);
  void statement_over(TrackedRequest& request, TimeNs time);
  void sync_over(const TrackedRequest& request, TimeNs time);

  StatementCatalog& catalog_;
  StatementListener& listener_;
  const bool keep_binds_;
  RequestTracker tracker_;
  std::deque<Statement> pending_;                                // unanswered, in order
  std::deque<std::shared_ptr<StatementText>> parsing_;           // likewise
  std::map<std::uint64_t, std::weak_ptr<StatementText>> texts_;  // by Parse, for what a Describe is answered
  std::unordered_map<std::string, std::shared_ptr<StatementText>> statements_;
  std::unordered_map<std::string, Portal> portals_;
  std::optional<Failure> failure_;
  std::uint64_t asked_ = 0;
  std::uint64_t client_bytes_ = 0;  // since the last statement
  TimeNs completed_ = 0;            // when the last was
};

}  // namespace understudy::replayer
