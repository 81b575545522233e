#include "replayer/object_creation.h"

#include <charconv>
#include <vector>

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_messages.h"
#include "formats/wire/message_types.h"
#include "proxy/sql_tokens.h"

namespace understudy::replayer {
namespace {

namespace backend = wire::backend;
using proxy::SqlToken;
using Kind = proxy::SqlTokenKind;

// Of PostgreSQL's functions (pg_proc.dat): the same in all versions.
constexpr std::uint32_t kLoCreate = 715;
constexpr std::uint32_t kLoCreat = 957;
constexpr std::uint32_t kOidType = 26;
constexpr std::size_t kHeaderBytes = 5;  // type and length
constexpr std::size_t kLongestText = std::size_t{8} << 10;
// Parse, Bind, Describe, Execute, Sync: as libpq's PQexecParams and the drivers send a statement.
constexpr std::string_view kPipeline = "PBDES";

bool is_zero(std::string_view number) { return number.find_first_not_of('0') == std::string_view::npos; }

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

// Reads SELECT [pg_catalog.]lo_...(...) [[AS] name] [;] and nothing else.
class CreationReader {
 public:
  CreationReader(std::string_view sql, const std::vector<SqlToken>& tokens) : sql_(sql), tokens_(tokens) {}

  std::optional<OidPlace> read() {
    if (!word("select")) return std::nullopt;
    if (word("pg_catalog") && !symbol('.')) return std::nullopt;
    const auto place = call();
    if (!place || !symbol(')')) return std::nullopt;
    (void)word("as");
    (void)take(Kind::kWord);
    (void)symbol(';');
    return at_ == tokens_.size() ? place : std::nullopt;
  }

 private:
  [[nodiscard]] const SqlToken* take(Kind kind) {
    return at_ < tokens_.size() && tokens_[at_].kind == kind ? &tokens_[at_++] : nullptr;
  }
  bool symbol(char c) {
    const bool found = at_ < tokens_.size() && tokens_[at_].is(sql_, c);
    if (found) ++at_;
    return found;
  }
  bool word(std::string_view lower) {
    const bool found = at_ < tokens_.size() && tokens_[at_].kind == Kind::kWord &&
                       proxy::to_lower(tokens_[at_].of(sql_)) == lower;
    if (found) ++at_;
    return found;
  }

  std::optional<OidPlace> call() {
    const std::size_t begin = at_ < tokens_.size() ? tokens_[at_].begin : 0;
    if (word("lo_creat")) return of_creat(begin);
    if (word("lo_create")) return of_create();
    if (!word("lo_from_bytea")) return std::nullopt;
    const auto place = of_create();
    return symbol(',') && contents() ? place : std::nullopt;
  }

  // Its argument, a mode that is ignored, gives way to lo_create's.
  std::optional<OidPlace> of_creat(std::size_t begin) {
    if (!symbol('(')) return std::nullopt;
    (void)symbol('-');
    const SqlToken* const mode = take(Kind::kNumber);
    if (mode == nullptr) return std::nullopt;
    return OidPlace{begin, mode->end - begin, "lo_create(", false};
  }

  std::optional<OidPlace> of_create() {
    const SqlToken* const oid = symbol('(') ? take(Kind::kNumber) : nullptr;
    if (oid == nullptr) return std::nullopt;
    return OidPlace{oid->begin, oid->end - oid->begin, "", !is_zero(oid->of(sql_))};
  }

  bool contents() {
    if (take(Kind::kParameter) == nullptr && take(Kind::kString) == nullptr) return false;
    return !symbol(':') || (symbol(':') && take(Kind::kWord) != nullptr);
  }

