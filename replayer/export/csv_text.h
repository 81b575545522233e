// Fields of comma-separated values as PostgreSQL reads and writes them (RFC 4180; PostgreSQL documentation,
// "COPY", "CSV Format"): quoted when there is something in it, nothing at all for NULL. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace understudy::replayer {

[[nodiscard]] inline std::string csv_field(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace understudy::replayer
