// Who is compared with whom, and how many may wait for their counterpart.
#include "replayer/session_pairs.h"

#include <gmock/gmock.h>

#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

class SessionPairsTest : public testing::Test {
 protected:
  static std::string id(const std::optional<SessionDirectory::Entry>& entry) {
    return entry ? entry->summary.descriptor.id.to_string() : "-";
  }
  // "1.1=1.2", "1.3=-", ... in order of finding.
  std::vector<std::string> pairs(std::size_t max_waiting = SessionPairs::kMaxWaiting) {
    SessionPairs found(a.recording(), b.recording(), max_waiting);
    by = found.by();
    std::vector<std::string> all;
    while (const auto pair = found.next()) all.push_back(id(pair->a) + "=" + id(pair->b));
    return all;
  }

  Tape a{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  Tape b{"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"};
  SessionPairs::By by = SessionPairs::By::kName;
};

TEST_F(SessionPairsTest, AReplayIsComparedWithWhatItReplays) {
  a.session(1).session(2).session(3);
  b.session(1, replaying(a, 3)).session(2, replaying(a, 1)).session(3, replaying(a, 2));
  EXPECT_THAT(pairs(), UnorderedElementsAre("1.1=1.2", "1.2=1.3", "1.3=1.1"));
  EXPECT_EQ(by, SessionPairs::By::kBReplaysA);
}

TEST_F(SessionPairsTest, TheReplayMayBeGivenFirst) {
  b.session(1).session(2);
  a.session(1, replaying(b, 2)).session(2, replaying(b, 1));
  EXPECT_THAT(pairs(), UnorderedElementsAre("1.1=1.2", "1.2=1.1"));
  EXPECT_EQ(by, SessionPairs::By::kAReplaysB);
}

TEST_F(SessionPairsTest, TwoReplaysOfTheSameAreComparedByWhatTheyReplay) {
  const Tape production("cccccccccccccccccccccccccccccccc");
  a.session(1, replaying(production, 5)).session(2, replaying(production, 6));
  b.session(1, replaying(production, 6)).session(2, replaying(production, 5));
  EXPECT_THAT(pairs(), UnorderedElementsAre("1.1=1.2", "1.2=1.1"));
  EXPECT_EQ(by, SessionPairs::By::kBothReplay);
}

TEST_F(SessionPairsTest, ReplaysOfDifferentRecordingsAreComparedByName) {
  const Tape one("cccccccccccccccccccccccccccccccc");
  const Tape other("dddddddddddddddddddddddddddddddd");
  a.session(1, replaying(one, 1));
  b.session(1, replaying(other, 1));
  EXPECT_THAT(pairs(), ElementsAre("1.1=1.1"));
  EXPECT_EQ(by, SessionPairs::By::kName);
}

TEST_F(SessionPairsTest, ByNameTheFirstOfAKindMeetsTheFirst) {
  a.session(1, {.user = "ada"}).session(2, {.user = "bob"}).session(3, {.user = "ada"});
  b.session(7, {.user = "bob"}).session(8, {.user = "ada"}).session(9, {.user = "ada"});
  EXPECT_THAT(pairs(), UnorderedElementsAre("1.1=1.8", "1.2=1.7", "1.3=1.9"));
}

TEST_F(SessionPairsTest, ByNameDatabaseAndApplicationCount) {
  a.session(1, {.database = "shop"}).session(2, {.application = "x"});
  b.session(1, {.database = "bank"}).session(2, {.application = "y"});
  EXPECT_THAT(pairs(), UnorderedElementsAre("1.1=-", "1.2=-", "-=1.1", "-=1.2"));
}

TEST_F(SessionPairsTest, ARecordingMeetsItself) {
  a.session(1, {.user = "ada"}).session(2, {.user = "bob"}).session(3, {.user = "ada"});
  SessionPairs found(a.recording(), a.recording());
  while (const auto pair = found.next()) EXPECT_EQ(id(pair->a), id(pair->b));
}

TEST_F(SessionPairsTest, SessionsWithoutACounterpartAreToldOnce) {
  a.session(1).session(2);
  b.session(1, replaying(a, 2)).session(2, replaying(a, 9)).session(3);
  EXPECT_THAT(pairs(), UnorderedElementsAre("1.2=1.1", "1.1=-", "-=1.2", "-=1.3"));
}

TEST_F(SessionPairsTest, ASecondReplayOfTheSameSessionFindsNobody) {
  a.session(1);
  b.session(1, replaying(a, 1)).session(2, replaying(a, 1));
  EXPECT_THAT(pairs(), ElementsAre("1.1=1.1", "-=1.2"));
}

TEST_F(SessionPairsTest, NobodyAtAll) { EXPECT_TRUE(pairs().empty()); }

TEST_F(SessionPairsTest, OnlySoManyWaitForACounterpart) {
  for (std::uint32_t i = 1; i <= 100; ++i) a.session(i);
  // The replay has the first session last, and others no recording knows before it.
  b.session(1, replaying(a, 2));
  for (std::uint32_t i = 2; i <= 100; ++i) b.session(i, replaying(a, 1000 + i));
  b.session(101, replaying(a, 1));
  const auto found = pairs(10);
  EXPECT_EQ(found.size(), 100U + 101U - 1U) << "one pair, and one that came too late for its counterpart";
  EXPECT_THAT(found, testing::Contains("1.1=-"));
  EXPECT_THAT(found, testing::Contains("-=1.101"));
}

TEST_F(SessionPairsTest, ManyOfOneNameWaitInOrder) {
  for (std::uint32_t i = 1; i <= 1000; ++i) a.session(i);
  for (std::uint32_t i = 1; i <= 1000; ++i) b.session(i);
  for (const std::string& pair : pairs()) {
    const auto middle = pair.find('=');
    EXPECT_EQ(pair.substr(0, middle), pair.substr(middle + 1));
  }
}

TEST_F(SessionPairsTest, SessionsOpenBeforeTheRecordingArePairedToo) {
  a.continues(1).asks(Client().query("SELECT 1"));
  b.session(5, replaying(a, 1));
  EXPECT_THAT(pairs(), ElementsAre("1.1=1.5"));
}

}  // namespace
}  // namespace understudy::replayer
