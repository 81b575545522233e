// One segment, whole or harmed.
#include <gmock/gmock.h>

#include "formats/crc32c.h"
#include "formats/transcript/record.h"
#include "formats/transcript/segment_records.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr SessionId kA{1, 1};
constexpr SessionId kB{1, 2};

class SegmentTest : public TranscriptTest {
 protected:
  // Two sessions, three chunks, every kind of event.
  void write_small() {
    begin({descriptor({1, 7}, 500, "earlier")});
    open_session(kA, 1'000);
    from_client(kA, 1'010, "Q: select 1");
    open_session(kB, 1'020);
    from_server(kA, 1'030, "T D C Z");
    seal();
    from_client(kB, 2'000, "");
    event(kB, 2'010, EventKind::kCancelled, "");
    event(kB, 2'020, EventKind::kRedacted, std::string("\0\1", 2));
    event({0, 0}, 2'030, EventKind::kMark, "deploy");
    from_server(kB, 2'040, std::string(300, 'x'));
    seal();
    EXPECT_FALSE(writer_->append_loss({GapReason::kDiskError, 2'100, 2'200, 2, 30, 4'000, "No space left"}));
    close_session(kA, 3'000);
    close_session(kB, 3'001);
    seal();
  }
};

TEST_F(SegmentTest, EverythingWrittenIsReadBackInOrder) {
  write_small();
  finish();
  const auto reader = open();
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*reader, damage), written_);
  EXPECT_THAT(damage, IsEmpty());
  EXPECT_TRUE(reader->clean());
  EXPECT_EQ(reader->header(), default_header());
  ASSERT_EQ(reader->continuing().size(), 1U);
  EXPECT_EQ(reader->continuing()[0], descriptor({1, 7}, 500, "earlier"));
  ASSERT_EQ(reader->losses().size(), 1U);
  EXPECT_EQ(reader->losses()[0].detail, "No space left");
}

}  // namespace
}  // namespace understudy::test
