#include "replayer/object_creation.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_messages.h"
#include "formats/wire/message_types.h"
#include "proxy/sql_tokens.h"

namespace understudy::replayer {
namespace {

namespace frontend = wire::frontend;
namespace backend = wire::backend;
using proxy::SqlToken;
using Kind = proxy::SqlTokenKind;

// Of PostgreSQL's functions (pg_proc.dat): the same in all versions.
constexpr std::uint32_t kLoCreate = 715;
constexpr std::uint32_t kLoCreat = 957;
constexpr std::uint32_t kOidType = 26;
constexpr std::size_t kHeaderBytes = 5;  // type and length

bool is_zero(std::string_view number) { return number.find_first_not_of('0') == std::string_view::npos; }

std::string_view up_to_nul(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  return text.substr(0, text.find('\0'));
}

void store_be32(Byte* at, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) *at++ = static_cast<Byte>(value >> shift);
}

// Where a text says the OID, or could: these bytes are replaced by `before` and the OID.
struct OidPlace {
  std::size_t at;
  std::size_t bytes;
  std::string_view before;
  bool given;  // it is there
};

// Finds the calls that make an object and tell its OID as a number, or not at all.
class CallReader {
 public:
  explicit CallReader(std::string_view sql) : sql_(sql), tokens_(proxy::read_leading_sql_tokens(sql)) {}

