// Recordings: directories of segments, read in time order and session by session.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "formats/transcript/segment_name.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr SessionId kA{1, 1};
constexpr SessionId kB{1, 2};
constexpr SessionId kC{1, 3};

class RecordingTest : public TranscriptTest {
 protected:
  RecordingTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "understudy-recording-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~RecordingTest() override { std::filesystem::remove_all(directory_); }

  void begin_segment(std::uint32_t run, std::uint32_t number,
                     const std::vector<SessionDescriptor>& continuing = {}) {
    SegmentHeader header = default_header();
    header.run = run;
    header.segment = number;
    name_ = format_segment_name({run, number});
    begin(continuing, header);
  }
  // Writes the segment that was begun, as it is, to the recording's directory.
  void save() { save_as(name_); }
  void save_as(const std::string& name) {
    std::ofstream(directory_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(file_.contents.data()), static_cast<std::streamsize>(size()));
    all_written_.insert(all_written_.end(), written_.begin(), written_.end());
  }
  void finish_and_save() {
    finish();
    save();
  }
  // Session A and B in three segments, B opening in the second and outliving it.
  void save_three_segments() {
    begin_segment(1, 1);
    open_session(kA, 100);
    from_client(kA, 110, "a1");
    seal();
    from_server(kA, 120, "a2");
    seal();
    finish_and_save();
    begin_segment(1, 2, {descriptor(kA, 100)});
    open_session(kB, 200);
    from_client(kB, 210, "b1");
    from_client(kA, 220, "a3");
    seal();
    finish_and_save();
    begin_segment(1, 3, {descriptor(kA, 100), descriptor(kB, 200)});
    from_server(kB, 300, "b2");
    close_session(kA, 310);
    seal();
    close_session(kB, 320);
    seal();
    finish_and_save();
  }

  static std::vector<Seen> stream(const Recording& recording, TimeNs from = 0) {
    std::vector<Seen> events;
    EventStream events_in_order(recording, from);
    while (const std::optional<Event> event = events_in_order.next()) events.push_back(seen(*event));
    return events;
  }
  static std::vector<Seen> follow(SessionCursor cursor) {
    std::vector<Seen> events;
    while (const std::optional<Event> event = cursor.next()) events.push_back(seen(*event));
    return events;
  }
  [[nodiscard]] std::vector<Seen> written_of(SessionId session) const {
    std::vector<Seen> events;
    for (const Seen& event : all_written_) {
      if (event.session == session) events.push_back(event);
    }
    return events;
  }
  [[nodiscard]] std::vector<Seen> written_by_time() const {
    std::vector<Seen> events = all_written_;
    std::stable_sort(events.begin(), events.end(),
                     [](const Seen& a, const Seen& b) { return a.time < b.time; });
    return events;
  }
  static std::vector<std::string> sessions_of(const Recording& recording,
                                              std::vector<SessionId>* lost = nullptr) {
    std::vector<std::string> ids;
    const auto missing = for_each_session(recording, [&](const SessionSummary& session) {
      ids.push_back(session.descriptor.id.to_string());
      EXPECT_EQ(session.descriptor.user(), "alice");
    });
    if (lost != nullptr) *lost = missing;
    return ids;
  }
  static std::string refusal(const std::filesystem::path& path) {
    try {
      const Recording recording(path);
    } catch (const RecordingError& error) {
      return error.what();
    }
    return {};
  }

  std::filesystem::path directory_;
  std::string name_;
  std::vector<Seen> all_written_;
};

TEST_F(RecordingTest, NothingThereIsRefused) {
  EXPECT_THAT(refusal(directory_ / "missing"), HasSubstr("missing: no such file or directory"));
}

TEST_F(RecordingTest, EmptyDirectoryIsRefused) {
  EXPECT_THAT(refusal(directory_), HasSubstr("holds no recording"));
}

TEST_F(RecordingTest, DirectoryWithOnlyForeignFilesIsRefused) {
  std::ofstream(directory_ / "notes.txt") << "x";
  std::ofstream(directory_ / "1-1.transcript") << "x";
  std::filesystem::create_directory(directory_ / "000001-000001.transcript");
  EXPECT_THAT(refusal(directory_), HasSubstr("holds no recording"));
}

