// What a statement answers with: which of its columns are masked. Pure function, any thread.
#pragma once

#include "replayer/mask/column_judge.h"
#include "replayer/mask/statement_values.h"

namespace understudy::replayer {

// `statement`: {"SelectStmt": {...}}, as libpg_query writes it; `judge` is of the same.
[[nodiscard]] ResultShape describe_result(const ColumnJudge& judge, const masking::Rules& rules,
                                          const Poco::Dynamic::Var& statement, const TableColumns& known);

}  // namespace understudy::replayer
