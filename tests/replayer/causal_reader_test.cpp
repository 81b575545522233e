#include "replayer/causal_reader.h"

#include <gmock/gmock.h>

#include <map>

#include "replayer/precedence.h"
#include "tests/replayer/support.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::ElementsAre;

class CausalReaderTest : public RecordingTest {
 protected:
  void SetUp() override { begin_segment(1, 1); }
  void TearDown() override { reader_.reset(); }

  void login(SessionId session, TimeNs time) {
    open_session(session, time);
    from_server(session, time + 1, setting("server_version", "15") + ready());
  }
  void exchange(SessionId session, TimeNs asked, TimeNs answered, const std::string& sql = "SELECT 1") {
    from_client(session, asked, query(sql));
    from_server(session, answered, complete("SELECT 1") + ready());
  }
  void write() {
    seal();
    finish_and_save();
  }

  void read(ReplayOptions options = {}) {
    recording_.emplace(path());
    start(std::move(options));
  }
  void start(ReplayOptions options = {}) {
    options_ = std::move(options);
    const auto read_tables = [](const std::string&) {
      TargetTables tables;
      TableFacts facts;
      facts.integer_columns = facts.unique_columns = {"id"};
      tables.add("t", facts);
      return tables;
    };
    reader_.emplace(*recording_, options_, read_tables);
  }

  static std::string name(const CausalReader::Item& item) {
    static const std::map<Step::Kind, std::string> kNames = {{Step::Kind::kOpen, "opens"},
                                                             {Step::Kind::kSend, "asks"},
                                                             {Step::Kind::kCancel, "cancelled"},
                                                             {Step::Kind::kReply, "answered"},
                                                             {Step::Kind::kEnd, "ends"}};
    return item.session.to_string() + " " + kNames.at(item.step.kind);
  }
  // All there is, each step played as it comes.
  std::vector<CausalReader::Item> items() {
    std::vector<CausalReader::Item> all;
    while (!reader_->over()) {
      for (CausalReader::Item& item : reader_->read()) {
        reader_->played(item.step);
        all.push_back(std::move(item));
      }
    }
    return all;
  }
  std::vector<std::string> all() {
    std::vector<std::string> names;
    for (const CausalReader::Item& item : items()) names.push_back(name(item));
    return names;
  }
  // Two sessions that ask in turn, with more steps than are read ahead, and one that asks when all is over.
  void write_long_one(int exchanges = kExchanges) {
    login(kA, 10);
    login(kB, 20);
    login(kC, 30);
    for (int i = 1; i <= exchanges; ++i) {
      exchange(kA, i * 100, i * 100 + 10);
      exchange(kB, i * 100 + 20, i * 100 + 30);
    }
    close_session(kA, (exchanges + 1) * 100);
    close_session(kB, (exchanges + 1) * 100 + 1);
    exchange(kC, (exchanges + 2) * 100, (exchanges + 2) * 100 + 10);
    close_session(kC, (exchanges + 3) * 100);
    write();
  }
  static constexpr int kExchanges = static_cast<int>(CausalReader::kWindowSteps);
  static constexpr std::size_t kSteps = 6 + 4 * kExchanges + 2 + 3;

  // Reads, and plays nothing, until the window is full.
  void fill_window() {
    (void)read_until_full();
    EXPECT_EQ(held_.size(), CausalReader::kWindowSteps);
  }
  // Returns whose step came last.
  SessionId read_until_full() {
    SessionId last;
    do {
      for (CausalReader::Item& item : reader_->read()) {
        last = item.session;
        held_.push_back(std::move(item.step));
      }
    } while (reader_->has_more());
    return last;
  }
  void play_window() {
    for (const Step& step : held_) reader_->played(step);
  }

  std::optional<Recording> recording_;
  ReplayOptions options_;
  std::vector<Step> held_;
  std::optional<CausalReader> reader_;
};

TEST_F(CausalReaderTest, StepsComeInTheOrderTheyWereRecordedWhateverTheSession) {
  login(kA, 100);
  from_client(kA, 110, query("SELECT 1"));
  login(kB, 120);
  from_client(kB, 130, query("SELECT 2"));
  from_server(kB, 140, complete("SELECT 1") + ready());
  from_server(kA, 150, complete("SELECT 1") + ready());
  close_session(kB, 160);
  from_client(kA, 170, terminate());
  close_session(kA, 180);
  write();
  read();
  EXPECT_THAT(all(),
              ElementsAre("1.1 opens", "1.1 answered", "1.1 asks", "1.2 opens", "1.2 answered", "1.2 asks",
                          "1.2 answered", "1.1 answered", "1.2 ends", "1.1 asks", "1.1 ends"));
}

