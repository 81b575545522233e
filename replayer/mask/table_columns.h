// Which columns a table has, for INSERT and COPY that do not name them: of a session's temporary tables,
// where its own statements prove it, and of those that the rules tell. A CREATE TEMP TABLE that names each
// column and was answered with success tells them, until anything comes that might change a table: no one
// else can. Pure functions, any thread.
#pragma once

#include <Poco/Dynamic/Var.h>
#include <Poco/JSON/Object.h>

#include <map>
#include <string>
#include <vector>

#include "formats/masking/rules.h"

namespace understudy::replayer {

using TableColumns = std::map<std::string, std::vector<std::string>, std::less<>>;

struct TableEffects {
  // CREATE TEMP TABLE: its name and columns; empty of everything else, and where not all columns are named.
  std::string creates;
  std::vector<std::string> columns;
  bool on_commit_drop = false;
  bool commits = false;
  std::string unlisted;  // the table of an INSERT or COPY that does not name columns
  bool disturbs = true;  // it may change tables, or what their names stand for
};

// Of the only statement of a text.
[[nodiscard]] TableEffects table_effects(const Poco::Dynamic::Var& statement);

// Of a RangeVar; null: not known. `known`: temporary tables, which no schema is written before.
[[nodiscard]] const std::vector<std::string>* columns_of(const Poco::JSON::Object::Ptr& relation,
                                                         const masking::Rules& rules,
                                                         const TableColumns& known);

}  // namespace understudy::replayer
