// What may a statement touch? Read from its parse tree (libpg_query) and from the target's catalogs, once for
// all texts that differ in constants only. Whatever is not understood may touch anything. One database; owned
// by CausalReader; the replay's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "replayer/footprint.h"
#include "replayer/target_tables.h"

namespace understudy::replayer {

// A statement as it is known before its parameters are.
struct StatementShape {
  enum class Kind : std::uint8_t {
    kAnything,
    kOpaque,      // and so may all that follows in its session: it changes what statements mean
    kNothing,     // the session alone: SET, SHOW, SAVEPOINT
    kBegin,       // a transaction
    kEnd,         // COMMIT, ROLLBACK
    kRollbackTo,  // a savepoint: locks taken since are let go
    kRows         // reads and writes tables
  };
  // Rows of a table; those in which a column has the value of a constant or parameter, if `column` is not 0.
  struct Rows {
    std::uint64_t table = 0;
    std::uint64_t column = 0;
    std::uint32_t placeholder = 0;  // $n of the text without its constants
    bool adds = false;
    bool freely = false;  // as in Access
    bool shared = false;  // as in Access
    bool meets_added = false;
    std::uint64_t sets = 0;  // as in Access
    std::uint64_t where = 0;
  };
  // What must be unique of a row that is added.
  struct UniqueKey {
    std::uint64_t index = 0;  // a hash of its table and columns
    std::vector<std::uint32_t> placeholders;
  };
  Kind kind = Kind::kAnything;
  bool ends = false;         // of kAnything: a transaction, among others
  std::vector<Rows> writes;  // of kAnything, what it is seen to lock
  std::vector<Rows> reads;
  std::vector<UniqueKey> unique_keys;
};

// A shape with its constants, ready for parameters.
struct KnownStatement {
  std::shared_ptr<const StatementShape> shape;
  std::uint32_t parameters = 0;  // placeholders above these are the constants, in order
  std::vector<std::string> constants;
};

class StatementFootprints {
 public:
  explicit StatementFootprints(TargetTables tables) : tables_(std::move(tables)) {}

  [[nodiscard]] KnownStatement identify(std::string_view sql);

 private:
  std::shared_ptr<const StatementShape> parse(const std::string& text);
  std::shared_ptr<const StatementShape> not_parsed(std::string_view sql);

  TargetTables tables_;
  std::unordered_map<std::string, std::shared_ptr<const StatementShape>> shapes_;  // by skeleton; bounded
};

// The integer that a key is compared with, as PostgreSQL would read it; none if it is not plainly one.
[[nodiscard]] std::optional<std::int64_t> integer_of(std::string_view text);

}  // namespace understudy::replayer
