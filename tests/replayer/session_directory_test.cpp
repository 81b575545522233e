#include "replayer/session_directory.h"

#include <set>

#include "tests/replayer/support.h"

namespace understudy::replayer {
namespace {

using namespace test;

class SessionDirectoryTest : public RecordingTest {
 protected:
  std::vector<std::string> all(const Recording& recording, unsigned part = 0, unsigned parts = 1) {
    SessionDirectory directory(recording, part, parts);
    std::vector<std::string> found;
    while (const SessionDirectory::Entry* entry = directory.peek()) {
      EXPECT_EQ(directory.peek(), entry);  // looking takes nothing
      const SessionDirectory::Entry taken = directory.take();
      found.push_back(taken.summary.descriptor.id.to_string() + (taken.continuing ? " continuing" : ""));
    }
    lost_ = directory.lost();
    return found;
  }
  std::uint64_t lost_ = 0;
};

TEST_F(SessionDirectoryTest, SessionsComeInOrderOfOpeningHoweverTheyWereWritten) {
  begin_segment(1, 1);
  open_session(kB, 200);
  close_session(kB, 500);
  seal();
  open_session(kC, 300);
  open_session(kA, 100);
  seal();
  finish_and_save();
  EXPECT_EQ(all(Recording(path())), (std::vector<std::string>{"1.1", "1.2", "1.3"}));
}

TEST_F(SessionDirectoryTest, SessionsOpenBeforeTheRecordingComeFirstAndAreMarked) {
  begin_segment(1, 7, {descriptor(kB, 50)});
  open_session(kA, 100);
  from_client(kB, 150, sync());
  seal();
  finish_and_save();
  EXPECT_EQ(all(Recording(path())), (std::vector<std::string>{"1.2 continuing", "1.1"}));
}

TEST_F(SessionDirectoryTest, SessionsWhoseOpeningIsGoneWithASegmentComeWhereTheyOpened) {
  begin_segment(1, 1);
  open_session(kA, 100);
  seal();
  finish_and_save();
  begin_segment(1, 3, {descriptor(kB, 200)});
  from_client(kB, 400, sync());
  open_session(kC, 300);
  seal();
  finish_and_save();
  EXPECT_EQ(all(Recording(path())), (std::vector<std::string>{"1.1", "1.2 continuing", "1.3"}));
}

TEST_F(SessionDirectoryTest, AmongPartsSessionsAreDealtOutInTurn) {
  begin_segment(1, 1);
  open_session(kB, 200);
  open_session(kC, 300);
  open_session(kA, 100);
  seal();
  finish_and_save();
  const Recording recording(path());
  EXPECT_EQ(all(recording, 0, 2), (std::vector<std::string>{"1.1", "1.3"}));
  EXPECT_EQ(all(recording, 1, 2), (std::vector<std::string>{"1.2"}));
  EXPECT_EQ(all(recording, 3, 4), std::vector<std::string>{});
}

TEST_F(SessionDirectoryTest, ThousandsAreFoundWhileFewAreHeld) {
  begin_segment(1, 1);
  constexpr std::uint32_t kSessions = 3000;
  for (std::uint32_t n = 1; n <= kSessions; ++n) {
    open_session({1, n}, n * 10);
    close_session({1, n}, n * 10 + 5);
    if (n % 100 == 0) seal();
  }
  finish_and_save();
  const std::vector<std::string> found = all(Recording(path()));
  EXPECT_EQ(found.size(), kSessions);
  EXPECT_EQ(std::set<std::string>(found.begin(), found.end()).size(), kSessions);
}

TEST_F(SessionDirectoryTest, OneThatIsNotReadToItsEndEndsAllTheSame) {
  begin_segment(1, 1);
  for (std::uint32_t n = 1; n <= 3000; ++n) open_session({1, n}, n);
  seal();
  finish_and_save();
  const Recording recording(path());
  SessionDirectory directory(recording);
  EXPECT_NE(directory.peek(), nullptr);
}

TEST_F(SessionDirectoryTest, SessionsWhoseOpeningIsDamagedAreCounted) {
  begin_segment(1, 1);
  open_session(kA, 100);
  seal();
  const std::size_t damaged = size();
  open_session(kB, 200);
  open_session(kC, 201);
  seal();
  flip_byte((damaged + size()) / 2 + 20);
  finish_and_save();
  EXPECT_EQ(all(Recording(path())), std::vector<std::string>{"1.1"});
  EXPECT_EQ(lost_, 2U);
}

TEST_F(SessionDirectoryTest, ASegmentThatGoesAwayIsAnErrorAndNotACrash) {
  // More segments than stay open.
  for (std::uint32_t number = 1; number <= 40; ++number) {
    begin_segment(1, number);
    open_session({1, number}, number * 100);
    close_session({1, number}, number * 100 + 50);
    seal();
    finish_and_save();
  }
  const Recording recording(path());
  for (const auto& file : std::filesystem::directory_iterator(path())) std::filesystem::remove(file.path());
  SessionDirectory directory(recording);
  EXPECT_THROW(
      {
        while (directory.peek() != nullptr) (void)directory.take();
      },
      RecordingError);
}

}  // namespace
}  // namespace understudy::replayer