TEST_F(CausalReaderTest, AReplyHasTheFootprintOfAllThatItAnswers) {
  login(kA, 100);
  from_client(kA, 110, query("UPDATE t SET x = 1 WHERE id = 7"));
  from_server(kA, 120, complete("UPDATE 1") + ready());
  exchange(kA, 130, 140, "SELECT x FROM t WHERE id = 8");
  write();
  read();
  std::vector<Footprint> answered;
  for (const CausalReader::Item& item : items()) {
    if (item.step.kind == Step::Kind::kReply) answered.push_back(item.step.footprint);
  }
  ASSERT_EQ(answered.size(), 3U);
  EXPECT_TRUE(answered[0].login);
  ASSERT_EQ(answered[1].writes.size(), 1U);
  EXPECT_EQ(answered[1].writes[0].key, 7);
  EXPECT_TRUE(answered[2].writes.empty());
  ASSERT_EQ(answered[2].reads.size(), 1U);
  EXPECT_EQ(answered[2].reads[0].key, 8);
}

TEST_F(CausalReaderTest, HoweverManyTurnsItTakesTheStreamIsTheSame) {
  write_long_one();
  read();
  const std::vector<std::string> names = all();
  std::vector<std::string> expected = {"1.1 opens",    "1.1 answered", "1.2 opens",
                                       "1.2 answered", "1.3 opens",    "1.3 answered"};
  for (int i = 0; i < kExchanges; ++i) {
    for (const char* one : {"1.1 asks", "1.1 answered", "1.2 asks", "1.2 answered"})
      expected.emplace_back(one);
  }
  for (const char* one : {"1.1 ends", "1.2 ends", "1.3 asks", "1.3 answered", "1.3 ends"})
    expected.emplace_back(one);
  ASSERT_EQ(names.size(), expected.size());
  const auto [differs, from] = std::mismatch(expected.begin(), expected.end(), names.begin());
  EXPECT_TRUE(differs == expected.end()) << "at " << differs - expected.begin() << ": " << *from;
}

TEST_F(CausalReaderTest, WhatIsNotPlayedIsNotMoreThanTheWindow) {
  write_long_one();
  read();
  fill_window();
  EXPECT_TRUE(reader_->read().empty());
  EXPECT_FALSE(reader_->over());
  play_window();
  EXPECT_EQ(held_.size() + all().size(), kSteps);
}

TEST_F(CausalReaderTest, OneSessionIsReadOnThoughTheWindowIsFull) {
  write_long_one();
  read();
  fill_window();
  std::optional<Step> asks = reader_->read_on(kC);
  ASSERT_TRUE(asks.has_value());
  EXPECT_EQ(asks->kind, Step::Kind::kSend);
  std::optional<Step> answered = reader_->read_on(kC);
  ASSERT_TRUE(answered.has_value());
  EXPECT_EQ(answered->kind, Step::Kind::kReply);
  held_.push_back(std::move(*asks));
  held_.push_back(std::move(*answered));
  EXPECT_TRUE(reader_->read().empty());  // the window counts again
  // And what follows has nothing twice, and nothing missing.
  play_window();
  EXPECT_EQ(held_.size() + all().size(), kSteps);
  EXPECT_FALSE(reader_->read_on(kC).has_value());  // it is over
}

TEST_F(CausalReaderTest, WhileASessionHasRunOutOfStepsTheWindowIsWider) {
  write_long_one();
  read();
  fill_window();
  reader_->ran_out(kC);
  EXPECT_EQ(read_until_full(), kC);
  EXPECT_EQ(held_.back().kind, Step::Kind::kSend);
  EXPECT_TRUE(reader_->read().empty());  // it has a step
  EXPECT_FALSE(reader_->over());
  play_window();
  EXPECT_EQ(held_.size() + all().size(), kSteps);
}

