// What a text of SQL says of the values in it: which constants, parameters and result columns are of a masked
// column. Pure functions, any thread.
//
// A constant is of a column when it is compared with it, assigned or inserted to it, or stands in the same
// expression. Columns that a query renames, or computes of masked ones, are followed through subqueries. What
// this cannot tell is for the caller to hide.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/masking/rules.h"
#include "replayer/mask/table_columns.h"

namespace understudy::replayer {

// Which column a value is of, as far as can be told.
struct ValueRole {
  bool placed = false;                  // it is of some column
  const masking::Rule* rule = nullptr;  // that masks it
  bool assigned = false;                // it goes to a column, whichever
  std::uint32_t cast_oid = 0;           // the type it is cast to
  bool list = false;                    // = ANY (it): an array of the column's type
  int execute_parameter = -1;           // of EXECUTE: which of the prepared statement's it is
  std::size_t execute_of = 0;           // and which of `executes` that is
  std::string channel = {};             // NOTIFY's or pg_notify()'s payload: its channel
  int channel_parameter = -1;           // or: which parameter says its channel

  [[nodiscard]] bool is_payload() const { return !channel.empty() || channel_parameter >= 0; }
};

// A constant in the text.
struct ConstantPlace {
  enum class Kind : std::uint8_t { kString, kNumber, kBoolean, kBits, kComment };
  Kind kind = Kind::kString;
  std::size_t begin = 0;  // of the token, with its quotes
  std::size_t end = 0;
  bool negative = false;  // a number with a minus before it
  ValueRole role;
};

struct CopyShape {
  enum class Format : std::uint8_t { kText, kCsv, kOther };
  Format format = Format::kText;
  bool header = false;
  bool header_match = false;  // the server compares it with the columns' names
};

// What a statement answers with.
struct ResultShape {
  bool by_position = false;                            // `columns` are all of its columns
  std::vector<const masking::Rule*> columns;           // null: not masked
  std::map<std::string, const masking::Rule*> labels;  // masked, whatever they are called in the tables
  std::vector<std::string> tables;                     // that it mentions
  bool hidden = false;                                 // rows that are about masked values: EXPLAIN
  const masking::Rule* any = nullptr;                  // columns that are not told apart: all may be masked
  std::optional<CopyShape> copy;
  std::string refers_to;  // EXECUTE, FETCH: as what that name stands for
  std::string defines;    // PREPARE, DECLARE: gives this a name
};

struct StatementValues {
  bool understood = false;                   // else nothing below holds
  std::vector<ConstantPlace> constants;      // by place
  std::vector<ValueRole> parameters;         // $1, ...
  const masking::Rule* mentioned = nullptr;  // some masked column it is about
  std::vector<ResultShape> results;          // of each statement of the text
  std::vector<const masking::Rule*> named;   // columns that are called so in it
  TableEffects tables;                       // of the text, if it is one statement
  bool by_columns = false;                   // columns were told by `known`
  std::vector<std::string> executes;         // names of prepared statements that it runs
};

// `known`: columns of tables, for statements that do not name them.
[[nodiscard]] StatementValues read_statement_values(std::string_view sql, const masking::Rules& rules,
                                                    const TableColumns& known = {});

}  // namespace understudy::replayer
