#include "replayer/lock_monitor.h"

#include <gtest/gtest.h>

namespace understudy::replayer {
namespace {

TEST(TargetWaits, WhoWaitsForWhomDirectlyOrThroughOthers) {
  const TargetWaits waits({{.process_id = 1, .active = true, .blocked_by = {2}},
                           {.process_id = 2, .active = true, .blocked_by = {3, 4}},
                           {.process_id = 3, .active = false, .blocked_by = {}},
                           {.process_id = 5, .active = true, .blocked_by = {}}});
  EXPECT_TRUE(waits.waits_for(1, 2));
  EXPECT_TRUE(waits.waits_for(1, 4));
  EXPECT_FALSE(waits.waits_for(2, 1));
  EXPECT_FALSE(waits.waits_for(3, 1));
  EXPECT_TRUE(waits.waits(1));
  EXPECT_FALSE(waits.waits(3));
  EXPECT_TRUE(waits.is_waited_for(3));
  EXPECT_FALSE(waits.is_waited_for(1));
  EXPECT_TRUE(waits.works(5));
  EXPECT_FALSE(waits.works(2));
  EXPECT_FALSE(waits.works(3));
}

TEST(TargetWaits, ThoseThatWaitForEachOtherAreLookedAtOnce) {
  const TargetWaits waits({{.process_id = 1, .active = true, .blocked_by = {2}},
                           {.process_id = 2, .active = true, .blocked_by = {1}}});
  EXPECT_TRUE(waits.waits_for(1, 1));
  EXPECT_FALSE(waits.waits_for(1, 3));
}

}  // namespace
}  // namespace understudy::replayer
