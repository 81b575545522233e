// What is the name of a segment, and what only looks like one?
#include "formats/transcript/segment_name.h"

#include <gtest/gtest.h>

namespace understudy::test {
namespace {

TEST(SegmentNameTest, OnlyTheExactFormIsASegment) {
  EXPECT_EQ(format_segment_name({1, 3}), "000001-000003.transcript");
  EXPECT_EQ(parse_segment_name("000001-000003.transcript"), (SegmentName{1, 3}));
  EXPECT_EQ(parse_segment_name("4294967295-1234567.transcript"), (SegmentName{UINT32_MAX, 1'234'567}));
  for (const std::string_view name :
       {"", ".transcript", "-.transcript", "1-3.transcript", "000001-000003", "+00001-000003.transcript",
        "000001-000003.transcript.tmp", "a00001-000003.transcript", "000001_000003.transcript",
        "99999999999-000001.transcript"}) {
    EXPECT_EQ(parse_segment_name(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace understudy::test
