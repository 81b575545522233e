// What recording costs: nanoseconds of the worker's thread for one relayed() call, and CPU of the whole
// process for a megabyte from the call to the file. Prints figures, asserts nothing.
//
//     recorder_benchmark [DIRECTORY]      (default: a temporary directory)
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "proxy/clock.h"
#include "recorder/recorder.h"

namespace {

using namespace understudy;
using namespace std::string_view_literals;

constexpr int kRuns = 7;
constexpr unsigned kSessions = 32;

double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Replies of a prepared SELECT: bytes that compress as a database's do.
std::vector<ByteBuffer> replies(std::size_t event_bytes) {
  std::mt19937 random(42);
  std::vector<ByteBuffer> made(1024);
  for (ByteBuffer& reply : made) {
    while (reply.size() < event_bytes) {
      append_bytes(reply, as_bytes("2\0\0\0\4D\0\0\0\20\0\1\0\0\0\6"sv));
      append_bytes(reply, as_bytes(std::to_string(random() % 1'000'000)));
    }
    reply.resize(event_bytes);
  }
  return made;
}

struct Figures {
  double ns_per_call = 0;    // of the thread that relays
  double cpu_ms_per_mb = 0;  // of all threads, until everything is in the file
  double mb_per_s = 0;       // by the clock
  double ratio = 0;          // data bytes to stored bytes
  std::uint64_t events_shed = 0;
};

Figures run_once(const std::filesystem::path& directory, std::size_t event_bytes, std::uint64_t total_bytes) {
  const std::vector<ByteBuffer> data = replies(event_bytes);
  recorder::RecorderOptions options;
  options.directory = directory;
  options.fsync = recorder::FsyncPolicy::kNever;
  recorder::Recorder recorder(options, 1, {.producer = "recorder_benchmark", .attributes = {}});
  std::vector<std::unique_ptr<proxy::SessionObserver>> sessions;
  for (std::uint32_t number = 1; number <= kSessions; ++number) {
    SessionDescriptor descriptor;
    descriptor.id.number = number;
    descriptor.opened_at = proxy::now_ns();
    sessions.push_back(recorder.open_session(0, descriptor));
  }
  const std::uint64_t calls = total_bytes / event_bytes;
  TimeNs time = proxy::now_ns();
  const double process_before = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
  const double thread_at_start = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  const double wall_before = cpu_seconds(CLOCK_MONOTONIC);
  double relaying = 0;
  for (std::uint64_t call = 0; call < calls;) {
    const std::uint64_t batch_end =
        std::min<std::uint64_t>(calls, call + (std::uint64_t{4} << 20) / event_bytes);
    const double thread_before = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    for (; call < batch_end; ++call) {
      time += 1700;
      sessions[call % kSessions]->relayed(Direction::kFromServer, time, data[call % data.size()]);
    }
    relaying += cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - thread_before;
    // As a proxy would that does other things too: the recorder thread gets its share.
    while (recorder.statistics().queue_bytes > (std::size_t{8} << 20)) std::this_thread::yield();
  }
  recorder.finish();
  const double wall = cpu_seconds(CLOCK_MONOTONIC) - wall_before;
  // This thread's waiting (the pacing) is no cost of recording.
  const double waiting = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - thread_at_start - relaying;
  const double cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - process_before - waiting;
  const double megabytes = static_cast<double>(calls * event_bytes) / 1e6;
  const recorder::Statistics statistics = recorder.statistics();
  return {.ns_per_call = relaying * 1e9 / static_cast<double>(calls),
          .cpu_ms_per_mb = cpu * 1e3 / megabytes,
          .mb_per_s = megabytes / wall,
          .ratio = static_cast<double>(statistics.data_bytes) / static_cast<double>(statistics.stored_bytes),
          .events_shed = statistics.events_shed};
}

void measure(const std::filesystem::path& parent, std::size_t event_bytes, std::uint64_t total_bytes) {
  std::vector<double> ns;
  std::vector<double> cpu;
  std::vector<double> rate;
  Figures last;
  for (int run = 0; run < kRuns; ++run) {
    const std::filesystem::path directory = parent / "recorder_benchmark.recording";
    last = run_once(directory, event_bytes, total_bytes);
    std::filesystem::remove_all(directory);
    ns.push_back(last.ns_per_call);
    cpu.push_back(last.cpu_ms_per_mb);
    rate.push_back(last.mb_per_s);
  }
  std::printf("%8zu B %10.1f ns/call %10.3f ns/B %10.2f ms CPU/MB %8.0f MB/s %8.1f : 1 %8llu shed\n",
              event_bytes, median(ns), median(ns) / static_cast<double>(event_bytes), median(cpu),
              median(rate), last.ratio, static_cast<unsigned long long>(last.events_shed));
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path parent =
      argc > 1 ? std::filesystem::path(argv[1]) : std::filesystem::temp_directory_path();
  std::printf(
      "event size, relayed() on its thread, whole process to the file; medians of %d runs, %u sessions\n",
      kRuns, kSessions);
  measure(parent, 44, std::uint64_t{100} << 20);
  measure(parent, 256, std::uint64_t{200} << 20);
  measure(parent, 8192, std::uint64_t{400} << 20);
  measure(parent, 65536, std::uint64_t{800} << 20);
}
