// What the target's catalogs say of its tables: of which is a statement's effect told by its text alone? Read
// once a database, when its first session is opened; names that later statements may have given another
// meaning are struck out. Owned by StatementFootprints; the replay's thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

struct pg_conn;

namespace understudy::replayer {

// Tables of the same name in several schemas count as one: what holds for all of them holds.
struct TableFacts {
  bool readable = true;  // a table or materialized view by itself: no view, no row security, no children
  bool writable =
      true;  // and nothing else happens when it is written: no triggers (foreign keys are), no rules
  // Some uniqueness depends on more than the columns below: on expressions, on a condition.
  bool opaque_uniqueness = false;
  bool generates = false;  // some column is computed from others
  std::unordered_set<std::string> integer_columns;
  std::unordered_set<std::string> unique_columns;  // in any unique or exclusion index
  std::vector<std::string> columns;                // in their order
  std::vector<std::vector<std::string>> unique;    // the columns of each unique index on columns alone
};

class TargetTables {
 public:
  // Knows nothing: every table is unknown.
  TargetTables() = default;
  // Reads the catalogs of the database that `connection` is connected to. If that fails, nothing is known.
  explicit TargetTables(pg_conn* connection);

  // Null when unknown.
  [[nodiscard]] const TableFacts* find(const std::string& name) const;
  void add(const std::string& name, TableFacts facts) { tables_[name] = std::move(facts); }
  void strike(const std::string& name) { tables_.erase(name); }
  void strike_all() { tables_.clear(); }

 private:
  bool read(pg_conn* connection);

  std::unordered_map<std::string, TableFacts> tables_;
};

}  // namespace understudy::replayer
