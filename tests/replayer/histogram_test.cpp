#include "replayer/histogram.h"

#include <gtest/gtest.h>

#include <limits>

namespace understudy::replayer {
namespace {

TEST(Histogram, AnEmptyOneAnswersWithZero) {
  const Histogram none;
  EXPECT_EQ(none.count(), 0U);
  EXPECT_EQ(none.percentile(0.5), 0);
  EXPECT_EQ(none.max(), 0);
}

TEST(Histogram, TwoAddedUpAreAsOneThatCountedAll) {
  Histogram one;
  Histogram other;
  one.add(3);
  other.add(5);
  other.add(31);
  one.add(other);
  EXPECT_EQ(one.count(), 3U);
  EXPECT_EQ(one.percentile(0.5), 5);
  EXPECT_EQ(one.max(), 31);
}

TEST(Histogram, SmallDurationsAreExact) {
  Histogram histogram;
  for (TimeNs duration = 0; duration < 32; ++duration) histogram.add(duration);
  EXPECT_EQ(histogram.percentile(0), 0);
  EXPECT_EQ(histogram.percentile(0.5), 16);
  EXPECT_EQ(histogram.percentile(1), 31);
}

TEST(Histogram, APercentileIsOffByThreePercentAtMostAndNeverTooSmall) {
  for (TimeNs duration = 1; duration < std::numeric_limits<TimeNs>::max() / 3; duration *= 3) {
    Histogram histogram;
    histogram.add(duration);
    histogram.add(std::numeric_limits<TimeNs>::max());  // else the maximum would say it
    const TimeNs found = histogram.percentile(0.49);
    EXPECT_GE(found, duration);
    EXPECT_LE(static_cast<double>(found), static_cast<double>(duration) * 1.032) << duration;
  }
}

TEST(Histogram, NoPercentileExceedsTheMaximum) {
  Histogram histogram;
  histogram.add(1'000'001);
  EXPECT_EQ(histogram.percentile(0.5), 1'000'001);
  EXPECT_EQ(histogram.percentile(1), 1'000'001);
}

TEST(Histogram, OrderOfPercentilesHolds) {
  Histogram histogram;
  for (TimeNs n = 1; n <= 1000; ++n) histogram.add(n * n * 1000);
  EXPECT_LE(histogram.percentile(0.5), histogram.percentile(0.95));
  EXPECT_LE(histogram.percentile(0.95), histogram.percentile(0.99));
  EXPECT_LE(histogram.percentile(0.99), histogram.max());
  EXPECT_NEAR(static_cast<double>(histogram.percentile(0.5)), 250'000'000.0, 250'000'000.0 * 0.04);
}

TEST(Histogram, AClockThatRanBackwardsCountsAsNothing) {
  Histogram histogram;
  histogram.add(-5);
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.percentile(0.5), 0);
  EXPECT_EQ(histogram.max(), 0);
}

}  // namespace
}  // namespace understudy::replayer
