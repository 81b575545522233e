// Results that differ in a little, in much, in order only; and what a comparison may hold meanwhile.
#include "replayer/row_comparison.h"

#include <gmock/gmock.h>
#include <malloc.h>

#include <numeric>
#include <random>

#include "formats/wire/content_hash.h"
#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using test::Cells;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RowComparisonTest : public testing::Test {
 protected:
  struct Row {
    ByteBuffer payload;
    wire::Message message;
  };
  static ByteBuffer data_row(const Cells& cells) {
    const test::Server row = test::Server().row(cells);
    const ByteView payload = ByteView(row).subspan(5);
    return {payload.begin(), payload.end()};
  }
  static wire::Message message(ByteView payload) {
    return {.type = 'D', .payload = payload, .payload_length = static_cast<std::uint32_t>(payload.size())};
  }
  // One so large that its end is known by its hash only.
  static wire::Message cut(ByteView payload, std::uint64_t hash) {
    return {.type = 'D', .payload = payload, .payload_length = 100U << 20, .truncated = true, .hash = hash};
  }

  void add(const Cells& a, const Cells& b) {
    const ByteBuffer left = data_row(a);
    const ByteBuffer right = data_row(b);
    rows.add(message(left), message(right));
  }
  void add(Side side, const Cells& cells) {
    const ByteBuffer row = data_row(cells);
    rows.add(side, message(row));
  }
  // Compares two whole results as a diff does: side by side while both last.
  RowOutcome compare(const std::vector<Cells>& a, const std::vector<Cells>& b) {
    rows.begin(RowFormat::kDataRow);
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      if (i < a.size() && i < b.size()) {
        add(a[i], b[i]);
      } else {
        i < a.size() ? add(Side::kA, a[i]) : add(Side::kB, b[i]);
      }
    }
    return rows.finish();
  }
  RowOutcome compare_lines(const std::vector<std::string>& a, const std::vector<std::string>& b,
                           RowFormat format = RowFormat::kCopyText) {
    rows.begin(format);
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      if (i < a.size() && i < b.size()) {
        rows.add(message(as_bytes(a[i])), message(as_bytes(b[i])));
      } else {
        rows.add(i < a.size() ? Side::kA : Side::kB, message(as_bytes(i < a.size() ? a[i] : b[i])));
      }
    }
    return rows.finish();
  }
  static std::vector<Cells> numbered(int from, int to) {
    std::vector<Cells> all;
    for (int i = from; i < to; ++i) all.push_back({std::to_string(i), "row " + std::to_string(i)});
    return all;
  }
  static std::size_t heap_bytes() { return mallinfo2().uordblks; }

  CellNoise noise{{4711, "", "", ""}, {815, "", "", ""}};
  NoiseCounts counts;
  RowComparison rows{noise, counts};
};

TEST_F(RowComparisonTest, EqualResultsAreEqual) {
  const RowOutcome outcome = compare(numbered(0, 100), numbered(0, 100));
  EXPECT_TRUE(outcome.same_rows());
  EXPECT_EQ(outcome.moved, 0U);
  EXPECT_EQ(outcome.rows_a, 100U);
  EXPECT_EQ(outcome.rows_b, 100U);
}

TEST_F(RowComparisonTest, NoRowsAtAll) {
  EXPECT_TRUE(compare({}, {}).same_rows());
  EXPECT_EQ(compare({}, numbered(0, 2)).only_b, 2U);
}

TEST_F(RowComparisonTest, OneChangedCellIsNamed) {
  auto b = numbered(0, 100);
  b[50][1] = "another";
  const RowOutcome outcome = compare(numbered(0, 100), b);
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_EQ(outcome.cells, 1U);
  EXPECT_EQ(outcome.moved, 0U);
  ASSERT_EQ(outcome.examples.size(), 1U);
  EXPECT_EQ(outcome.examples[0].a, "50 | row 50");
  EXPECT_EQ(outcome.examples[0].b, "50 | another");
  EXPECT_THAT(outcome.examples[0].columns, ElementsAre(1U));
}

TEST_F(RowComparisonTest, NullDiffersFromEmpty) {
  const RowOutcome outcome = compare({{"1", std::nullopt}}, {{"1", ""}});
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_EQ(outcome.examples.at(0).a, "1 | NULL");
  EXPECT_EQ(outcome.examples.at(0).b, "1 | ''");
  EXPECT_EQ(compare({{std::nullopt}}, {{""}}).changed, 1U);
}

