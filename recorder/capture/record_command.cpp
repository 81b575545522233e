// understudy record: sessions from capture files or from a network interface. Runs on the main thread; a live
// capture's recorder has its own (recorder.h).
#include <csignal>
#include <cstdio>
#include <ctime>
#include <stdexcept>

#include "formats/capture/reassembler.h"
#include "formats/command.h"
#include "proxy/log.h"
#include "recorder/capture/capture_files.h"
#include "recorder/capture/capture_sessions.h"
#include "recorder/capture/privileges.h"
#include "recorder/capture/record_options.h"
#include "recorder/capture/waiting_recorder.h"
#include "recorder/commands.h"
#include "recorder/signals.h"

namespace understudy::recorder {
namespace {

using proxy::log_event;
using proxy::LogLevel;

constexpr int kFailed = 1;
constexpr int kInPart = 3;

// Whatever the capture says of what is not on record, as loss records.
std::vector<LossRecord> losses_of(const CaptureSummary& summary) {
  std::vector<LossRecord> losses;
  const auto add = [&](std::uint64_t sessions, std::uint64_t events, std::uint64_t bytes,
                       std::string detail) {
    losses.push_back({.reason = GapReason::kCaptureLoss,
                      .from = summary.first_packet,
                      .to = summary.last_packet,
                      .sessions = sessions,
                      .events = events,
                      .bytes = bytes,
                      .detail = std::move(detail)});
  };
  for (const auto& [reason, unread] : summary.sessions.unreadable)
    add(unread.connections, 0, unread.bytes, reason);
  for (const UnreadFile& file : summary.unread_files)
    add(0, 0, file.bytes_left, file.name + " " + file.error);
  if (!summary.live && summary.drops.by_kernel + summary.drops.by_interface > 0) {
    add(0, summary.drops.by_kernel + summary.drops.by_interface, 0,
        "packets dropped, as the capture file says");
  }
  return losses;
}

CaptureSummary summary_of(const RecordOptions& options, const CaptureSessions& sessions,
                          const capture::Reassembler& reassembler) {
  CaptureSummary summary;
  summary.output = options.recording.directory.string();
  summary.live = options.files.empty();
  summary.sessions = sessions.counts();
  summary.tcp = reassembler.counts();
  summary.fragments = reassembler.fragments();
  summary.first_packet = reassembler.first_time();
  summary.last_packet = reassembler.now();
  summary.clock_went_back = reassembler.clock_went_back();
  summary.other_ports = reassembler.busiest_other_ports(3);
  return summary;
}

int tell(const CaptureSummary& summary, bool json) {
  std::fputs((json ? summary_as_json(summary) : summary_as_text(summary)).c_str(), stdout);
  if (!summary.recorded) return kFailed;
  return is_in_part(summary) ? kInPart : 0;
}

RecorderIdentity identity(std::string source) {
  return {.producer = "understudy " UNDERSTUDY_VERSION " record",
          .attributes = {{"capture", std::move(source)}}};
}

std::unique_ptr<TlsKeyLog> key_log(const RecordOptions& options) {
  if (options.tls_keys.empty()) return std::make_unique<TlsKeyLog>();
  auto keys = std::make_unique<TlsKeyLog>(options.tls_keys);
  if (!keys->has_secrets()) {
    std::fprintf(stderr,
                 "understudy record: warning: --tls-keys %s has no line \"LABEL CLIENT_RANDOM SECRET\" (as "
                 "SSLKEYLOGFILE has them)%s\n",
                 options.tls_keys.c_str(), options.files.empty() ? " yet" : "");
  }
  return keys;
}

// ---- Files

bool asked_to_end(const Signals& signals) {
  const auto signal = signals.poll(-1, 0);
  return signal == SIGTERM || signal == SIGINT;
}

int record_files(const RecordOptions& options) {
  const Signals signals;
  const std::vector<std::string> files = in_order_of_capture(options.files);
  const auto keys = key_log(options);
  WaitingRecorder recorder(options.recording, identity(files.size() == 1 ? "a file" : "files"));
  CaptureSessions sessions(recorder, options.reassembly.ports, keys.get());
  capture::Reassembler reassembler(options.reassembly, sessions);
  const auto secrets = [&keys](std::uint32_t type, ByteView text) {
    if (type == capture::CaptureFileParser::kTlsKeyLog) keys->add(as_text(text));
  };
  const auto take = [&reassembler](const capture::CapturedPacket& packet) { reassembler.take(packet); };
  std::vector<UnreadFile> unread;
  capture::CaptureDrops drops;
  bool ended = false;
  for (const std::string& name : files) {
    CaptureFileReader file(name, secrets);
    while (!ended && recorder.failure().empty() && file.read(take)) ended = asked_to_end(signals);
    if (file.unread() != nullptr) unread.push_back(*file.unread());
    drops.by_kernel += file.drops().by_kernel;
    drops.by_interface += file.drops().by_interface;
    if (ended) break;
  }
  reassembler.finish();
  CaptureSummary summary = summary_of(options, sessions, reassembler);
  summary.unread_files = std::move(unread);
  summary.drops = drops;
  if (summary.tcp.packets == 0 && !summary.unread_files.empty() && recorder.failure().empty()) {
    recorder.withdraw();
    summary.recorded = false;
    return tell(summary, options.json);
  }
  for (const LossRecord& loss : losses_of(summary)) recorder.add_loss(loss);
  summary.recorded = recorder.finish(summary.last_packet);
  summary.run = recorder.run();
  summary.recording = recorder.statistics();
  const int status = tell(summary, options.json);
  if (!recorder.failure().empty()) throw std::runtime_error(recorder.failure());
  if (ended) std::fprintf(stderr, "understudy record: ended by a signal before the end of the files\n");
  if (ended && status == 0) return kInPart;
  return status;
}

// ---- An interface

TimeNs wall_clock() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return TimeNs{time.tv_sec} * kSecond + time.tv_nsec;
}

// Between packets: what is dropped is told as it is known, in the log and in the recording.
class LiveWatch {
 public:
  LiveWatch(const RecordOptions& options, LiveCapture& capture, Recorder& recorder)
      : options_(options), capture_(capture), recorder_(recorder), told_at_(wall_clock()) {}

