// The recorder as a whole: several workers, its own thread, a directory.
#include "recorder/recorder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <thread>

#include "tests/recorder/support.h"

namespace understudy::recorder {
namespace {

namespace fs = std::filesystem;
using proxy::SessionObserver;

RecorderOptions small_options(const fs::path& directory) {
  RecorderOptions options;
  options.directory = directory;
  options.slab_bytes = 4096;
  options.queue_bytes = std::size_t{64} << 20;
  options.segment_bytes = 64 << 10;
  options.seal_interval = kSecond / 1000;
  options.retry_interval = kSecond / 1000;
  options.fsync = FsyncPolicy::kNever;
  return options;
}

RecorderIdentity identity() { return {.producer = "test", .attributes = {{"source", "none"}}}; }

// A session under observation, and what it was shown.
struct Shown {
  std::unique_ptr<SessionObserver> observer;
  std::vector<Seen> events;
};

Shown open(Recorder& recorder, unsigned worker, std::uint32_t number, TimeNs& time) {
  const SessionDescriptor value = descriptor(number, ++time);
  Shown shown{recorder.open_session(worker, value), {}};
  SessionDescriptor stamped = value;
  stamped.id.run = recorder.run();
  ByteBuffer payload;
  encode(stamped, payload);
  shown.events.push_back({time, EventKind::kOpened, std::string(as_text(payload))});
  return shown;
}

void relay(Shown& session, Direction direction, TimeNs& time, const std::string& data) {
  session.observer->relayed(direction, ++time, as_bytes(data));
  const bool from_client = direction == Direction::kFromClient;
  session.events.push_back({time, from_client ? EventKind::kClientBytes : EventKind::kServerBytes, data});
}

void close(Shown& session, TimeNs& time) {
  const CloseDetail detail{.reason = CloseReason::kServerLeft, .text = "gone"};
  session.observer->closed(detail, ++time);
  ByteBuffer payload;
  encode(detail, payload);
  session.events.push_back({time, EventKind::kClosed, std::string(as_text(payload))});
  session.observer.reset();
}

// Some traffic on one worker: sessions 1000 * worker + 1... Everything depends on the seed alone.
SeenBySession traffic(Recorder& recorder, unsigned worker, unsigned sessions, unsigned rounds) {
  std::mt19937 random(worker + 1);
  std::vector<Shown> open_sessions;
  TimeNs time = 1'700'000'000 * kSecond;
  std::uint32_t number = worker * 1000;
  SeenBySession shown;
  for (unsigned round = 0; round < rounds; ++round) {
    while (open_sessions.size() < sessions) open_sessions.push_back(open(recorder, worker, ++number, time));
    Shown& session = open_sessions[random() % sessions];
    std::string data(random() % 300, '\0');
    for (char& c : data) c = static_cast<char>(random());
    relay(session, random() % 2 == 0 ? Direction::kFromClient : Direction::kFromServer, time, data);
    if (random() % 50 != 0) continue;
    close(session, time);
    shown[{recorder.run(), number}];  // keeps the order of numbers
    SessionDescriptor opened;
    EXPECT_TRUE(decode(as_bytes(session.events[0].data), opened));
    shown[opened.id] = std::move(session.events);
    std::swap(session, open_sessions.back());
    open_sessions.pop_back();
  }
  for (Shown& session : open_sessions) {
    close(session, time);
    SessionDescriptor opened;
    EXPECT_TRUE(decode(as_bytes(session.events[0].data), opened));
    shown[opened.id] = std::move(session.events);
  }
  std::erase_if(shown, [](const auto& entry) { return entry.second.empty(); });
  return shown;
}

TEST(RecorderTest, EveryByteOfSeveralWorkersComesBackInOrder) {
  TemporaryDirectory directory;
  constexpr unsigned kWorkers = 4;
  Recorder recorder(small_options(directory.path()), kWorkers, identity());
  std::vector<SeenBySession> shown(kWorkers);
  std::vector<std::thread> workers;
  for (unsigned worker = 0; worker < kWorkers; ++worker) {
    workers.emplace_back([&, worker] { shown[worker] = traffic(recorder, worker, 10, 5000); });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_TRUE(recorder.finish());

  EXPECT_GT(Recording(directory.path()).segment_count(), 3U);
  const SeenBySession seen = read_all(directory.path());
  std::size_t sessions = 0;
  for (const SeenBySession& of_worker : shown) {
    sessions += of_worker.size();
    for (const auto& [id, events] : of_worker) ASSERT_EQ(seen.at(id), events) << id.to_string();
  }
  EXPECT_EQ(seen.size(), sessions);
  EXPECT_EQ(recorder.statistics().sessions, sessions);
  EXPECT_EQ(recorder.statistics().sessions_shed, 0U);
}

TEST(RecorderTest, SessionThatOutlivesManySegmentsIsReadThroughItsCursor) {
  TemporaryDirectory directory;
  Recorder recorder(small_options(directory.path()), 1, identity());
  TimeNs time = kSecond;
  Shown long_lived = open(recorder, 0, 1, time);
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string noise(200, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    relay(long_lived, Direction::kFromServer, time, noise);
  }
  close(long_lived, time);
  EXPECT_TRUE(recorder.finish());
  EXPECT_GT(Recording(directory.path()).segment_count(), 5U);
  EXPECT_EQ(read_session(directory.path(), {1, 1}), long_lived.events);
}

TEST(RecorderTest, StateEventsKeepTheirPlace) {
  TemporaryDirectory directory;
  Recorder recorder(small_options(directory.path()), 1, identity());
  TimeNs time = kSecond;
  Shown session = open(recorder, 0, 1, time);
  session.observer->redacted({.direction = Direction::kFromServer, .kind = RedactionKind::kSasl}, ++time);
  session.observer->relayed(Direction::kFromServer, ++time, as_bytes("hello"));
  session.observer->cancelled(++time);
  session.observer->backend_switched("192.0.2.9:5432", ++time);
  close(session, time);
  EXPECT_TRUE(recorder.finish());
  const std::vector<Seen> events = read_session(directory.path(), {1, 1});
  ASSERT_EQ(events.size(), 6U);
  Redaction redaction;
  EXPECT_EQ(events[1].kind, EventKind::kRedacted);
  ASSERT_TRUE(decode(as_bytes(events[1].data), redaction));
  EXPECT_EQ(redaction.kind, RedactionKind::kSasl);
  EXPECT_EQ(events[2].data, "hello");
  EXPECT_EQ(events[3].kind, EventKind::kCancelled);
  EXPECT_EQ(events[4].kind, EventKind::kBackendSwitched);
  EXPECT_EQ(events[4].data, "192.0.2.9:5432");
}

TEST(RecorderTest, PasswordsInSqlAreOverwrittenMarkedAndCounted) {
  TemporaryDirectory directory;
  Recorder recorder(small_options(directory.path()), 1, identity());
  TimeNs time = kSecond;
  Shown session = open(recorder, 0, 1, time);
  const std::string sql = "ALTER ROLE a PASSWORD 'abc'";
  std::string query("Q\0\0\0", 4);
  query += static_cast<char>(sql.size() + 5);
  query += sql + '\0';
  session.observer->relayed(Direction::kFromClient, ++time, as_bytes(query));
  session.observer->relayed(Direction::kFromServer, ++time, as_bytes(query));  // not looked at
  close(session, time);
  EXPECT_TRUE(recorder.finish());
  EXPECT_EQ(recorder.statistics().passwords_hidden, 1U);
  const std::vector<Seen> events = read_session(directory.path(), {1, 1});
  ASSERT_EQ(events.size(), 5U);
  Redaction redaction;
  ASSERT_EQ(events[1].kind, EventKind::kRedacted);
  ASSERT_TRUE(decode(as_bytes(events[1].data), redaction));
  EXPECT_EQ(redaction, (Redaction{Direction::kFromClient, RedactionKind::kSqlPassword}));
  std::string hidden = query;
  hidden.replace(hidden.find("abc"), 3, "xxx");
  EXPECT_EQ(events[2].data, hidden);
  EXPECT_EQ(events[3].data, query);
}

TEST(RecorderTest, NothingStaysUnsealedForLong) {
  TemporaryDirectory directory;
  Recorder recorder(small_options(directory.path()), 2, identity());
  TimeNs time = kSecond;
  Shown first = open(recorder, 0, 1, time);
  Shown second = open(recorder, 1, 2, time);
  relay(first, Direction::kFromClient, time, "a little");
  relay(second, Direction::kFromClient, time, "a little");
  await([&] { return recorder.statistics().events == 4; });
  EXPECT_EQ(read_all(directory.path()).size(), 2U) << "readable while it is still being written";
}

TEST(RecorderTest, CleanCloseEndsSessionsStillOpen) {
  TemporaryDirectory directory;
  TimeNs time = kSecond;
  Shown session;
  {
    Recorder recorder(small_options(directory.path()), 1, identity());
    session = open(recorder, 0, 1, time);
    EXPECT_TRUE(recorder.finish());
    EXPECT_TRUE(recorder.finish()) << "a second time is harmless";
    relay(session, Direction::kFromClient, time, "too late");
    close(session, time);
  }
  const Recording recording(directory.path());
  EXPECT_TRUE(recording.segment(0)->clean());
  const std::vector<Seen> events = read_session(directory.path(), {1, 1});
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(close_reason_of(events[1]), CloseReason::kRecordingEnded);
}

// A child records until it is killed; what it had sealed by then must be there.
TEST(RecorderTest, KillLosesOnlyTheUnsealedTail) {
  for (unsigned sealed_before_kill : {2U, 5000U, 40000U}) {
    TemporaryDirectory directory;
    int progress[2];
    ASSERT_EQ(::pipe(progress), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Recorder recorder(small_options(directory.path()), 1, identity());
      TimeNs time = kSecond;
      Shown session = open(recorder, 0, 1, time);
      for (std::uint64_t said = 0;;) {
        ++time;
        session.observer->relayed(Direction::kFromClient, time, as_bytes("event " + std::to_string(time)));
        const std::uint64_t sealed = recorder.statistics().events;
        if (sealed == said) continue;
        said = sealed;
        if (::write(progress[1], &said, sizeof said) != sizeof said) ::_exit(1);
      }
    }
    ::close(progress[1]);
    std::uint64_t sealed = 0;
    while (sealed < sealed_before_kill) ASSERT_EQ(::read(progress[0], &sealed, sizeof sealed), 8);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    ::close(progress[0]);

    const Recording recording(directory.path());
    EXPECT_FALSE(recording.segment(recording.segment_count() - 1)->clean());
    const std::vector<Seen> events = read_session(directory.path(), {1, 1});
    ASSERT_GE(events.size(), sealed);
    for (std::size_t at = 1; at < events.size(); ++at) {
      const TimeNs time = kSecond + static_cast<TimeNs>(at) + 1;
      ASSERT_EQ(events[at].data, "event " + std::to_string(time)) << "a hole before the tail";
    }
  }
}

TEST(RecorderTest, StalledDiskShedsSessionsAndNeverBlocksThem) {
  TemporaryDirectory directory;
  Disk disk;
  RecorderOptions options = small_options(directory.path());
  options.queue_bytes = 64 << 10;
  Recorder recorder(options, 1, identity(), std::make_unique<FaultyStore>(directory.path(), disk),
                    [](const std::string&) {});
  TimeNs time = kSecond;
  Shown early = open(recorder, 0, 1, time);
  relay(early, Direction::kFromClient, time, "whole");
  close(early, time);
  disk.stall();
  Shown bulk = open(recorder, 0, 2, time);
  relay(bulk, Direction::kFromServer, time, "to stall on");
  disk.await_stalled();
  std::uint64_t offered = 0;
  while (recorder.statistics().sessions_shed == 0) {
    relay(bulk, Direction::kFromServer, time, std::string(1000, 'b'));
    ++offered;
  }
  for (int more = 0; more < 50; ++more, ++offered) {
    relay(bulk, Direction::kFromServer, time, std::string(1000, 'b'));
  }
  disk.release();
  await([&] { return recorder.statistics().queue_bytes == 0; });
  Shown late = open(recorder, 0, 3, time);
  relay(late, Direction::kFromClient, time, "whole again");
  close(late, time);
  relay(bulk, Direction::kFromClient, time, "not recorded");
  close(bulk, time);
  EXPECT_TRUE(recorder.finish());

  const SeenBySession seen = read_all(directory.path());
  EXPECT_EQ(seen.at({1, 1}), early.events);
  EXPECT_EQ(seen.at({1, 3}), late.events);
  const std::vector<Seen>& events = seen.at({1, 2});
  std::uint64_t missing = 0;
  std::uint64_t missing_bytes = 0;
  for (const Seen& event : events) {
    if (event.kind != EventKind::kGap) continue;
    missing += gap_of(event).events;
    missing_bytes += gap_of(event).server_bytes + gap_of(event).client_bytes;
  }
  EXPECT_EQ(count_kind(events, EventKind::kServerBytes) - 1 + missing, offered + 1);
  EXPECT_EQ(events.back().kind, EventKind::kClosed);
  const Statistics statistics = recorder.statistics();
  EXPECT_EQ(statistics.sessions_shed, 1U);
  EXPECT_EQ(statistics.events_shed, missing);
  EXPECT_EQ(statistics.bytes_shed, missing_bytes);
  EXPECT_EQ(statistics.events_lost, 0U);
}

TEST(RecorderTest, ShortOutageCostsNothing) {
  TemporaryDirectory directory;
  Disk disk;
  Recorder recorder(small_options(directory.path()), 1, identity(),
                    std::make_unique<FaultyStore>(directory.path(), disk), [](const std::string&) {});
  TimeNs time = kSecond;
  Shown session = open(recorder, 0, 1, time);
  await([&] { return recorder.statistics().events == 1; });
  disk.fail_with(std::make_error_code(std::errc::no_space_on_device));
  for (int event = 0; event < 100; ++event)
    relay(session, Direction::kFromServer, time, std::string(500, 'x'));
  await([&] { return recorder.statistics().disk_failing; });
  disk.fail_with({});
  await([&] { return !recorder.statistics().disk_failing; });
  close(session, time);
  EXPECT_TRUE(recorder.finish());
  EXPECT_EQ(read_session(directory.path(), {1, 1}), session.events);
  EXPECT_TRUE(Recording(directory.path()).losses().empty());
  EXPECT_EQ(recorder.statistics().events_lost, 0U);
}

TEST(RecorderTest, LongOutageIsCountedAndLaterSessionsAreWhole) {
  TemporaryDirectory directory;
  Disk disk;
  RecorderOptions options = small_options(directory.path());
  options.queue_bytes = 64 << 10;
  Recorder recorder(options, 1, identity(), std::make_unique<FaultyStore>(directory.path(), disk),
                    [](const std::string&) {});
  TimeNs time = kSecond;
  Shown session = open(recorder, 0, 1, time);
  await([&] { return recorder.statistics().events == 1; });
  disk.fail_with(std::make_error_code(std::errc::read_only_file_system));
  while (recorder.statistics().events_lost == 0 && recorder.statistics().sessions_shed == 0) {
    relay(session, Direction::kFromServer, time, std::string(500, 'x'));
  }
  disk.fail_with({});
  await([&] { return !recorder.statistics().disk_failing && recorder.statistics().queue_bytes == 0; });
  Shown late = open(recorder, 0, 2, time);
  relay(late, Direction::kFromClient, time, "fine");
  close(late, time);
  close(session, time);
  EXPECT_TRUE(recorder.finish());

  EXPECT_EQ(read_session(directory.path(), {1, 2}), late.events);
  const std::vector<Seen> events = read_session(directory.path(), {1, 1});
  std::uint64_t missing = 0;
  for (const Seen& event : events) missing += event.kind == EventKind::kGap ? gap_of(event).events : 0;
  EXPECT_EQ(count_kind(events, EventKind::kServerBytes) + missing, session.events.size() - 2);
  std::uint64_t lost = 0;
  for (const LossRecord& loss : Recording(directory.path()).losses()) lost += loss.events;
  EXPECT_EQ(lost, recorder.statistics().events_lost);
}

TEST(RecorderTest, DiskThatNeverRecoversIsReportedAtTheEnd) {
  TemporaryDirectory directory;
  Disk disk;
  Recorder recorder(small_options(directory.path()), 1, identity(),
                    std::make_unique<FaultyStore>(directory.path(), disk), [](const std::string&) {});
  TimeNs time = kSecond;
  Shown session = open(recorder, 0, 1, time);
  disk.fail_with(std::make_error_code(std::errc::no_space_on_device));
  for (int event = 0; event < 100; ++event)
    relay(session, Direction::kFromServer, time, std::string(500, 'x'));
  EXPECT_FALSE(recorder.finish());
  EXPECT_EQ(recorder.statistics().events_lost + recorder.statistics().events, 101U);
}

TEST(RecorderTest, TwoRecordersInOneDirectoryHaveRunsOfTheirOwn) {
  TemporaryDirectory directory;
  Recorder first(small_options(directory.path()), 1, identity());
  Recorder second(small_options(directory.path()), 1, identity());
  EXPECT_EQ(first.run(), 1U);
  EXPECT_EQ(second.run(), 2U);
  EXPECT_NE(first.recording_id(), second.recording_id());
  EXPECT_EQ(first.recording_id().size(), 32U);
  TimeNs time = kSecond;
  Shown one = open(first, 0, 1, time);
  Shown two = open(second, 0, 1, time);
  close(one, time);
  close(two, time);
  EXPECT_TRUE(first.finish());
  EXPECT_TRUE(second.finish());
  const SeenBySession seen = read_all(directory.path());
  EXPECT_EQ(seen.at({1, 1}), one.events);
  EXPECT_EQ(seen.at({2, 1}), two.events);
}

TEST(RecorderTest, ProcessesThatOpenADirectoryTogetherShareNoRun) {
  TemporaryDirectory directory;
  std::vector<pid_t> children;
  for (int child = 0; child < 8; ++child) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      const RecordingDirectory opened(directory.path(), false);
      ::_exit(static_cast<int>(opened.run()));
    }
    children.push_back(pid);
  }
  std::vector<int> runs;
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    runs.push_back(WEXITSTATUS(status));
  }
  std::sort(runs.begin(), runs.end());
  EXPECT_EQ(runs, (std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(RecorderTest, RecordingsAreForTheirOwnerAlone) {
  TemporaryDirectory parent;
  const fs::path directory = parent.path() / "made" / "here";
  Recorder recorder(small_options(directory), 1, identity());
  EXPECT_TRUE(recorder.finish());
  struct stat status = {};
  ASSERT_EQ(::stat(directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  ASSERT_EQ(::stat((directory / "000001-000001.transcript").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(RecorderTest, EarlierRunsAreNeverTouched) {
  TemporaryDirectory directory;
  std::ofstream(directory.path() / "000007-000001.transcript") << "somebody's";
  Recorder recorder(small_options(directory.path()), 1, identity());
  EXPECT_EQ(recorder.run(), 8U);
  EXPECT_TRUE(recorder.finish());
  EXPECT_EQ(fs::file_size(directory.path() / "000007-000001.transcript"), 10U);
}

TEST(RecorderTest, DirectoryThatCannotBeWrittenIsNamed) {
  TemporaryDirectory directory;
  const fs::path file = directory.path() / "file";
  std::ofstream(file) << "not a directory";
  for (const fs::path& path : {file, file / "below", fs::path("/proc/understudy")}) {
    try {
      Recorder recorder(small_options(path), 1, identity());
      ADD_FAILURE() << path << " was accepted";
    } catch (const std::system_error& error) {
      EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace understudy::recorder
