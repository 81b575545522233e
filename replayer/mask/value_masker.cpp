#include "replayer/mask/value_masker.h"

#include <algorithm>
#include <iterator>

#include "formats/masking/value_shape.h"
#include "replayer/export/binary_value.h"
#include "replayer/mask/binary_token.h"
#include "replayer/mask/statement_text.h"

namespace understudy::replayer {
namespace {

using masking::Rule;
using masking::Shape;

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

// Whether a value written like this may be of that type.
bool may_be_of_type(std::uint32_t oid, std::string_view text) {
  const Shape shape = masking::shape_of(text);
  if (is_text_type(oid) || is_of_type(oid, shape)) return true;
  if (is_number_type(oid)) return shape == Shape::kInteger || shape == Shape::kNumber;
  if (text.empty()) return false;
  switch (oid) {
    case 114:
    case 3802:
      return std::string_view("{[\"").find(text.front()) != std::string_view::npos;
    case 142:
      return text.front() == '<';
    case 16:
      return text == "t" || text == "f" || text == "true" || text == "false";
    case 1186:  // interval
      return shape == Shape::kText &&
             std::string_view("0123456789+-@P").find(text.front()) != std::string_view::npos;
    default:
      return false;
  }
}

// Of these nothing is looked for in a text: what they may say is known. Not of records, user-defined types
// and whatever else may hold texts.
bool is_plain_scalar(std::uint32_t oid) {
  constexpr std::uint32_t kScalars[] = {16,   17,   18,   20,   21,   23,   26,   27,   28,
                                        29,   650,  700,  701,  790,  829,  869,  1082, 1083,
                                        1114, 1184, 1186, 1266, 1560, 1562, 1700, 2950};
  return std::find(std::begin(kScalars), std::end(kScalars), oid) != std::end(kScalars);
}

// In a record or an array each part is looked at by itself too: a pattern may be bound to a text's ends.
const Rule* rule_for_parts(const masking::Rules& rules, std::string_view text) {
  if (const Rule* const rule = rules.for_text(text)) return rule;
  if (!rules.has_patterns() || text.empty() || (text.front() != '(' && text.front() != '{')) return nullptr;
  constexpr std::string_view kBetween = ",(){}\"\\";
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(kBetween), text.size());
    if (const Rule* const rule = rules.for_text(text.substr(0, end))) return rule;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return nullptr;
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
  const std::string before(binary && !is_text_type(type_oid) ? std::string_view() : view(value));
  if (is_document_type(type_oid) || is_text_type(type_oid) || !binary) {
    const bool json = type_oid == 114 || type_oid == 3802;
    std::fill(value.begin(), value.end(), is_number_type(type_oid) || (json && value.size() < 2) ? '0' : 'x');
    if (json && value.size() >= 2) value.front() = value.back() = '"';
  } else {
    std::fill(value.begin(), value.end(), Byte{0});
  }
  remember(before, view(value).substr(0, before.size()));
}

void ValueMasker::mask_text(std::span<Byte> text, const Rule& rule) {
  const auto token = tokens_.mask(view(text), rule.family);
  if (!token || token->size() != text.size()) {
    ++counts_.hidden;
    ++counts_.hidden_by[&rule];
    const std::string before(view(text));
    blot(text);
    return remember(before, view(text));
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
  const std::uint32_t element = element_of(oid);
  const Rule* rule = place.column_rule != nullptr ? place.column_rule : rules_.for_type(oid);
  if (rule == nullptr && element != 0) rule = rules_.for_type(element);
  if (rule == nullptr && oid == 0) rule = for_unknown_type(value, place.binary);
  if (rule == nullptr && element != 0 && rules_.has_patterns() && !is_plain_scalar(element)) {
    if (!mask_elements(value, nullptr, element, place.binary)) hide(value, oid, place.binary);
    return;
  }
  if (rule == nullptr && element == 0 && !is_plain_scalar(oid)) rule = rule_for_parts(rules_, view(value));
  if (rule == nullptr) return;
  if (place.list && oid == 0 && !place.binary && mask_array_text(value, rule, 0)) return;
  mask_value(value, *rule, oid, place.binary);
}

// The rule for a type that this may be of: all that is known is how it is written. Of bytes nothing is.
const Rule* ValueMasker::for_unknown_type(std::span<Byte> value, bool binary) const {
  for (const Rule& rule : rules_.all()) {
    if (rule.kind == Rule::Kind::kType &&
        (binary || may_be_of_type(masking::type_oid(rule.type), view(value))))
      return &rule;
  }
  return nullptr;
}

void ValueMasker::mask_value(std::span<Byte> value, const Rule& rule, std::uint32_t oid, bool binary) {
  bool masked = false;
  if (const std::uint32_t element = element_of(oid); element != 0) {
    masked = mask_elements(value, &rule, element, binary);
  } else if (binary && !is_text_type(oid)) {
    masked = mask_binary(value, rule, oid);
  } else if (has_token(oid, view(value))) {
    mask_text(value, rule);
    masked = true;
  }
  if (masked) return;
  ++counts_.hidden_by[&rule];
  hide(value, oid, binary);
}

bool ValueMasker::mask_elements(std::span<Byte> value, const Rule* rule, std::uint32_t element_oid,
                                bool binary) {
  return binary ? mask_array(value, rule, element_oid) : mask_array_text(value, rule, element_oid);
}

void ValueMasker::mask_element(std::span<Byte> value, const Rule* rule, std::uint32_t oid, bool binary) {
  if (rule == nullptr) {
    mask(value, {.type_oid = oid, .binary = binary});
  } else {
    mask_value(value, *rule, oid, binary);
  }
}

// Dimensions, whether there are NULLs, the elements' type; size and lower bound of each dimension; lengths
// and values.
bool ValueMasker::mask_array(std::span<Byte> value, const Rule* rule, std::uint32_t element_oid) {
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
        mask_element(value.subspan(at, length), rule, element_oid, true);
    }
    if (in.failed()) return false;
  }
  return true;
}