  void look(const capture::Reassembler& reassembler, const CaptureSessions& sessions, bool now_please) {
    const TimeNs now = wall_clock();
    if (!now_please && now - told_at_ < options_.report_interval) return;
    note_drops(now);
    const auto text = [](const auto& number) { return std::to_string(number); };
    const CaptureCounts& counts = sessions.counts();
    log_event(LogLevel::kInfo, "capturing",
              {{"packets", text(reassembler.counts().packets)},
               {"connections", text(reassembler.counts().connections)},
               {"bytes", text(counts.session_bytes)},
               {"dropped_by_kernel", text(drops_.by_kernel)},
               {"dropped_by_interface", text(drops_.by_interface)},
               {"lost_bytes", text(counts.lost_bytes)},
               {"sessions_shed", text(recorder_.statistics().sessions_shed)}});
  }
  void note_drops(TimeNs now) {
    const capture::CaptureDrops drops = capture_.drops();
    const std::uint64_t more = drops.by_kernel + drops.by_interface - drops_.by_kernel - drops_.by_interface;
    if (more > 0) {
      recorder_.add_loss({.reason = GapReason::kCaptureLoss,
                          .from = told_at_,
                          .to = now,
                          .sessions = 0,
                          .events = more,
                          .bytes = 0,
                          .detail = "packets dropped by the kernel or the interface"});
    }
    drops_ = drops;
    told_at_ = now;
  }
  [[nodiscard]] capture::CaptureDrops drops() const { return drops_; }

 private:
  const RecordOptions& options_;
  LiveCapture& capture_;
  Recorder& recorder_;
  TimeNs told_at_;
  capture::CaptureDrops drops_;
};

// Until a signal asks to end, and then until what had passed by then is taken from the ring.
void capture_until_asked(const Signals& signals, LiveCapture& live, capture::Reassembler& reassembler,
                         const std::function<void(bool)>& look) {
  constexpr int kPauseMs = 100;
  constexpr TimeNs kLate = kSecond;      // nothing older than that is still in the ring when it is empty
  constexpr TimeNs kLast = kSecond / 2;  // a block of the ring is handed over by then
  const auto take = [&reassembler](const capture::CapturedPacket& packet) { reassembler.take(packet); };
  TimeNs ends_at = 0;
  while (ends_at == 0 || wall_clock() < ends_at) {
    const auto signal = signals.poll(live.descriptor(), kPauseMs);
    if ((signal == SIGTERM || signal == SIGINT) && ends_at == 0) ends_at = wall_clock() + kLast;
    if (live.read(take) == 0) reassembler.tick(wall_clock() - kLate);
    look(signal == SIGUSR1);
  }
}

int record_interface(const RecordOptions& options) {
  const Signals signals;
  const std::string user = user_to_become(options.user);
  LiveCapture live(options.live);
  const auto keys = key_log(options);  // while it may be read
  create_for(options.recording.directory, user);
  drop_privileges(user);
  check_writable(options.recording.directory, user);
  Recorder recorder(options.recording, 1, identity(options.live.interface));
  CaptureSessions sessions(recorder, options.reassembly.ports, keys.get());
  capture::Reassembler reassembler(options.reassembly, sessions);
  LiveWatch watch(options, live, recorder);
  log_event(LogLevel::kInfo, "capturing_on",
            {{"interface", options.live.interface},
             {"filter", capture_filter(options.live.ports, false)},
             {"recording", options.recording.directory.string()},
             {"run", std::to_string(recorder.run())},
             {"user", user.empty() ? "unchanged" : user}});
  std::string failure;
  try {
    capture_until_asked(signals, live, reassembler,
                        [&](bool now_please) { watch.look(reassembler, sessions, now_please); });
  } catch (const std::runtime_error& error) {
    failure = error.what();
  }
  watch.note_drops(wall_clock());
  reassembler.finish();
  CaptureSummary summary = summary_of(options, sessions, reassembler);
  summary.drops = watch.drops();
  for (const LossRecord& loss : losses_of(summary)) recorder.add_loss(loss);
  summary.recorded = recorder.finish();
  summary.run = recorder.run();
  summary.recording = recorder.statistics();
  const int status = tell(summary, options.json);
  if (!failure.empty()) throw std::runtime_error(failure);
  return status;
}

}  // namespace

int run_record(int argc, char** argv) {
  std::optional<RecordOptions> options;
  try {
    options = read_record_options(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "understudy record: %s\nSee understudy record --help.\n", error.what());
    return kExitUsage;
  }
  if (!options) return 0;
  return options->files.empty() ? record_interface(*options) : record_files(*options);
}

}  // namespace understudy::recorder
