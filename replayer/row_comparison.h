// One result of one statement on two servers: which rows are the same, which are not, is it only their order?
// Rows are given as they are read and not kept, except those that have no counterpart yet: of these a bounded
// number, the larger ones as hashes only. Whether all rows are the same in another order is told beyond the
// bound, too. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "formats/wire/message_assembler.h"
#include "replayer/diff_noise.h"

namespace understudy::replayer {

enum class Side : std::uint8_t { kA, kB };

// What rows come as: DataRow messages, or CopyData ones. Of the latter, lines in text format have cells too,
// tabs between them; rows in CSV or binary format are one cell.
enum class RowFormat : std::uint8_t { kDataRow, kCopyText, kCopyBinary };

// A row that has a counterpart with other cells, or (one of the two empty) has none.
struct RowExample {
  std::string a;  // readable: "7 | product 7 | 8.75"
  std::string b;
  std::vector<std::size_t> columns;  // those that differ, counted from 0
};

struct RowOutcome {
  std::uint64_t rows_a = 0;
  std::uint64_t rows_b = 0;
  std::uint64_t changed = 0;  // rows with a counterpart and other cells
  std::uint64_t only_a = 0;
  std::uint64_t only_b = 0;
  std::uint64_t moved = 0;  // the same row at another place, where both have as many rows
  std::uint64_t cells = 0;  // that differ, in changed rows
  bool estimated = false;   // too many to tell one by one: changed, only_a, only_b and moved are estimates
  std::vector<RowExample> examples;

  [[nodiscard]] bool same_rows() const { return changed == 0 && only_a == 0 && only_b == 0; }
};

class RowComparison {
 public:
  static constexpr std::size_t kMaxUnmatched = 100'000;
  static constexpr std::size_t kMaxKeptBytes = std::size_t{4} << 20;
  static constexpr std::size_t kMaxKeptRowBytes = std::size_t{64} << 10;
  static constexpr std::size_t kMaxExamples = 3;

  // Both are borrowed: `noise` judges cells that differ, and what it absorbs is counted in `counts`.
  RowComparison(const CellNoise& noise, NoiseCounts& counts) : noise_(noise), counts_(counts) {}

  void begin(RowFormat format);
  // The next rows of both, or of one.
  void add(const wire::Message& a, const wire::Message& b);
  void add(Side side, const wire::Message& row);
  // Lets go of all memory.
  [[nodiscard]] RowOutcome finish();

 private:
  struct Unmatched {
    std::uint64_t ordinal = 0;
    bool kept = false;  // else it was too large, and known by its hash only
    ByteBuffer row;
  };
  // Rows of one side that were not at the same place on the other.
  struct Displaced {
    std::unordered_multimap<std::uint64_t, Unmatched> waiting;  // for a counterpart, by hash
    std::uint64_t rows = 0;                                     // of this side in all
    std::uint64_t count = 0;                                    // displaced, waiting or not
    std::uint64_t hash_sum = 0;                                 // of the displaced
    std::uint64_t overflow = 0;                                 // beyond the bound
  };

  [[nodiscard]] bool same_but_noise(ByteView a, ByteView b);
  [[nodiscard]] std::vector<wire::Value> cells(ByteView row) const;
  void place(Side side, const wire::Message& row, std::uint64_t ordinal);
  void pair_left_overs(RowOutcome& outcome);
  [[nodiscard]] std::string key_of(const Unmatched& row) const;
  void compare_pair(const Unmatched& a, const Unmatched& b, RowOutcome& outcome);
  [[nodiscard]] std::vector<std::size_t> differing_columns(const Unmatched& a, const Unmatched& b) const;
  void note_single(Side side, const Unmatched& row, RowOutcome& outcome);
  [[nodiscard]] std::string readable_row(const Unmatched& row, const Unmatched* counterpart,
                                         const std::vector<std::size_t>& columns) const;

  const CellNoise& noise_;
  NoiseCounts& counts_;
  RowFormat format_ = RowFormat::kDataRow;
  Displaced a_;
  Displaced b_;
  std::uint64_t moved_ = 0;
  std::size_t kept_bytes_ = 0;
};

}  // namespace understudy::replayer
