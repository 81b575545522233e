#include "replayer/row_comparison.h"

#include <algorithm>
#include <map>

#include "formats/wire/backend_messages.h"
#include "formats/wire/content_hash.h"
#include "replayer/readable.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kCellBytes = 60;
constexpr std::size_t kLineBytes = 84;  // of a row that a report shows whole
constexpr std::size_t kRowBytes = 400;
constexpr std::size_t kContextBytes = 12;  // before the place where two long cells differ

std::uint64_t hash_of(const wire::Message& row) {
  return row.truncated ? row.hash : wire::content_hash(row.payload);
}

bool equal(const wire::Message& a, const wire::Message& b) {
  if (a.payload_length != b.payload_length || a.truncated != b.truncated) return false;
  if (a.truncated) return a.hash == b.hash;
  return std::equal(a.payload.begin(), a.payload.end(), b.payload.begin());
}

bool same_value(const wire::Value& a, const wire::Value& b) {
  return a.is_null == b.is_null && a.text() == b.text();
}

// The cells of a line of COPY's text format, without its end ("COPY", "Text Format").
std::vector<wire::Value> cells_of_line(ByteView line) {
  std::string_view left = as_text(line);
  if (left.ends_with('\n')) left.remove_suffix(1);
  std::vector<wire::Value> values;
  while (true) {
    const std::size_t tab = left.find('\t');
    values.push_back({as_bytes(left.substr(0, tab)), false});
    if (tab == std::string_view::npos) return values;
    left.remove_prefix(tab + 1);
  }
}

std::size_t first_difference(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// A cell for people; of a long one the part around byte `at`. COPY's text format has escaped backslashes
// itself.
std::string example_cell(const wire::Value& value, std::size_t at, std::size_t limit_bytes,
                         RowFormat format) {
  const auto shown = [&](const wire::Value& part) {
    return format == RowFormat::kCopyText ? readable_text(part.text(), limit_bytes)
                                          : readable_cell(part, limit_bytes);
  };
  if (!value.is_null && value.bytes.empty()) return "''";
  if (at + kContextBytes < limit_bytes) return shown(value);
  std::size_t start = at - kContextBytes;
  while (start > 0 && (value.bytes[start] & 0xC0) == 0x80) --start;  // not inside a character
  return "..." + shown({value.bytes.subspan(start), false});
}

// "7 | product 7 | 8.75". Of a row too long for a line the first cell and the `marked` ones, "..." for
// others.
std::string joined(const std::vector<std::string>& texts, const std::vector<std::size_t>& marked) {
  std::size_t length = 0;
  for (const std::string& text : texts) length += text.size() + 3;
  const bool whole = length <= kLineBytes || marked.empty();
  std::string out;
  bool left_out = false;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (out.size() > kRowBytes) return out + " | ...";
    const bool shown = whole || i == 0 || std::binary_search(marked.begin(), marked.end(), i);
    if (!shown && left_out) continue;
    left_out = !shown;
    out += (i == 0 ? "" : " | ") + (shown ? texts[i] : "...");
  }
  return out;
}

}  // namespace

void RowComparison::begin(RowFormat format) {
  format_ = format;
  const bool clean = a_.count + b_.count == 0;
  a_.rows = b_.rows = 0;
  if (clean) return;
  a_ = Displaced();
  b_ = Displaced();
  moved_ = 0;
  kept_bytes_ = 0;
}

void RowComparison::add(const wire::Message& a, const wire::Message& b) {
  const std::uint64_t ordinal_a = a_.rows++;
  const std::uint64_t ordinal_b = b_.rows++;
  if (equal(a, b)) return;
  if (!a.truncated && !b.truncated && same_but_noise(a.payload, b.payload)) return;
  place(Side::kA, a, ordinal_a);
  place(Side::kB, b, ordinal_b);
}

void RowComparison::add(Side side, const wire::Message& row) {
  place(side, row, (side == Side::kA ? a_ : b_).rows++);
}

std::vector<wire::Value> RowComparison::cells(ByteView row) const {
  if (format_ == RowFormat::kCopyText) return cells_of_line(row);
  if (format_ == RowFormat::kCopyBinary) return {{row, false}};
  std::vector<wire::Value> values;
  const auto decoded = wire::DataRow::decode(row);
  if (!decoded) return values;
  values.reserve(decoded->columns.size());
  for (const wire::Value& value : decoded->columns) values.push_back(value);
  return values;
}

bool RowComparison::same_but_noise(ByteView a, ByteView b) {
  const auto left = cells(a);
  const auto right = cells(b);
  if (left.empty() || left.size() != right.size()) return false;
  NoiseCounts absorbed = counts_;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (!same_value(left[i], right[i]) && !noise_.absorbs(left[i], right[i], absorbed)) return false;
  }
  counts_ = absorbed;
  return true;
}

// Takes away the counterpart waiting on the other side, or waits for one.
void RowComparison::place(Side side, const wire::Message& row, std::uint64_t ordinal) {
  Displaced& mine = side == Side::kA ? a_ : b_;
  Displaced& other = side == Side::kA ? b_ : a_;
  const std::uint64_t hash = hash_of(row);
  ++mine.count;
  mine.hash_sum += hash;
  const auto counterpart = other.waiting.find(hash);
  if (counterpart != other.waiting.end()) {
    if (counterpart->second.ordinal != ordinal) ++moved_;
    kept_bytes_ -= counterpart->second.row.size();
    other.waiting.erase(counterpart);
    return;
  }
  if (mine.waiting.size() >= kMaxUnmatched) {
    ++mine.overflow;
    return;
  }
  Unmatched waiting;
  waiting.ordinal = ordinal;
  waiting.kept = !row.truncated && row.payload.size() <= kMaxKeptRowBytes &&
                 kept_bytes_ + row.payload.size() <= kMaxKeptBytes;
  if (waiting.kept) {
    waiting.row.assign(row.payload.begin(), row.payload.end());
    kept_bytes_ += row.payload.size();
  }
  mine.waiting.emplace(hash, std::move(waiting));
}