TEST_F(RowComparisonTest, AnInsertedRowIsOneRowWhereverItIs) {
  const auto a = numbered(0, 1000);
  for (const std::size_t place : {std::size_t{0}, std::size_t{500}, std::size_t{1000}}) {
    auto b = a;
    b.insert(b.begin() + static_cast<std::ptrdiff_t>(place), Cells{"5000", "new"});
    const RowOutcome inserted = compare(a, b);
    EXPECT_EQ(inserted.only_b, 1U) << place;
    EXPECT_EQ(inserted.changed + inserted.only_a + inserted.moved, 0U) << place;
    EXPECT_EQ(inserted.examples.at(0).b, "5000 | new");
    EXPECT_TRUE(inserted.examples.at(0).a.empty());
    const RowOutcome removed = compare(b, a);
    EXPECT_EQ(removed.only_a, 1U) << place;
    EXPECT_EQ(removed.changed + removed.only_b, 0U) << place;
  }
}

TEST_F(RowComparisonTest, AChangedRowBehindAnInsertedOneIsFoundByItsKey) {
  const auto a = numbered(0, 1000);
  auto b = a;
  b[700][1] = "another";
  b.insert(b.begin(), Cells{"5000", "new"});
  const RowOutcome outcome = compare(a, b);
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_EQ(outcome.only_b, 1U);
  EXPECT_EQ(outcome.only_a, 0U);
}

TEST_F(RowComparisonTest, AnotherOrderIsNoOtherRows) {
  auto b = numbered(0, 1000);
  std::shuffle(b.begin(), b.end(), std::mt19937(7));
  const RowOutcome outcome = compare(numbered(0, 1000), b);
  EXPECT_TRUE(outcome.same_rows());
  EXPECT_GT(outcome.moved, 900U);
}

TEST_F(RowComparisonTest, TwoSwappedRowsAreTwoMovedOnes) {
  auto b = numbered(0, 10);
  std::swap(b[2], b[7]);
  const RowOutcome outcome = compare(numbered(0, 10), b);
  EXPECT_TRUE(outcome.same_rows());
  EXPECT_EQ(outcome.moved, 2U);
}

TEST_F(RowComparisonTest, DuplicatesCountAsOftenAsTheyAre) {
  const Cells row{"1", "same"};
  EXPECT_TRUE(compare({row, row, row}, {row, row, row}).same_rows());
  const RowOutcome fewer = compare({row, row, row}, {row, row});
  EXPECT_EQ(fewer.only_a, 1U);
  EXPECT_EQ(fewer.only_b + fewer.changed, 0U);
  const Cells other{"2", "other"};
  const RowOutcome outcome = compare({row, row, other}, {row, other, other});
  EXPECT_EQ(outcome.changed + outcome.only_a + outcome.only_b, 1U) << "one row more of the one, of the other";
}

TEST_F(RowComparisonTest, AChangedRowInShuffledOnesIsFoundByItsKey) {
  auto b = numbered(0, 1000);
  b[3][1] = "another";
  std::shuffle(b.begin(), b.end(), std::mt19937(7));
  const RowOutcome outcome = compare(numbered(0, 1000), b);
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_EQ(outcome.only_a + outcome.only_b, 0U);
  EXPECT_EQ(outcome.examples.at(0).a, "3 | row 3");
}

TEST_F(RowComparisonTest, OtherNumbersOfColumnsAreCompared) {
  const RowOutcome outcome = compare({{"1", "x", "y"}}, {{"1", "x"}});
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_THAT(outcome.examples.at(0).columns, ElementsAre(2U));
  EXPECT_EQ(compare({{}}, {{"1"}}).changed, 1U);
}

TEST_F(RowComparisonTest, BytesThatAreNoRowAreComparedAsTheyAre) {
  rows.begin(RowFormat::kDataRow);
  rows.add(message(as_bytes("\xff\xff")), message(as_bytes("\xff\xfe")));
  rows.add(message({}), message(as_bytes("x")));
  EXPECT_EQ(rows.finish().changed, 2U);
}

