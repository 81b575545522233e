// Strings and lists of string pairs as transcripts store them: a varint length, then the bytes; a varint
// count, then that many (name, value). Shared by event payloads and records; pure functions, any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "formats/bytes.h"

namespace understudy {

inline void append_text(ByteBuffer& out, std::string_view text) {
  append_varint(out, text.size());
  append_bytes(out, as_bytes(text));
}

// Empty, with `reader` failed, when the bytes are not there: a length is never believed before it is checked.
[[nodiscard]] inline std::string read_text(ByteReader& reader) {
  const std::uint64_t length = reader.varint();
  return std::string(as_text(reader.bytes(length)));
}

inline void append_pairs(ByteBuffer& out, const std::vector<std::pair<std::string, std::string>>& pairs) {
  append_varint(out, pairs.size());
  for (const auto& [name, value] : pairs) {
    append_text(out, name);
    append_text(out, value);
  }
}

[[nodiscard]] inline bool read_pairs(ByteReader& reader,
                                     std::vector<std::pair<std::string, std::string>>& pairs) {
  pairs.clear();
  const std::uint64_t count = reader.varint();
  for (std::uint64_t i = 0; i < count && !reader.failed(); ++i) {
    std::string name = read_text(reader);
    std::string value = read_text(reader);
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return !reader.failed();
}

}  // namespace understudy