TEST_F(RecordingTest, ForeignFilesBesideSegmentsArePassedOver) {
  save_three_segments();
  std::ofstream(directory_ / "notes.txt") << "x";
  std::ofstream(directory_ / "000001-000002.transcript.bak") << "x";
  EXPECT_EQ(stream(Recording(directory_)), written_by_time());
}

TEST_F(RecordingTest, ForeignFileNamedLikeASegmentIsRefusedByName) {
  save_three_segments();
  std::ofstream(directory_ / "000001-000004.transcript")
      << "something else altogether, and long enough to tell";
  EXPECT_THAT(refusal(directory_),
              HasSubstr("000001-000004.transcript: not an understudy transcript (at byte 0)"));
}

TEST_F(RecordingTest, EmptyFileByItselfIsRefusedAndInADirectoryIsUnclean) {
  std::ofstream(directory_ / "000001-000004.transcript").flush();
  EXPECT_THAT(refusal(directory_ / "000001-000004.transcript"), HasSubstr("is empty"));
  save_three_segments();
  const Recording recording(directory_);
  EXPECT_EQ(stream(recording), written_by_time());
  EXPECT_EQ(recording.damage().size(), 1U);
}

TEST_F(RecordingTest, OneFileIsARecordingToo) {
  save_three_segments();
  EXPECT_EQ(stream(Recording(directory_ / "000001-000003.transcript")), written_);
}

TEST_F(RecordingTest, RecordingWithoutChunksIsEmpty) {
  begin_segment(1, 1);
  save();  // as a proxy leaves it that has just started
  const Recording recording(directory_);
  EXPECT_THAT(stream(recording), IsEmpty());
  EXPECT_THAT(sessions_of(recording), IsEmpty());
  EXPECT_EQ(recording.first_chunk(), std::nullopt);
  EXPECT_EQ(recording.time_range(), (std::pair<TimeNs, TimeNs>{0, 0}));
}

TEST_F(RecordingTest, SessionsOutliveSegments) {
  save_three_segments();
  const Recording recording(directory_);
  EXPECT_EQ(recording.segment_count(), 3U);
  EXPECT_EQ(recording.id(), default_header().recording_id);
  EXPECT_EQ(recording.time_range(), (std::pair<TimeNs, TimeNs>{100, 320}));
  EXPECT_EQ(stream(recording), written_by_time());
  EXPECT_EQ(follow({recording, kA}), written_of(kA));
  EXPECT_EQ(follow({recording, kB}), written_of(kB));
  EXPECT_THAT(follow({recording, kC}), IsEmpty());
  EXPECT_THAT(sessions_of(recording), ElementsAre("1.1", "1.2"));
}

TEST_F(RecordingTest, ChunksAreWalkedAcrossSegmentsWithoutAny) {
  begin_segment(1, 1);
  finish_and_save();
  begin_segment(1, 2);
  from_client(kA, 1, "x");
  seal();
  from_client(kA, 2, "y");
  seal();
  finish_and_save();
  begin_segment(1, 3);
  finish_and_save();
  const Recording recording(directory_);
  EXPECT_EQ(recording.first_chunk(), (ChunkPosition{1, 0}));
  EXPECT_EQ(recording.next_chunk({1, 0}), (ChunkPosition{1, 1}));
  EXPECT_EQ(recording.next_chunk({1, 1}), std::nullopt);
  EXPECT_EQ(recording.find_chunk(kA, {1, 1}), (ChunkPosition{1, 1}));
  EXPECT_EQ(recording.find_chunk(kA, {1, 2}), std::nullopt);
}

TEST_F(RecordingTest, RunsFollowEachOtherAndKeepTheirSessionsApart) {
  begin_segment(2, 1);
  open_session({2, 1}, 500);
  seal();
  save();  // killed
  begin_segment(1, 1);
  open_session({1, 1}, 100);
  seal();
  save();  // killed
  const Recording recording(directory_);
  EXPECT_EQ(stream(recording), written_by_time());
  EXPECT_THAT(sessions_of(recording), ElementsAre("1.1", "2.1"));
}

