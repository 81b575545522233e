// Which sessions and statements does a user mean? A condition such as
//
//     user = app and (duration > 100ms or sqlstate = 40*) and not statement ~ 'for update'
//
// read once and asked of each. What a field cannot be told of (the SQLSTATE of what succeeded, the duration
// of a session as a whole) fulfils no comparison. The grammar is in the replayer's README, and in kGrammar
// for
// --help. Immutable once read; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "replayer/session_statements.h"

namespace understudy::replayer {

// what() points at the column of the text, and says what was expected there.
class ConditionError : public std::runtime_error {
 public:
  ConditionError(const std::string& text, std::size_t at, const std::string& what);
  // Counted from 1, in bytes.
  [[nodiscard]] std::size_t column() const { return column_; }

 private:
  std::size_t column_;
};

// What is known of a session once all of it was read.
struct SessionTotals {
  TimeNs first_time = 0;
  TimeNs last_time = 0;
  std::uint64_t bytes = 0;
  std::uint64_t gaps = 0;  // a hole of another kind counts as one
};

// Whom the question is about.
struct ConditionSubject {
  const SessionDescriptor& session;
  const SessionTotals* totals = nullptr;  // null: not known
  const Statement* statement = nullptr;   // null: the session as a whole
  std::uint64_t fingerprint = 0;          // the statement's; 0: none
};

class Condition {
 public:
  static constexpr std::size_t kMaxBytes = 4096;
  static constexpr const char* kGrammar =
      "\nCONDITION: comparisons, FIELD OPERATOR VALUE, joined by and, or, not and parentheses. Values with\n"
      "blanks or parentheses are put in quotes ('it''s').\n"
      "  user database application client backend   = != with * (anything) and ? (one character)\n"
      "  client       also a network: client = 10.0.0.0/8\n"
      "  session      = != RUN.NUMBER\n"
      "  time         < <= > >= when a statement was sent: 2026-11-24T13:31:07Z, or 90s into the recording\n"
      "  duration, bytes, rows   < <= > >= = != of a statement: 100ms (2 is 2s), 1MiB, 10\n"
      "  sqlstate     = != of a statement that failed, with * and ?: 40*\n"
      "  statement    ~ !~ a POSIX regular expression, ~* !~* whatever the case; contains TEXT\n"
      "  fingerprint  = != sixteen digits, or any statement of that kind\n"
      "  gaps, session_bytes, session_duration   < <= > >= = != of a whole session\n"
      "A session is meant if one of its statements is; one without statements, if it is as a whole.\n";

  // Throws ConditionError. `start`: of the recording, from which offsets in time count.
  Condition(std::string_view text, TimeNs start);

  [[nodiscard]] bool holds(const ConditionSubject& subject) const;

  // Whether anything about statements is asked; if not, nor of totals, a descriptor tells.
  [[nodiscard]] bool asks_for_statements() const { return asks_for_statements_; }
  // Whether anything is asked that is known only when all of a session was read.
  [[nodiscard]] bool asks_for_totals() const { return asks_for_totals_; }
  [[nodiscard]] bool asks_for_fingerprints() const { return asks_for_fingerprints_; }

 private:
  friend class ConditionParser;
  enum class Field : std::uint8_t {
    kUser,
    kDatabase,
    kApplication,
    kClient,
    kBackend,
    kSession,
    kTime,
    kDuration,
    kBytes,
    kRows,
    kSqlstate,
    kStatement,
    kFingerprint,
    kGaps,
    kSessionBytes,
    kSessionDuration
  };
  enum class Operator : std::uint8_t {
    kEqual,
    kUnequal,
    kLess,
    kAtMost,
    kMore,
    kAtLeast,
    kMatches,
    kContains
  };
  struct Network;
  struct Pattern;  // a regular expression
  struct Node {
    enum class Kind : std::uint8_t { kAnd, kOr, kNot, kComparison } kind = Kind::kComparison;
    std::size_t left = 0;  // of nodes_; of kNot the only one
    std::size_t right = 0;
    Field field = Field::kUser;
    Operator op = Operator::kEqual;
    bool negated = false;  // of != and !~
    std::string text;
    std::int64_t number = 0;
    std::uint64_t fingerprint = 0;
    std::shared_ptr<const Network> network;
    std::shared_ptr<const Pattern> pattern;
  };

  [[nodiscard]] bool holds(std::size_t node, const ConditionSubject& subject) const;
  [[nodiscard]] static bool compares(const Node& node, const ConditionSubject& subject);
  [[nodiscard]] static std::optional<bool> text_compares(const Node& node, const ConditionSubject& subject);
  [[nodiscard]] static bool time_compares(const Node& node, const ConditionSubject& subject);

  std::vector<Node> nodes_;
  std::size_t root_ = 0;
  bool asks_for_statements_ = false;
  bool asks_for_totals_ = false;
  bool asks_for_fingerprints_ = false;
};

}  // namespace understudy::replayer