// Whether a pattern is found in an element with backslashes.
bool ValueMasker::escaped_fits(std::string_view element) const {
  std::string plain;
  for (std::size_t i = 0; i < element.size(); ++i) {
    if (element[i] == '\\' && i + 1 < element.size()) ++i;
    plain += element[i];
  }
  return rules_.for_text(plain) != nullptr;
}

// {one,"two, three",NULL}: a token is quoted as its value was, for it has the same punctuation.
bool ValueMasker::mask_array_text(std::span<Byte> value, const Rule* rule, std::uint32_t element_oid) {
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
        mask_element(element.subspan(1), rule, element_oid, false);
      else
        hide(element, element_oid, false);
    } else if (escaped) {
      if (rule != nullptr || escaped_fits(view(element))) hide(element, element_oid, false);
    } else if (quoted || (view(element) != "NULL" && view(element) != "null")) {
      mask_element(element, rule, element_oid, false);
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
  counts_.named.insert(values->named.begin(), values->named.end());
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
  const bool string = place.kind != ConstantPlace::Kind::kNumber;
  for (const Rule& rule : rules_.all()) {
    if (rule.kind != Rule::Kind::kType) continue;
    const std::uint32_t oid = masking::type_oid(rule.type);
    const bool fits = role.cast_oid == oid || (string && may_be_of_type(oid, value)) ||
                      (!string && (role.placed || role.assigned) && is_number_type(oid));
    if (fits) return &rule;
  }
  if (!string) return nullptr;
  if (const Rule* const rule = rules_.for_text(value)) return rule;
  // A string of no column, in a statement about a masked one, may be of that one.
  return role.placed ? nullptr : values.mentioned;
}

void ValueMasker::hide_digits(std::span<Byte> number) {
  ++counts_.hidden;
  const std::string before(view(number));
  for (Byte& byte : number) {
    if (byte >= '1' && byte <= '9') byte = '0';
  }
  remember(before, view(number));
}

void ValueMasker::mask_number(std::span<Byte> token, bool negative, const Rule& rule) {
  const std::string text = (negative ? "-" : "") + std::string(view(token));
  const Shape shape = masking::shape_of(text);
  if (shape != Shape::kInteger && shape != Shape::kNumber) {  // 1e5, 0x1F: as it is written, it has no token
    ++counts_.hidden_by[&rule];
    return hide_digits(token);
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
    ++counts_.hidden_by[role.rule];
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
  const bool escapes = (whole.front() | 0x20) == 'e';
  const std::string said = escapes ? unescaped(value) : value;
  const Rule* const rule = rule_for_literal(place, said, values, role);
  if (rule != nullptr && role.rule == nullptr && !role.placed) ++counts_.unplaced;
  const bool known = !escapes || unescape_backslashes(value);
  if (rule == nullptr) {
    if (known) payloads_.say(role.channel, value, value);
    return;
  }
  if (!known) {
    ++counts_.hidden_by[rule];
    return hide(inside, 0, false);
  }
  const std::string before = value;
  const std::span<Byte> plain(reinterpret_cast<Byte*>(value.data()), value.size());
  if (!role.list || !mask_array_text(plain, rule, 0)) mask_text(plain, *rule);
  payloads_.say(role.channel, before, value);
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

void ValueMasker::hide_constant(std::span<Byte> sql, const ConstantPlace& place) {
  const std::span<Byte> token = sql.subspan(place.begin, place.end - place.begin);
  if (place.kind != ConstantPlace::Kind::kString) {
    static const Rule kAny;
    if (place.kind != ConstantPlace::Kind::kNumber)
      return mask_constant(sql, place, {}, {.placed = true, .rule = &kAny});
    return hide_digits(token);
  }
  const std::string_view whole = view(token);
  const std::size_t open = whole.front() == '$' ? whole.find('$', 1) : whole.find('\'');
  const std::size_t close = whole.front() == '$' ? open : 0;
  if (open == std::string_view::npos || whole.size() < open + close + 2) return blot(token);
  hide(token.subspan(open + 1, token.size() - open - close - 2), 0, false);
}

void ValueMasker::mask_statement(std::span<Byte> sql, const StatementValues& values,
                                 const NamedValues& named) {
  if (!values.understood) {
    ++counts_.not_understood;
    return blot(sql);
  }
  for (const ConstantPlace& place : values.constants) {
    ValueRole role = place.role;
    if (role.execute_parameter < 0) {
      mask_constant(sql, place, values, role);
      continue;
    }
    const auto found =
        role.execute_of < values.executes.size() ? named.find(values.executes[role.execute_of]) : named.end();
    if (found == named.end() || !found->second) {  // of a statement that was not seen
      hide_constant(sql, place);
      continue;
    }
    const auto index = static_cast<std::size_t>(role.execute_parameter);
    const StatementValues& prepared = *found->second;
    role = index < prepared.parameters.size() ? prepared.parameters[index] : ValueRole{};
    // Of no column, as Bind's parameters are: a text may be of a masked one that the statement is about.
    if (!role.placed && role.rule == nullptr && place.kind == ConstantPlace::Kind::kString)
      role.rule = prepared.mentioned;
    role.placed = true;
    mask_constant(sql, place, values, role);
  }
}

}  // namespace understudy::replayer