  std::optional<OidPlace> next() {
    while (at_ < tokens_.size()) {
      const std::size_t name = at_++;
      if (tokens_[name].kind != Kind::kWord || !symbol(name + 1, '(')) continue;
      if (auto place = call(name)) return place;
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] bool symbol(std::size_t at, char c) const {
    return at < tokens_.size() && tokens_[at].is(sql_, c);
  }
  [[nodiscard]] const SqlToken* token(std::size_t at, Kind kind) const {
    return at < tokens_.size() && tokens_[at].kind == kind ? &tokens_[at] : nullptr;
  }

  [[nodiscard]] std::optional<OidPlace> call(std::size_t name) const {
    const std::string word = proxy::to_lower(tokens_[name].of(sql_));
    if (word == "lo_creat") return of_creat(name);
    if (word == "lo_create") return of_create(name + 2, ')');
    if (word == "lo_from_bytea") return of_create(name + 2, ',');
    return word == "lo_import" ? of_import(name + 2) : std::nullopt;
  }

  // Its argument, a mode that is ignored, gives way to lo_create's.
  [[nodiscard]] std::optional<OidPlace> of_creat(std::size_t name) const {
    const std::size_t at = name + (symbol(name + 2, '-') ? 3 : 2);
    const SqlToken* const mode = token(at, Kind::kNumber);
    if (mode == nullptr || !symbol(at + 1, ')')) return std::nullopt;
    const std::size_t begin = tokens_[name].begin;
    return OidPlace{begin, mode->end - begin, "lo_create(", false};
  }

  [[nodiscard]] std::optional<OidPlace> of_create(std::size_t at, char behind) const {
    const SqlToken* const oid = token(at, Kind::kNumber);
    if (oid == nullptr || !symbol(at + 1, behind)) return std::nullopt;
    return OidPlace{oid->begin, oid->end - oid->begin, "", !is_zero(oid->of(sql_))};
  }

  [[nodiscard]] std::optional<OidPlace> of_import(std::size_t at) const {
    if (token(at, Kind::kString) == nullptr) return std::nullopt;
    if (symbol(at + 1, ')')) return OidPlace{tokens_[at].end, 0, ", ", false};
    const SqlToken* const oid = token(at + 2, Kind::kNumber);
    if (!symbol(at + 1, ',') || oid == nullptr || !symbol(at + 3, ')')) return std::nullopt;
    return OidPlace{tokens_[at].end, oid->end - tokens_[at].end, ", ", !is_zero(oid->of(sql_))};
  }

  std::string_view sql_;
  std::vector<SqlToken> tokens_;
  std::size_t at_ = 0;
};

// Most texts are let go at once.
bool may_create(std::string_view sql) {
  return sql.find("lo_") != std::string_view::npos || sql.find("LO_") != std::string_view::npos;
}

}  // namespace

std::optional<ObjectCreation> ObjectCreation::in(ByteView piece) {
  std::optional<ObjectCreation> found;
  unsigned count = 0;
  wire::FrameScanner scanner;
  (void)scanner.feed(piece, [&](const wire::FrameHeader& frame) {
    auto creation = in_message(frame);
    if (!creation) return true;
    creation->message_at_ = static_cast<std::size_t>(frame.payload_here.data() - piece.data()) - kHeaderBytes;
    found = std::move(creation);
    return ++count < 2;
  });
  return count == 1 ? found : std::nullopt;
}

std::optional<ObjectCreation> ObjectCreation::in_message(const wire::FrameHeader& frame) {
  const ByteView payload = frame.payload_here;
  switch (frame.type) {
    case frontend::kFunctionCall:
      return in_call(payload);
    case frontend::kQuery:
      return in_text(up_to_nul(payload), 0);
    case frontend::kParse:
      if (payload.empty() || payload[0] != 0) return std::nullopt;  // it has a name
      return in_text(up_to_nul(payload.subspan(1)), 1);
    default:
      return std::nullopt;
  }
}

std::optional<ObjectCreation> ObjectCreation::in_call(ByteView payload) {
  const auto call = wire::FunctionCall::decode(payload);
  if (!call || !creates_object(call->function_oid) || call->arguments.size() != 1) return std::nullopt;
  const ByteView argument = (*call->arguments.begin()).bytes;
  const bool binary = call->argument_formats.of(0) == 1 && argument.size() == 4;
  if (!binary || (call->function_oid == kLoCreate && load_be32(argument.data()) != 0)) return std::nullopt;
  ObjectCreation out;
  out.call_ = true;
  out.at_ = static_cast<std::size_t>(argument.data() - payload.data());
  return out;
}

std::optional<ObjectCreation> ObjectCreation::in_text(std::string_view sql, std::size_t sql_at) {
  if (!may_create(sql)) return std::nullopt;
  std::optional<ObjectCreation> out;
  CallReader calls(sql);
  while (const auto place = calls.next()) {
    if (place->given) continue;
    if (out) return std::nullopt;
    out.emplace();
    out->at_ = sql_at + place->at;
    out->bytes_ = place->bytes;
    out->before_ = place->before;
  }
  return out;
}

ByteBuffer ObjectCreation::with_oid(ByteView piece, std::uint32_t oid) const {
  const std::size_t payload_at = message_at_ + kHeaderBytes;
  if (call_) {
    ByteBuffer out(piece.begin(), piece.end());
    store_be32(out.data() + payload_at, kLoCreate);
    store_be32(out.data() + payload_at + at_, oid);
    return out;
  }
  const std::string said = std::string(before_) + std::to_string(oid);
  ByteBuffer out(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(payload_at + at_));
  append_bytes(out, as_bytes(said));
  append_bytes(out, piece.subspan(payload_at + at_ + bytes_));
  const std::uint32_t length = load_be32(piece.data() + message_at_ + 1);
  store_be32(out.data() + message_at_ + 1, static_cast<std::uint32_t>(length + said.size() - bytes_));
  return out;
}

void CreationAnswer::feed(ByteView server_bytes) {
  (void)messages_.feed(server_bytes, [this](const wire::Message& message) { take(message); });
}

std::optional<std::uint32_t> CreationAnswer::oid() const {
  return found_ == 1 ? std::optional(oid_) : std::nullopt;
}

void CreationAnswer::take(const wire::Message& message) {
  switch (message.type) {
    case backend::kRowDescription:
      return take_columns(message.payload);
    case backend::kDataRow:
      return take_row(message.payload);
    case backend::kFunctionCallResponse:
      if (message.payload.size() > 4) add(message.payload.subspan(4));
      return;
    case backend::kReadyForQuery:
      complete_ = true;
      return;
    default:
      return;
  }
}

void CreationAnswer::take_columns(ByteView payload) {
  oid_column_ = SIZE_MAX;
  const auto row = wire::RowDescription::decode(payload);
  if (!row) return;
  std::size_t index = 0;
  std::size_t count = 0;
  for (const wire::FieldDescription& field : row->fields) {
    if (field.type_oid == kOidType && ++count == 1) oid_column_ = index;
    ++index;
  }
  if (count > 1) oid_column_ = SIZE_MAX;
}

void CreationAnswer::take_row(ByteView payload) {
  const auto row = wire::DataRow::decode(payload);
  if (!row) return;
  std::size_t index = 0;
  for (const wire::Value& value : row->columns) {
    if (index++ == oid_column_ && !value.is_null) add(value.bytes);
  }
}

// In text or binary format: user's OIDs, from 16384 on, have five digits or more.
void CreationAnswer::add(ByteView value) {
  ++found_;
  oid_ = 0;
  if (value.size() == 4) {
    oid_ = load_be32(value.data());
  } else {
    const std::string_view digits = as_text(value);
    (void)std::from_chars(digits.data(), digits.data() + digits.size(), oid_);
  }
  if (oid_ == 0) found_ = 2;  // no OID at all
}

std::optional<std::string> without_object_oid(std::string_view sql) {
  if (!may_create(sql)) return std::nullopt;
  std::string out;
  std::size_t copied = 0;
  CallReader calls(sql);
  while (const auto place = calls.next()) {
    out += sql.substr(copied, place->at - copied);
    // Said as it is when the server is to choose: lo_create(0), lo_import('file').
    if (place->before != ", ") out += std::string(place->before) + "0";
    copied = place->at + place->bytes;
  }
  if (copied == 0) return std::nullopt;
  return out + std::string(sql.substr(copied));
}

bool creates_object(std::uint32_t function_oid) {
  return function_oid == kLoCreat || function_oid == kLoCreate;
}

}  // namespace understudy::replayer
