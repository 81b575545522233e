// `understudy show --top`: which kinds of statements cost most? A row a kind: calls, times, rows, bytes,
// errors. Holds a kind in some hundred bytes, at most 20,000 of them; the rest share one. One thread.
#pragma once

#include <optional>
#include <string_view>

#include "replayer/condition_scope.h"
#include "replayer/output.h"

namespace understudy::replayer {

enum class SummaryOrder : std::uint8_t { kTime, kCalls, kBytes, kErrors };

[[nodiscard]] std::optional<SummaryOrder> parse_summary_order(std::string_view text);

struct StatementSummaryOptions {
  std::uint64_t limit = 20;
  SummaryOrder order = SummaryOrder::kTime;
  // That a line may take; 0: as many as it does.
  std::size_t columns = 0;
  bool json = false;
};

void summarise_statements(const Recording& recording, const ConditionScope& scope,
                          const StatementSummaryOptions& options, Output& out);

}  // namespace understudy::replayer