TEST_F(RecordingTest, OverlappingChunksOfTwoWorkersAreMergedInTimeOrder) {
  begin_segment(1, 1);
  // The first worker seals late: its chunk stands after one that begins later than it.
  for (TimeNs time = 1'000; time < 2'000; time += 10) from_client(kB, time, "b" + std::to_string(time));
  seal();
  for (TimeNs time = 500; time < 2'500; time += 7) from_server(kA, time, "a" + std::to_string(time));
  seal();
  for (TimeNs time = 2'000; time < 2'200; time += 10) from_client(kC, time, "c" + std::to_string(time));
  seal();
  finish_and_save();
  EXPECT_EQ(stream(Recording(directory_)), written_by_time());
}

TEST_F(RecordingTest, EventsOfTheSameTimeComeAsAppended) {
  begin_segment(1, 1);
  from_client(kA, 10, "first");
  from_client(kB, 10, "second");
  seal();
  from_client(kC, 10, "third");
  seal();
  from_client(kA, 5, "zeroth");
  from_client(kB, 10, "fourth");
  seal();
  finish_and_save();
  EXPECT_EQ(stream(Recording(directory_)), written_by_time());
}

TEST_F(RecordingTest, MergeOfManyWorkersWithRandomTimesIsTheSortOfAll) {
  std::mt19937 random(std::hash<std::string>{}("MergeOfManyWorkersWithRandomTimesIsTheSortOfAll"));
  for (std::uint32_t segment = 1; segment <= 4; ++segment) {
    begin_segment(1, segment);
    for (int chunk = 0; chunk < 8; ++chunk) {
      const TimeNs base = segment * 1'000 + static_cast<TimeNs>(random() % 1'500);
      for (int i = 0; i < 40; ++i) {
        const SessionId session{1, static_cast<std::uint32_t>(random() % 6)};
        from_client(session, base + static_cast<TimeNs>(random() % 300),
                    std::to_string(i));  // not even in order
      }
      seal();
    }
    finish_and_save();
  }
  EXPECT_EQ(stream(Recording(directory_)), written_by_time());
  EXPECT_EQ(stream(Recording(directory_, 1)), written_by_time()) << "with no cache to speak of";
}

TEST_F(RecordingTest, SeekByTimeStartsAtTheFirstEventNotBefore) {
  save_three_segments();
  const Recording recording(directory_);
  for (TimeNs from = 90; from < 330; ++from) {
    std::vector<Seen> expected = written_by_time();
    std::erase_if(expected, [&](const Seen& event) { return event.time < from; });
    ASSERT_EQ(stream(recording, from), expected) << from;
  }
}

TEST_F(RecordingTest, CursorStartsAtTheChunkItIsGiven) {
  save_three_segments();
  const Recording recording(directory_);
  EXPECT_EQ(follow({recording, kA, {0, 1}}).front().data, "a2");
  EXPECT_EQ(follow({recording, kA, {1, 0}}).front().data, "a3");
  EXPECT_THAT(follow({recording, kA, {2, 1}}), IsEmpty());
}

TEST_F(RecordingTest, CursorKeepsItsPlaceWhenItLetsGoOfTheChunk) {
  save_three_segments();
  const Recording recording(directory_, 1);
  SessionCursor cursor(recording, kA);
  std::vector<Seen> events;
  while (const std::optional<Event> event = cursor.next()) {
    events.push_back(seen(*event));
    cursor.release();
    const std::optional<TimeNs> bound = cursor.next_time_lower_bound();
    const std::optional<Event> next = cursor.peek();
    ASSERT_EQ(bound.has_value(), next.has_value());
    if (next) {
      EXPECT_LE(*bound, next->time);
      EXPECT_EQ(cursor.next_time_lower_bound(), next->time);
    }
    if (events.size() % 2 == 0) cursor.release();
  }
  EXPECT_EQ(events, written_of(kA));
}

