#include "replayer/row_comparison.h"

#include <algorithm>
#include <map>

#include "formats/wire/backend_messages.h"
#include "formats/wire/content_hash.h"
#include "replayer/readable.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxKeptRowBytes = std::size_t{64} << 10;
constexpr std::size_t kCellBytes = 60;
constexpr std::size_t kRowBytes = 400;

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

}  // namespace

void RowComparison::begin(bool copied) {
  copied_ = copied;
  a_ = Pending();
  b_ = Pending();
  moved_ = 0;
  kept_bytes_ = 0;
}

void RowComparison::add(const wire::Message& a, const wire::Message& b) {
  const std::uint64_t ordinal_a = a_.count++;
  const std::uint64_t ordinal_b = b_.count++;
  if (equal(a, b)) return;
  const bool in_step = a_.waiting.empty() && b_.waiting.empty();
  if (in_step && same_but_noise(a.payload, b.payload)) return;
  place(Side::kA, a, ordinal_a);
  place(Side::kB, b, ordinal_b);
}

void RowComparison::add(Side side, const wire::Message& row) {
  place(side, row, (side == Side::kA ? a_ : b_).count++);
}

std::vector<wire::Value> RowComparison::cells(ByteView row) const {
  std::vector<wire::Value> values;
  if (copied_) {
    values.push_back({row, false});
    return values;
  }
  const auto decoded = wire::DataRow::decode(row);
  if (!decoded) return values;
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
  Pending& mine = side == Side::kA ? a_ : b_;
  Pending& other = side == Side::kA ? b_ : a_;
  const std::uint64_t hash = hash_of(row);
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
  if (!row.truncated && row.payload.size() <= kMaxKeptRowBytes &&
      kept_bytes_ + row.payload.size() <= kMaxKeptBytes) {
    waiting.row.assign(row.payload.begin(), row.payload.end());
    kept_bytes_ += row.payload.size();
  }
  mine.waiting.emplace(hash, std::move(waiting));
}

RowOutcome RowComparison::finish() {
  RowOutcome outcome;
  outcome.rows_a = a_.count;
  outcome.rows_b = b_.count;
  outcome.moved = moved_;
  outcome.counted_only = a_.overflow + b_.overflow > 0;
  pair_left_overs(outcome);
  const std::uint64_t more = std::min(a_.overflow, b_.overflow);
  outcome.changed += more;
  outcome.only_a += a_.overflow - more;
  outcome.only_b += b_.overflow - more;
  return outcome;
}

// What a row is known by while its other cells may have changed: its first cell, most often a key.
std::string RowComparison::key_of(const Unmatched& row) const {
  const auto values = cells(row.row);
  return values.size() < 2 ? std::string() : std::string(values.front().text());
}

// Rows left on both sides: counterparts are those of the same key, then, where as many are left on both
// sides, those in the same order.
void RowComparison::pair_left_overs(RowOutcome& outcome) {
  const auto in_order = [](const Pending& pending) {
    std::vector<const Unmatched*> rows;
    for (const auto& [hash, row] : pending.waiting) rows.push_back(&row);
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
  if (!a.row.empty() && !b.row.empty() && same_but_noise(a.row, b.row)) return;
  ++outcome.changed;
  RowExample example;
  const auto left = cells(a.row);
  const auto right = cells(b.row);
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    NoiseCounts ignored;
    const bool both = i < left.size() && i < right.size();
    if (both && (same_value(left[i], right[i]) || noise_.absorbs(left[i], right[i], ignored))) continue;
    example.columns.push_back(i);
  }
  outcome.cells += example.columns.size();
  if (outcome.examples.size() >= kMaxExamples) return;
  example.a = readable_row(a);
  example.b = readable_row(b);
  outcome.examples.push_back(std::move(example));
}

void RowComparison::note_single(Side side, const Unmatched& row, RowOutcome& outcome) {
  ++(side == Side::kA ? outcome.only_a : outcome.only_b);
  if (outcome.examples.size() >= kMaxExamples) return;
  RowExample example;
  (side == Side::kA ? example.a : example.b) = readable_row(row);
  outcome.examples.push_back(std::move(example));
}

std::string RowComparison::readable_row(const Unmatched& row) const {
  if (row.row.empty()) return "(a row too large to keep, known by its hash)";
  std::string out;
  for (const wire::Value& value : cells(row.row)) {
    if (!out.empty()) out += " | ";
    if (out.size() > kRowBytes) return out + "...";
    out += readable_cell(value, copied_ ? kRowBytes : kCellBytes);
  }
  return out;
}

}  // namespace understudy::replayer
