// A parse tree, as libpg_query gives it in JSON, read for what it may touch. Any thread.
#pragma once

#include <string>
#include <vector>

#include "replayer/statement_footprints.h"

namespace understudy::replayer {

struct StatementTree {
  StatementShape shape;
  // Tables, views and whatever else is named in a statement that may change what they are.
  std::vector<std::string> changed_names;
};

[[nodiscard]] StatementTree read_statement(const char* json, const TargetTables& tables);

}  // namespace understudy::replayer