TEST_F(RecordingTest, DataGivenOutStaysValidUntilTheNextCall) {
  save_three_segments();
  const Recording recording(directory_, 1);
  SessionCursor cursor(recording, kA);
  for (const Seen& expected : written_of(kA)) {
    const std::optional<Event> event = cursor.next();
    static_cast<void>(cursor.next_time_lower_bound());
    static_cast<void>(cursor.peek());  // loads the next chunk, over a cache that holds one
    ASSERT_EQ(seen(*event), expected);
  }
}

TEST_F(RecordingTest, CursorEndsAtTheClosingWithoutSearchingOn) {
  save_three_segments();
  const Recording recording(directory_);
  SessionCursor cursor(recording, kA);
  for (std::size_t i = 0; i < written_of(kA).size(); ++i) ASSERT_TRUE(cursor.next());
  EXPECT_EQ(cursor.next_time_lower_bound(), std::nullopt);
  EXPECT_EQ(cursor.next(), std::nullopt);
  EXPECT_EQ(cursor.next(), std::nullopt);
}

TEST_F(RecordingTest, CacheHoldsNoMoreThanItMay) {
  begin_segment(1, 1);
  for (std::uint32_t i = 0; i < 50; ++i) {
    from_client({1, i}, i, std::string(100'000, 'x'));
    seal();
  }
  finish_and_save();
  const Recording recording(directory_, 350'000);
  std::vector<std::weak_ptr<const Chunk>> loaded;
  for (std::uint32_t i = 0; i < 50; ++i) {
    loaded.push_back(recording.load({0, i}));
    std::size_t held = 0;
    for (const auto& chunk : loaded) held += chunk.expired() ? 0 : chunk.lock()->size_bytes();
    ASSERT_LE(held, 350'000U);
  }
  EXPECT_FALSE(loaded.back().expired()) << "the last one used is kept";
  EXPECT_EQ(recording.load({0, 49}), loaded.back().lock());
}

TEST_F(RecordingTest, HundredSegmentsAreReadWithFewOfThemOpen) {
  for (std::uint32_t i = 1; i <= 100; ++i) {
    begin_segment(1, i);
    from_client(kA, i, std::to_string(i));
    seal();
    finish_and_save();
  }
  const Recording recording(directory_);
  std::size_t descriptors = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++descriptors;
  EXPECT_LT(descriptors, 60U);
  EXPECT_EQ(follow({recording, kA}), written_of(kA));
  EXPECT_EQ(stream(recording), written_by_time());
}

TEST_F(RecordingTest, DamagedChunkIsPassedOverAndCountedOnce) {
  begin_segment(1, 1);
  open_session(kA, 1);
  seal();
  const std::size_t before = size();
  from_client(kA, 2, "lost");
  seal();
  flip_byte((before + size()) / 2 + 20);
  from_client(kA, 3, "kept");
  seal();
  finish_and_save();
  const Recording recording(directory_);
  EXPECT_THAT(recording.damage(), IsEmpty());
  for (int i = 0; i < 3; ++i) {
    SessionCursor cursor(recording, kA);
    EXPECT_EQ(cursor.next()->kind, EventKind::kOpened);
    EXPECT_EQ(cursor.holes(), 0U);
    EXPECT_EQ(as_text(cursor.next()->data), "kept");
    EXPECT_EQ(cursor.holes(), 1U) << "the hole is told";
    EXPECT_EQ(stream(recording).size(), 2U);
  }
  EXPECT_EQ(recording.damage().size(), 1U);
  EXPECT_THAT(recording.damage()[0].file, HasSubstr("000001-000001.transcript"));
}

TEST_F(RecordingTest, SessionsAreListedByOpeningAcrossOverlappingChunks) {
  begin_segment(1, 1);
  open_session(kB, 20);
  open_session(kC, 400);
  seal();
  open_session(kA, 10);
  open_session({1, 4}, 30);
  seal();
  open_session({1, 5}, 300);
  seal();
  finish_and_save();
  EXPECT_THAT(sessions_of(Recording(directory_)), ElementsAre("1.1", "1.2", "1.4", "1.5", "1.3"));
}

TEST_F(RecordingTest, SessionsOpenBeforeTheRecordingStartsComeFirst) {
  save_three_segments();
  std::filesystem::remove(directory_ / "000001-000001.transcript");  // as retention does
  const Recording recording(directory_);
  EXPECT_THAT(sessions_of(recording), ElementsAre("1.1", "1.2"));
  EXPECT_EQ(recording.continuing().size(), 1U);
}

TEST_F(RecordingTest, SessionWhoseOpeningIsDamagedIsKnownFromTheNextSegment) {
  begin_segment(1, 1);
  open_session(kA, 1);
  open_session(kB, 2);
  seal();
  flip_byte(size() - 30);
  finish_and_save();
  begin_segment(1, 2, {descriptor(kA, 1)});
  from_client(kA, 10, "on");
  seal();
  finish_and_save();
  const Recording recording(directory_);
  std::vector<SessionId> lost;
  EXPECT_THAT(sessions_of(recording, &lost), ElementsAre("1.1"));
  EXPECT_THAT(lost, ElementsAre(kB));
}

TEST_F(RecordingTest, SessionContinuedByASegmentButOpenedInIt) {
  begin_segment(1, 1);
  finish_and_save();
  // Rotation came between the opening and the sealing of the chunk that holds it.
  begin_segment(1, 2, {descriptor(kA, 1)});
  open_session(kA, 1);
  seal();
  finish_and_save();
  EXPECT_THAT(sessions_of(Recording(directory_)), ElementsAre("1.1"));
}

TEST_F(RecordingTest, FileThatIsStillBeingWrittenIsReadAsItWasWhenOpened) {
  begin_segment(1, 1);
  open_session(kA, 1);
  from_client(kA, 2, "x");
  seal();
  save();
  const Recording recording(directory_);
  const std::vector<Seen> then = all_written_;
  from_client(kA, 3, "later");
  seal();
  save();
  EXPECT_EQ(follow({recording, kA}), then);
  EXPECT_EQ(stream(Recording(directory_)).size(), 3U);
}

TEST_F(RecordingTest, SeveralThreadsReadAtOnce) {
  std::mt19937 random(std::hash<std::string>{}("SeveralThreadsReadAtOnce"));
  for (std::uint32_t segment = 1; segment <= 30; ++segment) {
    begin_segment(1, segment);
    for (std::uint32_t session = 1; session <= 8; ++session) {
      from_client({1, session}, segment * 100 + session, std::to_string(random()));
      if (session % 3 == 0) seal();
    }
    seal();
    finish_and_save();
  }
  const Recording recording(directory_, 2'000);
  std::vector<std::vector<Seen>> got(8);
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] { got[i] = follow({recording, {1, i + 1}}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(got[i], written_of({1, i + 1}));
}

TEST_F(RecordingTest, ZstdsOwnToolReadsAWholeSegment) {
  save_three_segments();
  const std::string file = (directory_ / "000001-000001.transcript").string();
  EXPECT_EQ(std::system(("zstd -q -t '" + file + "'").c_str()), 0);
  const std::string out = (directory_ / "out").string();
  EXPECT_EQ(std::system(("zstd -q -dc '" + file + "' > '" + out + "'").c_str()), 0);
  std::ifstream in(out, std::ios::binary);
  const std::string bodies{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_NE(bodies.find("a1"), std::string::npos);
  EXPECT_NE(bodies.find("a2"), std::string::npos);
  EXPECT_EQ(bodies.find("UNDERSTUDY"), std::string::npos) << "records are skipped";
}

TEST_F(RecordingTest, FileIsNeverOverwritten) {
  const auto path = directory_ / "000001-000001.transcript";
  {
    const auto file = create_file(path);
    EXPECT_FALSE(file->append(as_bytes("x")));
    EXPECT_FALSE(file->sync());
    EXPECT_FALSE(file->sync());
  }
  EXPECT_THROW(static_cast<void>(create_file(path)), std::system_error);
  EXPECT_THROW(static_cast<void>(open_file(directory_)), std::system_error);
  EXPECT_THROW(static_cast<void>(open_file(directory_ / "none")), std::system_error);
}
}  // namespace
}  // namespace understudy::test
