// A diff's result for people: the summary first, then examples, biggest first, then latency by statement.
// Fits a terminal.
#pragma once

#include <iosfwd>
#include <string>

#include "formats/transcript/recording.h"
#include "replayer/diff_result.h"
#include "replayer/session_pairs.h"
#include "replayer/text_width.h"

namespace understudy::replayer {

struct DiffReportOptions {
  std::size_t examples = 10;
  std::size_t statements = 10;
  std::size_t columns = kWrapColumns;
};

// The two recordings a report is about.
struct DiffSubjects {
  const Recording& a;
  const Recording& b;
  SessionPairs::By paired_by = SessionPairs::By::kName;
};

// "B replays A", ...
[[nodiscard]] std::string paired_words(SessionPairs::By by);

void print_diff(std::ostream& out, const DiffResult& result, const DiffSubjects& subjects,
                const DiffReportOptions& options);

}  // namespace understudy::replayer