  std::string_view sql_;
  const std::vector<SqlToken>& tokens_;
  std::size_t at_ = 0;
};

std::optional<OidPlace> find_oid(std::string_view sql) {
  // Most texts are let go at once.
  if (sql.size() > kLongestText) return std::nullopt;
  if (sql.find("lo_") == std::string_view::npos && sql.find("LO_") == std::string_view::npos)
    return std::nullopt;
  const auto tokens = proxy::read_sql_tokens(sql);
  return tokens ? CreationReader(sql, *tokens).read() : std::nullopt;
}

}  // namespace

std::optional<ObjectCreation> ObjectCreation::in(ByteView piece) {
  std::string types;
  ByteView payload;
  bool whole = false;  // the first, which is the one
  wire::FrameScanner scanner;
  (void)scanner.feed(piece, [&](const wire::FrameHeader& frame) {
    types += frame.type;
    if (types.size() > 1) return types.size() <= kPipeline.size();
    payload = frame.payload_here;
    whole = payload.size() == frame.payload_length;
    return whole;
  });
  if (!whole) return std::nullopt;
  if (types == "F") return in_call(payload);
  if (types == "Q") return in_text(payload, 0);
  const bool pipeline = types.starts_with("PB") && kPipeline.starts_with(types);
  return pipeline && !payload.empty() && payload[0] == 0 ? in_text(payload, 1) : std::nullopt;
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

std::optional<ObjectCreation> ObjectCreation::in_text(ByteView payload, std::size_t sql_at) {
  std::string_view sql = as_text(payload.subspan(sql_at));
  sql = sql.substr(0, sql.find('\0'));
  const auto place = find_oid(sql);
  if (!place || place->given) return std::nullopt;
  ObjectCreation out;
  out.at_ = sql_at + place->at;
  out.bytes_ = place->bytes;
  out.before_ = place->before;
  return out;
}

ByteBuffer ObjectCreation::with_oid(ByteView piece, std::uint32_t oid) const {
  if (call_) {
    ByteBuffer out(piece.begin(), piece.end());
    store_be32(out.data() + kHeaderBytes, kLoCreate);
    store_be32(out.data() + kHeaderBytes + at_, oid);
    return out;
  }
  const std::string said = std::string(before_) + std::to_string(oid);
  ByteBuffer out(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(kHeaderBytes + at_));
  append_bytes(out, as_bytes(said));
  append_bytes(out, piece.subspan(kHeaderBytes + at_ + bytes_));
  const std::uint32_t length = load_be32(piece.data() + 1);
  store_be32(out.data() + 1, static_cast<std::uint32_t>(length + said.size() - bytes_));
  return out;
}

void CreationAnswer::feed(ByteView server_bytes) {
  (void)messages_.feed(server_bytes, [this](const wire::Message& message) { take(message); });
}

std::optional<std::uint32_t> CreationAnswer::oid() const {
  return found_ == 1 && oid_ != 0 ? std::optional(oid_) : std::nullopt;
}

void CreationAnswer::take(const wire::Message& message) {
  switch (message.type) {
    case backend::kRowDescription:
      return take_columns(message.payload);
    case backend::kDataRow:
      return take_row(message.payload);
    case backend::kFunctionCallResponse:
      // Text has five digits or more: of users, OIDs begin at 16384.
      if (message.payload.size() > 4) add(message.payload.subspan(4), message.payload.size() == 8);
      return;
    case backend::kReadyForQuery:
      complete_ = true;
      return;
    default:
      return;
  }
}

void CreationAnswer::take_columns(ByteView payload) {
  format_.reset();
  const auto row = wire::RowDescription::decode(payload);
  if (!row || row->fields.size() != 1) return;
  const wire::FieldDescription field = *row->fields.begin();
  if (field.type_oid == kOidType) format_ = field.format;
}

void CreationAnswer::take_row(ByteView payload) {
  const auto row = wire::DataRow::decode(payload);
  if (!row || !format_ || row->columns.size() != 1) return;
  add((*row->columns.begin()).bytes, *format_ == 1);
}

void CreationAnswer::add(ByteView value, bool binary) {
  ++found_;
  oid_ = 0;
  if (binary) {
    if (value.size() == 4) oid_ = load_be32(value.data());
  } else {
    const std::string_view digits = as_text(value);
    (void)std::from_chars(digits.data(), digits.data() + digits.size(), oid_);
  }
}

std::optional<std::string> without_object_oid(std::string_view sql) {
  const auto place = find_oid(sql);
  if (!place) return std::nullopt;
  std::string out(sql);
  return out.replace(place->at, place->bytes, std::string(place->before) + "0");
}

bool creates_object(std::uint32_t function_oid) {
  return function_oid == kLoCreat || function_oid == kLoCreate;
}

}  // namespace understudy::replayer
