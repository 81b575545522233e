// Which dialect a file is in, from its first bytes. Any thread.
#pragma once

#include <memory>
#include <string>

#include "formats/logs/log_record.h"

namespace understudy::logs {

enum class LogFormat : std::uint8_t { kStderr, kCsv, kJson, kPgreplay };

// Enough to tell the dialect: what detect_format() looks at.
inline constexpr std::size_t kDetectionBytes = std::size_t{64} << 10;
// A file cut at its beginning may open with the rest of a record: what most lines look like decides.
[[nodiscard]] LogFormat detect_format(ByteView beginning);
// "stderr", "csv", "json", "pgreplay".
[[nodiscard]] std::string_view format_name(LogFormat format);

}  // namespace understudy::logs
