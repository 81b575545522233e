#include "replayer/mask/value_masker.h"

#include <algorithm>

#include "formats/masking/value_shape.h"
#include "replayer/export/binary_value.h"
#include "replayer/mask/binary_token.h"

namespace understudy::replayer {
namespace {

using masking::Rule;
using masking::Shape;

constexpr std::uint32_t kFirstUserOid = 16'384;
constexpr std::size_t kMaxSeenBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxStatementBytes = std::size_t{8} << 20;
constexpr std::size_t kMaxKeptStatement = 16 << 10;

// Whether a value of the type looks as its tokens do; of text, everything does.
bool has_token(std::uint32_t type_oid, std::string_view text) {
  const Shape shape = masking::shape_of(text);
  if (type_oid == 0 || is_text_type(type_oid)) return true;
  switch (type_oid) {
    case 20:  // int8
    case 21:  // int2
    case 23:  // int4
    case 26:  // oid
      return shape == Shape::kInteger;
    case 1700:  // numeric
      return shape == Shape::kInteger || shape == Shape::kNumber || text == "NaN";
    case 2950:
      return shape == Shape::kUuid || shape == Shape::kPlainUuid;
    case 1082:
      return shape == Shape::kDate || shape == Shape::kKeyword;
    case 1114:
    case 1184:
      // A parameter may leave the time of day out.
      return shape == Shape::kTimestamp || shape == Shape::kDate || shape == Shape::kKeyword;
    case 17:
      return shape == Shape::kHex || shape == Shape::kKeyword;
    case 869:
      return shape == Shape::kAddress;
    default:
      return false;
  }
}

std::string_view view(std::span<const Byte> bytes) { return as_text(bytes); }

void put(std::span<Byte> at, std::string_view text) { std::copy(text.begin(), text.end(), at.begin()); }

// Of E'': backslashes that stand for themselves. False for any other escape.
bool unescape_backslashes(std::string& value) {
  for (std::size_t at = value.find('\\'); at != std::string::npos; at = value.find('\\', at + 1)) {
    if (at + 1 == value.size() || value[at + 1] != '\\') return false;
    value.erase(at, 1);
  }
  return true;
}

// Of an array of a type that has tokens; 0 of everything else.
std::uint32_t element_of(std::uint32_t oid) {
  const std::string name = type_name(oid);
  return name.ends_with("[]") ? masking::type_oid(name.substr(0, name.size() - 2)) : 0;
}

bool is_of_type(std::uint32_t oid, Shape shape) {
  switch (shape) {
    case Shape::kUuid:
      return oid == 2950;
    case Shape::kDate:
      return oid == 1082 || oid == 1114 || oid == 1184;
    case Shape::kTimestamp:
      return oid == 1114 || oid == 1184;
    case Shape::kHex:
      return oid == 17;
    case Shape::kAddress:
      return oid == 869;
    default:
      return false;
  }
}

}  // namespace

void ValueMasker::blot(std::span<Byte> text) {
  for (Byte& byte : text) {
    if (byte > ' ') byte = 'x';
  }
}

void ValueMasker::remember(std::string_view value, std::string_view token) {
  constexpr std::size_t kShortest = 3;
  if (value.size() < kShortest || value.size() > 1000) return;
  if (seen_bytes_ > kMaxSeenBytes) {
    seen_.clear();
    seen_bytes_ = 0;
  }
  if (seen_.emplace(value, token).second) seen_bytes_ += 2 * value.size();
}

void ValueMasker::hide(std::span<Byte> value, std::uint32_t type_oid, bool binary) {
  ++counts_.hidden;
  if (type_oid == 3802 && binary && !value.empty()) value = value.subspan(1);  // jsonb's version
  if (is_document_type(type_oid) || is_text_type(type_oid) || !binary) {
    const bool json = type_oid == 114 || type_oid == 3802;
    std::fill(value.begin(), value.end(), is_number_type(type_oid) || (json && value.size() < 2) ? '0' : 'x');
    if (json && value.size() >= 2) value.front() = value.back() = '"';
  } else {
    std::fill(value.begin(), value.end(), Byte{0});
  }
}

void ValueMasker::mask_text(std::span<Byte> text, const Rule& rule) {
  const auto token = tokens_.mask(view(text), rule.family);
  if (!token || token->size() != text.size()) {
    ++counts_.hidden;
    return blot(text);
  }
  remember(view(text), *token);
  put(text, *token);
  ++counts_.masked[&rule];
}

bool ValueMasker::mask_binary(std::span<Byte> value, const Rule& rule, std::uint32_t type_oid) {
  const auto text = text_of_binary(type_oid, value);
  if (!text || !has_token(type_oid, *text)) return false;
  if (masking::shape_of(*text) == Shape::kKeyword) return true;
  const auto token = tokens_.mask(*text, rule.family);
  const auto bytes = token ? binary_of_text(type_oid, *token) : std::nullopt;
  if (!bytes || bytes->size() != value.size()) return false;
  remember(*text, *token);
  std::copy(bytes->begin(), bytes->end(), value.begin());
  ++counts_.masked[&rule];
  return true;
}

void ValueMasker::mask(std::span<Byte> value, const ValuePlace& place) {
  if (value.empty()) return;
  const std::uint32_t oid = place.type_oid;
  const Rule* rule = place.column_rule != nullptr ? place.column_rule : rules_.for_type(oid);
  const bool text_bytes = is_text_type(oid) || is_document_type(oid) || ((oid == 0 || oid >= kFirstUserOid));
  if (rule == nullptr && oid == 0 && !place.binary) {
    for (const Rule& each : rules_.all()) {
      if (rule == nullptr && each.kind == Rule::Kind::kType &&
          is_of_type(masking::type_oid(each.type), masking::shape_of(view(value))))
        rule = &each;
    }
  }
  if (rule == nullptr && text_bytes) rule = rules_.for_text(view(value));
  if (rule == nullptr) return;
  if (place.list && oid == 0 && !place.binary && mask_array_text(value, *rule, 0)) return;
  mask_value(value, *rule, oid, place.binary);
}

void ValueMasker::mask_value(std::span<Byte> value, const Rule& rule, std::uint32_t oid, bool binary) {
  if (const std::uint32_t element = element_of(oid); element != 0) {
    if (!(binary ? mask_array(value, rule, element) : mask_array_text(value, rule, element)))
      hide(value, oid, binary);
  } else if (binary && !is_text_type(oid)) {
    if (!mask_binary(value, rule, oid)) hide(value, oid, true);
  } else if (has_token(oid, view(value))) {
    mask_text(value, rule);
  } else {
    hide(value, oid, false);
  }
}

// Dimensions, whether there are NULLs, the elements' type; size and lower bound of each dimension; lengths
// and values.
bool ValueMasker::mask_array(std::span<Byte> value, const Rule& rule, std::uint32_t element_oid) {
  constexpr std::uint32_t kMaxDimensions = 6;
  for (const bool change : {false, true}) {  // not before all of it is known to be one
    ByteReader in(value);
    const std::uint32_t dimensions = in.be32();
    (void)in.be32();
    if (in.be32() != element_oid || dimensions > kMaxDimensions) return false;
    (void)in.bytes(std::size_t{dimensions} * 8);
    while (in.remaining() > 0 && !in.failed()) {
      const std::uint32_t length = in.be32();
      if (length == 0xFFFFFFFF) continue;
      const std::size_t at = in.offset();
      (void)in.bytes(length);
      if (change && !in.failed() && length > 0)
        mask_value(value.subspan(at, length), rule, element_oid, true);
    }
    if (in.failed()) return false;
  }
  return true;
}

// {one,"two, three",NULL}: a token is quoted as its value was, for it has the same punctuation.
bool ValueMasker::mask_array_text(std::span<Byte> value, const Rule& rule, std::uint32_t element_oid) {
  const std::string_view text = view(value);
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return false;
  for (std::size_t at = 1; at < text.size();) {
    if (text[at] == '{' || text[at] == '}' || text[at] == ',') {
      ++at;
      continue;
    }
    const bool quoted = text[at] == '"';
    const std::size_t begin = quoted ? at + 1 : at;
    std::size_t end = begin;
    while (end < text.size() && (quoted ? text[end] != '"' : text[end] != ',' && text[end] != '}'))
      end += quoted && text[end] == '\\' ? 2 : 1;
    if (end >= text.size()) return false;
    const std::span<Byte> element = value.subspan(begin, end - begin);
    const bool escaped = view(element).find('\\') != std::string_view::npos;
    if (escaped && element_oid == 17) {  // bytea: "\\x00ff"
      if (view(element).starts_with("\\\\"))
        mask_value(element.subspan(1), rule, element_oid, false);
      else
        hide(element, element_oid, false);
    } else if (escaped) {
      hide(element, element_oid, false);
    } else if (quoted || (view(element) != "NULL" && view(element) != "null")) {
      mask_value(element, rule, element_oid, false);
    }
    at = end + (quoted ? 1 : 0);
  }
  return true;
}

// ---- Statements

std::shared_ptr<const StatementValues> ValueMasker::read(std::string_view sql) {
  ++counts_.statements;
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return found->second;
  auto values = std::make_shared<const StatementValues>(read_statement_values(sql, rules_));
  if (sql.size() > kMaxKeptStatement) return values;
  statement_bytes_ += sql.size() + 1000;
  if (statement_bytes_ > kMaxStatementBytes) {
    statements_.clear();
    statement_bytes_ = 0;
  }
  statements_.emplace(sql, values);
  return values;
}

const Rule* ValueMasker::rule_for_literal(const ConstantPlace& place, std::string_view value,
                                          const StatementValues& values, const ValueRole& role) const {
  if (role.rule != nullptr) return role.rule;
  const Shape shape = masking::shape_of(value);
  const bool string = place.kind != ConstantPlace::Kind::kNumber;
  for (const Rule& rule : rules_.all()) {
    if (rule.kind != Rule::Kind::kType) continue;
    const std::uint32_t oid = masking::type_oid(rule.type);
    const bool fits = role.cast_oid == oid || (string && (is_text_type(oid) || is_of_type(oid, shape))) ||
                      (!string && role.placed && is_number_type(oid));
    if (fits) return &rule;
  }
  if (!string) return nullptr;
  if (const Rule* const rule = rules_.for_text(value)) return rule;
  // A string of no column, in a statement about a masked one, may be of that one.
  return role.placed ? nullptr : values.mentioned;
}

void ValueMasker::mask_number(std::span<Byte> token, bool negative, const Rule& rule) {
  const std::string text = (negative ? "-" : "") + std::string(view(token));
  const Shape shape = masking::shape_of(text);
  if (shape != Shape::kInteger && shape != Shape::kNumber) {  // 1e5, 0x1F: as it is written, it has no token
    ++counts_.hidden;
    for (Byte& byte : token) {
      if (byte >= '1' && byte <= '9') byte = '0';
    }
    return;
  }
  const auto masked = tokens_.mask(text, rule.family);
  remember(text, *masked);
  put(token, std::string_view(*masked).substr(negative ? 1 : 0));
  ++counts_.masked[&rule];
}

void ValueMasker::mask_constant(std::span<Byte> sql, const ConstantPlace& place,
                                const StatementValues& values, const ValueRole& role) {
  const std::span<Byte> token = sql.subspan(place.begin, place.end - place.begin);
  using Kind = ConstantPlace::Kind;
  if (place.kind == Kind::kComment) {
    if (values.mentioned == nullptr && rules_.for_text(view(token)) == nullptr) return;
    for (Byte& byte : token) byte = byte == '\n' ? '\n' : ' ';
    return;
  }
  if (place.kind == Kind::kBoolean || place.kind == Kind::kBits) {
    if (role.rule == nullptr) return;
    ++counts_.hidden;
    if (place.kind == Kind::kBoolean) {
      std::fill(token.begin(), token.end(), ' ');
      put(token, "null");
    } else {
      std::fill(token.begin() + 2, token.end() - 1, '0');
    }
    return;
  }
  if (place.kind == Kind::kNumber) {
    const Rule* const rule = rule_for_literal(place, view(token), values, role);
    if (rule != nullptr) mask_number(token, place.negative, *rule);
    return;
  }
  // 'text', E'text', N'text', $tag$text$tag$
  const std::string_view whole = view(token);
  const std::size_t open = whole.front() == '$' ? whole.find('$', 1) : whole.find('\'');
  const std::size_t close = whole.front() == '$' ? open : 0;  // bytes before the last one
  if (open == std::string_view::npos || whole.size() < open + close + 2) return blot(token);
  const std::span<Byte> inside = token.subspan(open + 1, token.size() - open - close - 2);
  std::string value(view(inside));
  const bool dollar = whole.front() == '$';
  for (std::size_t at = dollar ? std::string::npos : value.find("''"); at != std::string::npos;
       at = value.find("''", at + 1))
    value.erase(at, 1);
  const Rule* const rule = rule_for_literal(place, value, values, role);
  if (rule == nullptr) return;
  if (role.rule == nullptr && !role.placed) ++counts_.unplaced;
  const bool escapes = (whole.front() | 0x20) == 'e';
  if (escapes && !unescape_backslashes(value)) {
    ++counts_.hidden;
    std::fill(inside.begin(), inside.end(), 'x');
    return;
  }
  const std::span<Byte> plain(reinterpret_cast<Byte*>(value.data()), value.size());
  if (!role.list || !mask_array_text(plain, *rule, 0)) mask_text(plain, *rule);
  for (std::size_t at = 0; !dollar && at < value.size(); ++at) {
    const char c = value[at];
    if (c == '\'' || (escapes && c == '\\')) value.insert(at++, 1, c);
  }
  if (value.size() == inside.size()) {
    put(inside, value);
  } else {  // blotted, quotes and all
    std::fill(inside.begin(), inside.end(), 'x');
  }
}

void ValueMasker::mask_statement(std::span<Byte> sql, const StatementValues& values,
                                 const StatementValues* prepared) {
  if (!values.understood) {
    ++counts_.not_understood;
    return blot(sql);
  }
  for (const ConstantPlace& place : values.constants) {
    ValueRole role = place.role;
    const auto index = static_cast<std::size_t>(role.execute_parameter);
    if (role.execute_parameter >= 0 && prepared != nullptr && index < prepared->parameters.size()) {
      role = prepared->parameters[index];
      role.placed = true;
    }
    mask_constant(sql, place, values, role);
  }
}

}  // namespace understudy::replayer