RowOutcome RowComparison::finish() {
  RowOutcome outcome;
  outcome.rows_a = a_.rows;
  outcome.rows_b = b_.rows;
  if (a_.count == b_.count && a_.hash_sum == b_.hash_sum) {
    // Every displaced row has its counterpart, also those that were too many to wait for it.
    outcome.moved = a_.count;
  } else {
    outcome.moved = a_.rows == b_.rows ? moved_ : 0;  // else all that follows a missing row is elsewhere
    outcome.estimated = a_.overflow + b_.overflow > 0;
    pair_left_overs(outcome);
    const std::uint64_t more = std::min(a_.overflow, b_.overflow);
    outcome.changed += more;
    outcome.only_a += a_.overflow - more;
    outcome.only_b += b_.overflow - more;
  }
  begin(format_);
  return outcome;
}

// What a row is known by while its other cells may have changed: its first cell, most often a key.
std::string RowComparison::key_of(const Unmatched& row) const {
  if (!row.kept) return {};
  const auto values = cells(row.row);
  return values.size() < 2 ? std::string() : std::string(values.front().text());
}

// Rows left on both sides: counterparts are those of the same key, then, where as many are left on both
// sides, those in the same order.
void RowComparison::pair_left_overs(RowOutcome& outcome) {
  const auto in_order = [](const Displaced& side) {
    std::vector<const Unmatched*> rows;
    rows.reserve(side.waiting.size());
    for (const auto& [hash, row] : side.waiting) rows.push_back(&row);
    std::sort(rows.begin(), rows.end(), [](auto* one, auto* two) { return one->ordinal < two->ordinal; });
    return rows;
  };
  std::vector<const Unmatched*> right = in_order(b_);
  std::multimap<std::string, const Unmatched**> by_key;
  for (const Unmatched*& row : right) {
    std::string key = key_of(*row);
    if (!key.empty()) by_key.emplace(std::move(key), &row);
  }
  std::vector<const Unmatched*> left;
  for (const Unmatched* const row : in_order(a_)) {
    const auto found = by_key.find(key_of(*row));
    if (found == by_key.end()) {
      left.push_back(row);
      continue;
    }
    compare_pair(*row, **found->second, outcome);
    *found->second = nullptr;
    by_key.erase(found);
  }
  std::erase(right, nullptr);
  const bool pairs = left.size() == right.size();
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (pairs) {
      compare_pair(*left[i], *right[i], outcome);
    } else {
      note_single(Side::kA, *left[i], outcome);
    }
  }
  for (std::size_t i = pairs ? right.size() : 0; i < right.size(); ++i)
    note_single(Side::kB, *right[i], outcome);
}

void RowComparison::compare_pair(const Unmatched& a, const Unmatched& b, RowOutcome& outcome) {
  if (a.kept && b.kept && same_but_noise(a.row, b.row)) return;
  ++outcome.changed;
  RowExample example;
  if (a.kept && b.kept) example.columns = differing_columns(a, b);
  outcome.cells += example.columns.size();
  if (outcome.examples.size() >= kMaxExamples) return;
  example.a = readable_row(a, &b, example.columns);
  example.b = readable_row(b, &a, example.columns);
  outcome.examples.push_back(std::move(example));
}

std::vector<std::size_t> RowComparison::differing_columns(const Unmatched& a, const Unmatched& b) const {
  const auto left = cells(a.row);
  const auto right = cells(b.row);
  std::vector<std::size_t> columns;
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    NoiseCounts counted_before;
    const bool both = i < left.size() && i < right.size();
    if (!both || !(same_value(left[i], right[i]) || noise_.absorbs(left[i], right[i], counted_before)))
      columns.push_back(i);
  }
  return columns;
}

void RowComparison::note_single(Side side, const Unmatched& row, RowOutcome& outcome) {
  ++(side == Side::kA ? outcome.only_a : outcome.only_b);
  if (outcome.examples.size() >= kMaxExamples) return;
  RowExample example;
  (side == Side::kA ? example.a : example.b) = readable_row(row, nullptr, {});
  outcome.examples.push_back(std::move(example));
}

std::string RowComparison::readable_row(const Unmatched& row, const Unmatched* counterpart,
                                        const std::vector<std::size_t>& columns) const {
  if (!row.kept) return "(a row too large to keep, known by its hash)";
  const auto mine = cells(row.row);
  const auto other = counterpart != nullptr && counterpart->kept ? cells(counterpart->row) : decltype(mine){};
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const bool differs = i < other.size() && std::binary_search(columns.begin(), columns.end(), i);
    const std::size_t at = differs ? first_difference(mine[i].text(), other[i].text()) : 0;
    texts.push_back(example_cell(mine[i], at, mine.size() == 1 ? kLineBytes : kCellBytes, format_));
  }
  return joined(texts, columns);
}

}  // namespace understudy::replayer
