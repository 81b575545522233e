#include "replayer/readable.h"

#include <algorithm>

#include "formats/wire/backend_messages.h"

namespace understudy::replayer {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// The length of the UTF-8 character at the front, 0 when there is none (RFC 3629; surrogates and overlong
// forms of three and four bytes are let through: a terminal shows them as one odd character).
std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  // C1 control characters, which some terminals obey.
  if (length == 2 && lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) return 0;
  return length;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      out += "\\x";
      out += kHexDigits[(static_cast<unsigned char>(c) >> 4) & 0xF];
      out += kHexDigits[static_cast<unsigned char>(c) & 0xF];
  }
}

// `cut`: more bytes follow, so that the last character may be half a one.
bool is_text(std::string_view bytes, bool cut) {
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    const char c = bytes.front();
    if (length == 0 && cut && bytes.size() < 4) return true;
    if (length == 0 || (is_control(c) && c != '\n' && c != '\t' && c != '\r')) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string hex(ByteView bytes, std::size_t limit_bytes) {
  std::string out = "\\x";
  for (const Byte byte : bytes) {
    if (out.size() >= limit_bytes) return out + "...";
    out += kHexDigits[byte >> 4];
    out += kHexDigits[byte & 0xF];
  }
  return out;
}

}  // namespace

std::string readable_text(std::string_view text, std::size_t limit_bytes) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= limit_bytes) return out + "...";
    const std::size_t length = utf8_length(text);
    if (length == 0 || is_control(text.front())) {
      append_escaped(out, text.front());
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string readable_cell(const wire::Value& value, std::size_t limit_bytes) {
  if (value.is_null) return "NULL";
  const std::string_view looked_at = value.text().substr(0, std::max<std::size_t>(limit_bytes, 64));
  const bool cut = looked_at.size() < value.bytes.size();
  return is_text(looked_at, cut) ? readable_text(value.text(), limit_bytes) : hex(value.bytes, limit_bytes);
}

std::string readable_value(const wire::Value& value, std::size_t limit_bytes) {
  std::string cell = readable_cell(value, limit_bytes);
  const bool quoted = !value.is_null && !cell.starts_with("\\x");
  return quoted ? "'" + cell + "'" : cell;
}

std::string readable_error(ByteView payload) {
  const auto error = wire::ErrorResponse::decode(payload);
  if (!error) return "(an error that cannot be read)";
  return std::string(error->severity()) + " " + std::string(error->sqlstate()) + ": " +
         readable_text(error->message(), 300);
}

}  // namespace understudy::replayer
