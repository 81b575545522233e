// What is the name of a segment, and what only looks like one? And which are in a recording?
#include "formats/transcript/segment_name.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "formats/transcript/damage.h"

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

class SegmentListTest : public ::testing::Test {
 protected:
  SegmentListTest() {
    std::string made = (std::filesystem::temp_directory_path() / "understudy-XXXXXX").string();
    EXPECT_NE(::mkdtemp(made.data()), nullptr);
    directory_ = made;
  }
  ~SegmentListTest() override {
    std::filesystem::permissions(directory_, std::filesystem::perms::owner_all);
    std::filesystem::remove_all(directory_);
  }
  static std::string refusal(const std::filesystem::path& path) {
    try {
      (void)list_segments(path);
    } catch (const RecordingError& error) {
      return error.what();
    }
    return {};
  }
  std::filesystem::path directory_;
};

// Who may do everything becomes nobody for it.
TEST_F(SegmentListTest, WhatMayNotBeLookedAtIsNotSaidToBeMissing) {
  std::ofstream(directory_ / "x.transcript") << "x";
  std::filesystem::permissions(directory_, std::filesystem::perms::none);
  const uid_t nobody = 65534;
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::seteuid(nobody), 0);
  }
  const std::string inside = refusal(directory_ / "x.transcript");
  const std::string whole = refusal(directory_);
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_NE(inside.find("x.transcript: cannot be looked at: Permission denied (a recording is for"),
            std::string::npos)
      << inside;
  EXPECT_NE(whole.find(": cannot be listed: Permission denied (a recording is for"), std::string::npos)
      << whole;
}

TEST_F(SegmentListTest, OtherReasonsAreToldAsTheyAre) {
  std::filesystem::create_symlink(directory_ / "loop", directory_ / "loop");
  EXPECT_NE(refusal(directory_ / "loop").find("loop: cannot be looked at: Too many levels"),
            std::string::npos);
  EXPECT_NE(refusal(directory_ / "missing").find("missing: no such file or directory"), std::string::npos);
}

}  // namespace
}  // namespace understudy::test