TEST_F(CausalReaderTest, TheWidestWindowHasAnEnd) {
  write_long_one(static_cast<int>(CausalReader::kWidestWindowSteps / 4));
  read();
  fill_window();
  reader_->ran_out(kC);
  (void)read_until_full();
  EXPECT_EQ(held_.size(), CausalReader::kWidestWindowSteps);
  EXPECT_TRUE(reader_->read().empty());
}

TEST_F(CausalReaderTest, NothingIsReadForASessionThatWasLeft) {
  write_long_one();
  read();
  fill_window();
  reader_->ran_out(kC);
  reader_->leave(kC);
  EXPECT_TRUE(reader_->read().empty());
}

TEST_F(CausalReaderTest, ASessionThatWasLeftComesNoMore) {
  write_long_one();
  read();
  fill_window();
  reader_->leave(kA);
  play_window();
  const std::vector<std::string> after = all();
  EXPECT_THAT(after, testing::Contains("1.2 ends"));
  EXPECT_THAT(after, testing::Not(testing::Contains(testing::StartsWith("1.1"))));
}

TEST_F(CausalReaderTest, AStepLargerThanTheWindowIsReadWhenItIsItsTurn) {
  login(kA, 10);
  for (int i = 1; i <= 3; ++i) {
    from_client(kA, i * 100, query("SELECT '" + std::string(CausalReader::kWindowBytes, 'x') + "'"));
    from_server(kA, i * 100 + 10, complete("SELECT 1") + ready());
    seal();
  }
  finish_and_save();
  read();
  EXPECT_EQ(all().size(), 2U + 3U * 2U + 1U);
}

TEST_F(CausalReaderTest, AtADamagedChunkItsSessionsEndAndTheOthersGoOn) {
  login(kA, 10);
  login(kB, 20);
  exchange(kA, 100, 110);
  exchange(kB, 120, 130);
  seal();
  const std::size_t damaged = size();
  exchange(kA, 200, 210);
  seal();
  flip_byte((damaged + size()) / 2);
  exchange(kB, 300, 310);
  exchange(kA, 320, 330);
  seal();
  finish_and_save();
  read();
  std::map<SessionId, RecordedEnd> ends;
  std::size_t asked = 0;
  for (const CausalReader::Item& item : items()) {
    if (item.step.kind == Step::Kind::kEnd) ends[item.session] = item.step.end;
    if (item.step.kind == Step::Kind::kSend) ++asked;
  }
  EXPECT_EQ(asked, 3U);
  EXPECT_EQ(ends,
            (std::map<SessionId, RecordedEnd>{{kA, RecordedEnd::kHole}, {kB, RecordedEnd::kUnfinished}}));
}

TEST_F(CausalReaderTest, ASegmentThatGoesAwayEndsReadingAndIsTold) {
  // More segments than stay open.
  login(kA, 10);
  write();
  for (std::uint32_t number = 2; number <= 40; ++number) {
    begin_segment(1, number, {descriptor(kA, 10)});
    exchange(kA, number * 100, number * 100 + 50);
    write();
  }
  recording_.emplace(path());
  for (const auto& file : std::filesystem::directory_iterator(path())) std::filesystem::remove(file.path());
  start();
  try {
    (void)items();
    FAIL() << "read to the end of what is gone";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(path()));
  }
  EXPECT_FALSE(reader_->over());
}

TEST_F(CausalReaderTest, SessionsThatAreLeftOutAreCounted) {
  login(kA, 100);
  login(kB, 200);
  login(kC, 300);
  write();
  ReplayOptions options;
  options.from = 150;
  options.wanted = [](const SessionDescriptor& session) { return session.id != kC; };
  read(std::move(options));
  const std::vector<std::string> names = all();
  EXPECT_EQ(reader_->left_out(), 2U);
  EXPECT_THAT(names, ElementsAre("1.2 opens", "1.2 answered", "1.2 ends"));
}

TEST_F(CausalReaderTest, ASessionOpenBeforeTheRecordingIsLoggedInAtOnce) {
  begin_segment(1, 7, {descriptor(kB, 50)});
  login(kA, 100);
  from_server(kB, 140, ready());
  exchange(kB, 150, 160);
  close_session(kA, 170);
  close_session(kB, 180);
  write();
  read();
  EXPECT_THAT(all(), ElementsAre("1.2 opens", "1.2 answered", "1.1 opens", "1.1 answered", "1.2 asks",
                                 "1.2 answered", "1.1 ends", "1.2 ends"));
}

}  // namespace
}  // namespace understudy::replayer
