#include "replayer/readable.h"

#include <algorithm>

#include "formats/wire/backend_messages.h"
#include "replayer/value_text.h"

namespace understudy::replayer {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// Types that every server knows by the same number (pg_type.dat of PostgreSQL), by it.
struct TypeName {
  std::uint32_t oid;
  std::string_view name;
};
constexpr std::uint32_t kBpcharOid = 1042;
constexpr std::uint32_t kVarcharOid = 1043;
constexpr std::uint32_t kNumericOid = 1700;
constexpr TypeName kTypes[] = {
    {16, "boolean"},       {17, "bytea"},       {18, "\"char\""},
    {19, "name"},          {20, "bigint"},      {21, "smallint"},
    {23, "integer"},       {25, "text"},        {26, "oid"},
    {114, "json"},         {142, "xml"},        {600, "point"},
    {650, "cidr"},         {700, "real"},       {701, "double precision"},
    {705, "unknown"},      {790, "money"},      {829, "macaddr"},
    {869, "inet"},         {1000, "boolean[]"}, {1005, "smallint[]"},
    {1007, "integer[]"},   {1009, "text[]"},    {1015, "varchar[]"},
    {1016, "bigint[]"},    {1042, "char"},      {1043, "varchar"},
    {1082, "date"},        {1083, "time"},      {1114, "timestamp"},
    {1184, "timestamptz"}, {1186, "interval"},  {1231, "numeric[]"},
    {1266, "timetz"},      {1560, "bit"},       {1562, "varbit"},
    {1700, "numeric"},     {2249, "record"},    {2278, "void"},
    {2950, "uuid"},        {3220, "pg_lsn"},    {3614, "tsvector"},
    {3802, "jsonb"},
};
// varchar(10) has the modifier 14, numeric(10,2) has ((10 << 16) | 2) + 4.
constexpr std::int32_t kModifierOffset = 4;

// The length of the UTF-8 character at the front, 0 when there is none (RFC 3629, section 4). C1 control
// characters are taken for none: some terminals obey them.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (length < 2) return length;
  const unsigned char second = byte(1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second > 0x9F;
  const bool too_large = lead == 0xF4 && second > 0x8F;
  const bool control = lead == 0xC2 && second < 0xA0;
  return overlong || surrogate || too_large || control ? 0 : length;
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

// UTF-8 without NUL, control characters included. `cut`: more bytes follow, so that the last character may be
// half a one.
bool is_text(std::string_view bytes, bool cut) {
  if (is_utf8(bytes)) return true;
  for (std::size_t half = 1; cut && half < 4 && half < bytes.size(); ++half) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - half]);
    if (byte >= 0xC2 && byte < 0xF5) return is_utf8(bytes.substr(0, bytes.size() - half));
  }
  return false;
}

bool is_text(const wire::Value& value, std::size_t limit_bytes) {
  const std::string_view looked_at = value.text().substr(0, std::max<std::size_t>(limit_bytes, 64));
  return is_text(looked_at, looked_at.size() < value.bytes.size());
}

struct Escaped {
  std::string kept;
  bool cut = false;
  [[nodiscard]] std::string text() const { return cut ? kept + "..." : kept; }
};

// `marked`: characters that get a backslash.
Escaped escaped(std::string_view text, std::string_view marked, std::size_t limit_bytes) {
  Escaped out;
  while (!text.empty()) {
    if (out.kept.size() >= limit_bytes) {
      out.cut = true;
      return out;
    }
    const std::size_t length = utf8_length(text);
    if (length == 0 || is_control(text.front())) {
      append_escaped(out.kept, text.front());
      text.remove_prefix(1);
      continue;
    }
    if (marked.find(text.front()) != std::string_view::npos) out.kept += '\\';
    out.kept += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out;
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
  return escaped(text, "", limit_bytes).text();
}

std::string readable_cell(const wire::Value& value, std::size_t limit_bytes) {
  if (value.is_null) return "NULL";
  return is_text(value, limit_bytes) ? escaped(value.text(), "\\", limit_bytes).text()
                                     : hex(value.bytes, limit_bytes);
}

std::string readable_value(const wire::Value& value, std::size_t limit_bytes) {
  if (value.is_null) return "NULL";
  if (!is_text(value, limit_bytes)) return hex(value.bytes, limit_bytes);
  const Escaped inner = escaped(value.text(), "\\'", limit_bytes);
  return "'" + inner.kept + "'" + (inner.cut ? "..." : "");
}

std::string readable_error(ByteView payload) {
  const auto error = wire::ErrorResponse::decode(payload);
  if (!error) return "(an error that cannot be read)";
  return readable_state(error->severity(), error->sqlstate()) + ": " + readable_text(error->message(), 300);
}

std::string readable_state(std::string_view severity, std::string_view sqlstate) {
  constexpr std::size_t kLimit = 40;
  return readable_text(severity, kLimit) + (sqlstate.empty() ? "" : " ") + readable_text(sqlstate, kLimit);
}

std::string abridged(std::string_view text, std::size_t limit_bytes) {
  if (text.size() <= limit_bytes) return std::string(text);
  std::size_t end = limit_bytes - std::min<std::size_t>(limit_bytes, 3);
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string readable_type(std::uint32_t oid, std::int32_t modifier) {
  const auto known =
      std::lower_bound(std::begin(kTypes), std::end(kTypes), oid,
                       [](const TypeName& type, std::uint32_t wanted) { return type.oid < wanted; });
  if (known == std::end(kTypes) || known->oid != oid) return "type " + std::to_string(oid);
  std::string name(known->name);
  if (modifier < 0) return name;
  if (oid == kNumericOid) {
    const std::int32_t scale = (((modifier - kModifierOffset) & 0x7FF) ^ 0x400) - 0x400;
    const std::int32_t precision = ((modifier - kModifierOffset) >> 16) & 0xFFFF;
    return name + "(" + std::to_string(precision) + "," + std::to_string(scale) + ")";
  }
  const bool counted = oid == kBpcharOid || oid == kVarcharOid;
  return name + "(" + std::to_string(counted ? modifier - kModifierOffset : modifier) + ")";
}

}  // namespace understudy::replayer