TEST_F(RowComparisonTest, NoiseIsAbsorbedAndCountedInEveryRow) {
  const RowOutcome outcome = compare({{"4711", "x"}, {"4711", "y"}}, {{"815", "x"}, {"815", "y"}});
  EXPECT_TRUE(outcome.same_rows());
  EXPECT_EQ(outcome.moved, 0U);
  EXPECT_EQ(counts.of(NoiseRule::kProcessId), 2U);
}

TEST_F(RowComparisonTest, NoiseInARowThatDiffersIsNotCountedAsDifference) {
  const RowOutcome outcome = compare({{"k", "4711", "x"}}, {{"k", "815", "y"}});
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_THAT(outcome.examples.at(0).columns, ElementsAre(2U));
}

TEST_F(RowComparisonTest, ARowOfNoiseBehindARealDifferenceStaysNoise) {
  rows.begin(RowFormat::kDataRow);
  add({"0", "x"}, {"0", "y"});
  for (int i = 1; i < 150'000; ++i) add({std::to_string(i), "4711"}, {std::to_string(i), "815"});
  const RowOutcome outcome = rows.finish();
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_FALSE(outcome.estimated);
}

TEST_F(RowComparisonTest, OneChangedRowAmongAMillionCostsNoMemory) {
  rows.begin(RowFormat::kDataRow);
  const std::size_t before = heap_bytes();
  std::size_t most = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::string id = std::to_string(i);
    add({id, "some text"}, {id, i == 1000 ? "another text" : "some text"});
    if (i % 10'000 == 0) most = std::max(most, heap_bytes() - before);
  }
  EXPECT_EQ(rows.finish().changed, 1U);
  EXPECT_LT(most, 64U << 10);
}

TEST_F(RowComparisonTest, OneInsertedRowAmongAMillionCostsNoMemory) {
  rows.begin(RowFormat::kDataRow);
  add(Side::kB, {"new"});
  const std::size_t before = heap_bytes();
  std::size_t most = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    add(Side::kA, {std::to_string(i)});
    add(Side::kB, {std::to_string(i)});
    if (i % 10'000 == 0) most = std::max(most, heap_bytes() - before);
  }
  const RowOutcome outcome = rows.finish();
  EXPECT_EQ(outcome.only_b, 1U);
  EXPECT_EQ(outcome.only_a + outcome.changed, 0U);
  EXPECT_LT(most, 64U << 10);
}

TEST_F(RowComparisonTest, AMillionDifferentRowsAreEstimatedInBoundedMemoryThatIsGivenBack) {
  rows.begin(RowFormat::kDataRow);
  const std::size_t before = heap_bytes();
  std::size_t most = 0;
  const std::string wide(200, 'w');
  for (int i = 0; i < 1'000'000; ++i) {
    add({std::to_string(i), wide}, {std::to_string(i), "x"});
    if (i % 10'000 == 0) most = std::max(most, heap_bytes() - before);
  }
  const RowOutcome outcome = rows.finish();
  EXPECT_TRUE(outcome.estimated);
  EXPECT_EQ(outcome.changed, 1'000'000U);
  EXPECT_LE(outcome.examples.size(), RowComparison::kMaxExamples);
  EXPECT_LT(most, 48U << 20);
  EXPECT_LT(heap_bytes(), before + (1U << 20));
}

TEST_F(RowComparisonTest, AMillionRowsInReverseAreTheSameRows) {
  rows.begin(RowFormat::kDataRow);
  constexpr int kRows = 1'000'000;
  for (int i = 0; i < kRows; ++i) add({std::to_string(i)}, {std::to_string(kRows - 1 - i)});
  const RowOutcome outcome = rows.finish();
  EXPECT_TRUE(outcome.same_rows());
  EXPECT_FALSE(outcome.estimated);
  EXPECT_EQ(outcome.moved, 1'000'000U);
}

TEST_F(RowComparisonTest, HugeRowsAreComparedByTheirHashes) {
  const std::string beginning(1000, 'x');
  rows.begin(RowFormat::kDataRow);
  rows.add(cut(as_bytes(beginning), 1), cut(as_bytes(beginning), 1));
  rows.add(cut(as_bytes(beginning), 2), cut(as_bytes(beginning), 3));
  const RowOutcome outcome = rows.finish();
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_THAT(outcome.examples.at(0).a, HasSubstr("too large"));
  EXPECT_THAT(outcome.examples.at(0).columns, IsEmpty());
}

TEST_F(RowComparisonTest, HugeCopiedRowsThatBeginAlikeStillDiffer) {
  const std::string beginning(1000, 'x');
  for (const RowFormat format : {RowFormat::kCopyText, RowFormat::kCopyBinary}) {
    rows.begin(format);
    rows.add(cut(as_bytes(beginning), 2), cut(as_bytes(beginning), 3));
    EXPECT_EQ(rows.finish().changed, 1U);
  }
}

TEST_F(RowComparisonTest, LargeRowsAreNotKept) {
  rows.begin(RowFormat::kDataRow);
  const std::string large(1U << 20, 'x');
  const std::size_t before = heap_bytes();
  for (int i = 0; i < 200; ++i) add({std::to_string(i), large}, {std::to_string(i), large + "y"});
  EXPECT_LT(heap_bytes() - before, 1U << 20);
  EXPECT_EQ(rows.finish().changed, 200U);
}

TEST_F(RowComparisonTest, CopiedLinesHaveCellsAndNoLineEnds) {
  const RowOutcome outcome =
      compare_lines({"1\tada\t\\N\n", "2\tbob\tx\n"}, {"0\tnew\t\\N\n", "1\tada\ty\n", "2\tbob\tx\n"});
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_EQ(outcome.only_b, 1U);
  EXPECT_EQ(outcome.examples.at(0).a, "1 | ada | \\N");
  EXPECT_EQ(outcome.examples.at(0).b, "1 | ada | y");
  EXPECT_THAT(outcome.examples.at(0).columns, ElementsAre(2U));
  EXPECT_EQ(outcome.examples.at(1).b, "0 | new | \\N");
}

TEST_F(RowComparisonTest, BinaryCopiesAreNotTakenApart) {
  const RowOutcome outcome =
      compare_lines({std::string("\0\1\t\2", 4)}, {std::string("\0\1\t\3", 4)}, RowFormat::kCopyBinary);
  EXPECT_EQ(outcome.changed, 1U);
  EXPECT_EQ(outcome.examples.at(0).a, "\\x00010902");
}

TEST_F(RowComparisonTest, EmptyCopiedLinesAreLines) {
  EXPECT_EQ(compare_lines({"", "x"}, {"x"}).only_a, 1U);
  EXPECT_EQ(compare_lines({"\n"}, {"\t\n"}).changed, 1U);
}

TEST_F(RowComparisonTest, AnExampleShowsWhereLongValuesDiffer) {
  const std::string common(5000, 'c');
  const RowOutcome outcome = compare({{"7", common + "left"}}, {{"7", common + "right"}});
  EXPECT_THAT(outcome.examples.at(0).a, HasSubstr("ccleft"));
  EXPECT_THAT(outcome.examples.at(0).b, HasSubstr("ccright"));
}

TEST_F(RowComparisonTest, AnExampleOfAWideRowShowsTheKeyAndWhatDiffers) {
  Cells a{"7"};
  for (int i = 0; i < 100; ++i) a.push_back("some text " + std::to_string(i));
  Cells b = a;
  b[80] = "changed";
  const RowOutcome outcome = compare({a}, {b});
  EXPECT_EQ(outcome.examples.at(0).a, "7 | ... | some text 79 | ...");
  EXPECT_EQ(outcome.examples.at(0).b, "7 | ... | changed | ...");
}

TEST_F(RowComparisonTest, AnExampleIsReadableWhateverTheBytes) {
  const RowOutcome outcome = compare({{"1", "\x1b[31m"}}, {{"1", std::string("\0\xff", 2)}});
  EXPECT_EQ(outcome.examples.at(0).a, "1 | \\x1b[31m");
  EXPECT_EQ(outcome.examples.at(0).b, "1 | \\x00ff");
}

TEST_F(RowComparisonTest, AComparisonLeavesNothingToTheNext) {
  EXPECT_EQ(compare({{"1"}}, {{"2"}}).changed, 1U);
  EXPECT_TRUE(compare({{"2"}}, {{"2"}}).same_rows());
  EXPECT_EQ(compare({{"2"}}, {{"1"}}).changed, 1U);
}

}  // namespace
}  // namespace understudy::replayer
