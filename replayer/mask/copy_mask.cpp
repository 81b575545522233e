#include "replayer/mask/copy_mask.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace understudy::replayer {
namespace {

using masking::Rule;

// What a backslash and a letter stand for in COPY's text format; nothing for codes of digits.
std::optional<char> unescape(char letter) {
  constexpr std::string_view kLetters = "bfnrtv\\";
  constexpr std::string_view kMeanings = "\b\f\n\r\t\v\\";
  const std::size_t at = kLetters.find(letter);
  if (at != std::string_view::npos) return kMeanings[at];
  return std::nullopt;
}

}  // namespace

void CopyMask::begin(const ResultShape* shape, bool binary, std::size_t columns, bool from_client) {
  judged_ = shape != nullptr && shape->copy && shape->copy->format != CopyShape::Format::kOther && !binary &&
            (!shape->by_position || shape->columns.size() == columns);
  shape_ = shape != nullptr ? *shape : ResultShape{};
  column_ = 0;
  inside_field_ = false;
  escaped_ = false;
  header_ = judged_ && shape_.copy->header;
  names_hold_ = judged_ && (!from_client || shape_.copy->header_match);
}

void CopyMask::data(ValueMasker& masker, std::span<Byte> bytes) {
  const bool csv = judged_ && shape_.copy->format == CopyShape::Format::kCsv;
  const bool quoted = csv && std::find(bytes.begin(), bytes.end(), Byte{'"'}) != bytes.end();
  const bool ends_line =
      quoted && bytes.back() == '\n' && std::count(bytes.begin(), bytes.end(), Byte{'"'}) % 2 == 0;
  if (!judged_ || quoted) {
    ++masker.counts().hidden;
    ValueMasker::blot(bytes);
    // What comes next is a line's beginning, or it is not known whether it is in quotes.
    judged_ = judged_ && ends_line;
    column_ = 0;
    inside_field_ = false;
    header_ = false;
    return;
  }
  const Byte delimiter = csv ? ',' : '\t';
  std::size_t begin = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const bool escaped = std::exchange(escaped_, !csv && !escaped_ && bytes[i] == '\\');
    if (escaped || escaped_) continue;
    if (bytes[i] != delimiter && bytes[i] != '\n') continue;
    field(masker, bytes.subspan(begin, i - begin), !inside_field_);
    inside_field_ = false;
    begin = i + 1;
    ++column_;
    if (bytes[i] == '\n') {
      column_ = 0;
      header_ = false;
    }
  }
  if (begin < bytes.size()) {
    field(masker, bytes.subspan(begin), false);
    inside_field_ = true;
  }
}

void CopyMask::field(ValueMasker& masker, std::span<Byte> bytes, bool whole) {
  if (!bytes.empty() && bytes.back() == '\r') bytes = bytes.first(bytes.size() - 1);
  if (bytes.empty()) return;
  const std::string_view text = as_text(bytes);
  if (text == "\\N" || (column_ == 0 && text == "\\.")) return;
  const Rule* rule = shape_.any;
  if (shape_.by_position && column_ < shape_.columns.size()) rule = shape_.columns[column_];
  if (header_) return header_field(masker, bytes, rule);
  if (!whole) {
    if (rule == nullptr && !masker.rules().has_patterns() && !masker.rules().has_types()) return;
    ++masker.counts().hidden;
    if (rule != nullptr) ++masker.counts().hidden_by[rule];
    return ValueMasker::blot(bytes);
  }
  if (rule == nullptr) {
    masker.mask(bytes, {});
  } else if (text.find('\\') != std::string_view::npos && shape_.copy->format == CopyShape::Format::kText) {
    mask_escaped(masker, bytes, *rule);
  } else {
    masker.mask_text(bytes, *rule);
  }
}

// A client may send a row of values in its place: the server drops it.
void CopyMask::header_field(ValueMasker& masker, std::span<Byte> bytes, const Rule* rule) const {
  const std::string_view text = as_text(bytes);
  if (names_hold_ || (rule != nullptr ? text == rule->name : masker.rules().for_text(text) == nullptr))
    return;
  ++masker.counts().hidden;
  if (rule != nullptr) ++masker.counts().hidden_by[rule];
  ValueMasker::blot(bytes);
}

void CopyMask::mask_escaped(ValueMasker& masker, std::span<Byte> bytes, const Rule& rule) {
  std::string value;
  bool known = true;
  for (std::size_t i = 0; i < bytes.size() && known; ++i) {
    if (bytes[i] != '\\') {
      value += static_cast<char>(bytes[i]);
      continue;
    }
    const auto meant = i + 1 < bytes.size() ? unescape(static_cast<char>(bytes[++i])) : std::nullopt;
    known = meant.has_value();
    if (known) value += *meant;
  }
  if (!known) {
    ++masker.counts().hidden;
    ++masker.counts().hidden_by[&rule];
    return ValueMasker::blot(bytes);
  }
  masker.mask_text(std::span<Byte>(reinterpret_cast<Byte*>(value.data()), value.size()), rule);
  // What is escaped is no letter and no digit, so it is where it was.
  std::size_t next = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i, ++next) {
    if (bytes[i] == '\\') {
      ++i;
    } else {
      bytes[i] = static_cast<Byte>(value[next]);
    }
  }
}

}  // namespace understudy::replayer
