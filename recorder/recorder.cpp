#include "recorder/recorder.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "formats/command.h"
#include "formats/wire/client_secrets.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "recorder/recording_directory.h"

namespace understudy::recorder {
namespace {

using SteadyClock = SlabQueue::Clock;

constexpr TimeNs kSheddingReportInterval = 10 * kSecond;

void report_to_log(const std::string& fact) {
  proxy::log_event(proxy::LogLevel::kWarning, "recorder", {{"message", fact}});
}

}  // namespace

std::string random_recording_id() {
  std::array<Byte, 16> bits{};
  if (::getrandom(bits.data(), bits.size(), 0) != static_cast<ssize_t>(bits.size())) {
    throw std::system_error(errno, std::generic_category(), "no random bits for the recording's id");
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const Byte byte : bits) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// Follows one session; lives on its worker. All state that matters is the lane's.
class Recorder::ObservedSession final : public proxy::SessionObserver {
 public:
  ObservedSession(Lane& lane, SessionDescriptor descriptor, bool redact)
      : lane_(lane), secrets_(redact ? std::make_unique<wire::ClientSecrets>() : nullptr) {
    session_.id = descriptor.id;
    ByteBuffer payload;
    encode(descriptor, payload);
    lane_.open(session_, descriptor.opened_at, payload);
  }
  ~ObservedSession() override { lane_.forget(session_); }

  void relayed(Direction direction, TimeNs time, ByteView bytes) override {
    if (direction == Direction::kFromServer)
      return lane_.record(session_, time, EventKind::kServerBytes, bytes);
    const ByteView shown = secrets_ ? secrets_->hide(bytes) : bytes;
    if (shown.data() != bytes.data()) {
      lane_.count_hidden();
      redacted({.direction = direction, .kind = RedactionKind::kSqlPassword}, time);
    }
    lane_.record(session_, time, EventKind::kClientBytes, shown);
  }
  void redacted(Redaction what, TimeNs time) override {
    ByteBuffer payload;
    encode(what, payload);
    lane_.record(session_, time, EventKind::kRedacted, payload);
  }
  void cancelled(TimeNs time) override { lane_.record(session_, time, EventKind::kCancelled, {}); }
  void backend_switched(const std::string& backend, TimeNs time) override {
    lane_.record(session_, time, EventKind::kBackendSwitched, as_bytes(backend));
  }
  void closed(const CloseDetail& why, TimeNs time) override {
    ByteBuffer payload;
    encode(why, payload);
    lane_.close(session_, time, payload);
  }
  void missing(const Gap& gap, TimeNs time) override {
    if (secrets_) secrets_->resume();
    ByteBuffer payload;
    encode(gap, payload);
    lane_.record(session_, time, EventKind::kGap, payload);
  }

 private:
  Lane& lane_;
  LaneSession session_;
  std::unique_ptr<wire::ClientSecrets> secrets_;
};

Recorder::Recorder(const RecorderOptions& options, unsigned workers, RecorderIdentity identity)
    : Recorder(options, workers, std::move(identity),
               std::make_unique<RecordingDirectory>(options.directory, options.fsync != FsyncPolicy::kNever),
               report_to_log) {}

Recorder::Recorder(const RecorderOptions& options, unsigned workers, RecorderIdentity identity,
                   std::unique_ptr<SegmentStore> store, Report report)
    : options_(options),
      recording_id_(random_recording_id()),
      store_(std::move(store)),
      run_(store_->run()),
      report_(std::move(report)),
      queue_(options.queue_bytes, options.slab_bytes),
      appender_(*store_, options_,
                SegmentHeader{.recording_id = recording_id_,
                              .run = run_,
                              .producer = std::move(identity.producer),
                              .attributes = std::move(identity.attributes)},
                report_) {
  for (unsigned worker = 0; worker < std::max(workers, 1U); ++worker) {
    lanes_.push_back(std::make_unique<Lane>(queue_));
  }
  appender_.open(proxy::now_ns());
  publish_statistics();
  thread_ = std::thread([this] { run_thread(); });
}

Recorder::~Recorder() { finish(); }

std::unique_ptr<proxy::SessionObserver> Recorder::open_session(unsigned worker,
                                                               const SessionDescriptor& descriptor) {
  SessionDescriptor stamped = descriptor;
  stamped.id.run = run_;
  return std::make_unique<ObservedSession>(*lanes_[worker % lanes_.size()], std::move(stamped),
                                           options_.redact);
}

bool Recorder::finish() {
  if (!thread_.joinable()) return whole_;
  for (const auto& lane : lanes_) lane->end();
  ending_ = true;
  queue_.wake();
  thread_.join();
  return whole_;
}

// ---- The recorder thread

void Recorder::run_thread() {
  const auto seal_interval = std::chrono::nanoseconds(options_.seal_interval);
  auto next_seal = SteadyClock::now() + seal_interval;
  std::unique_ptr<Slab> slab;  // popped and not written yet
  while (!ending_) {
    // While the disk refuses, the queue holds what it can: a short outage then costs nothing.
    queue_.wait(slab != nullptr ? queue_.capacity_bytes() / 2 : 1, next_seal);
    write_queue(slab, next_seal);
    if (SteadyClock::now() >= next_seal) {
      hand_over_lanes();
      appender_.tick(proxy::now_ns());
      next_seal = SteadyClock::now() + seal_interval;
    }
    publish_statistics();
  }
  finish_on_thread(std::move(slab));
  publish_statistics();
}

// Writes what is queued, until it is empty, refused by the disk, or partly filled slabs are due.
void Recorder::write_queue(std::unique_ptr<Slab>& slab, SteadyClock::time_point until) {
  do {
    if (slab == nullptr) slab = queue_.pop();
    if (slab == nullptr) return;
    if (!appender_.append(*slab, proxy::now_ns())) {
      if (queue_.size_bytes() < queue_.capacity_bytes() / 2) return;
      appender_.drop(*slab);
    }
    queue_.recycle(std::move(slab));
    publish_statistics();
  } while (!ending_ && SteadyClock::now() < until);
}

void Recorder::add_loss(const LossRecord& loss) {
  const std::lock_guard guard(losses_mutex_);
  losses_.push_back(loss);
}

void Recorder::hand_over_losses() {
  const std::lock_guard guard(losses_mutex_);
  for (const LossRecord& loss : losses_) appender_.add_loss(loss);
  losses_.clear();
}

// Nothing stays unsealed longer than the interval between two calls.
void Recorder::hand_over_lanes() {
  hand_over_losses();
  Statistics seen;
  for (const auto& lane : lanes_) {
    lane->hand_over();
    appender_.add_overload(lane->take_loss());
    lane->add_to(seen);
  }
  const TimeNs now = proxy::now_ns();
  if (seen.sessions_shed == shed_reported_ || now - shedding_reported_at_ < kSheddingReportInterval) return;
  report_("overload: " + std::to_string(seen.sessions_shed - shed_reported_) +
          " more sessions shed from the recording, " + format_size(seen.bytes_shed) +
          " not recorded since the start");
  shed_reported_ = seen.sessions_shed;
  shedding_reported_at_ = now;
}

void Recorder::finish_on_thread(std::unique_ptr<Slab> slab) {
  hand_over_losses();
  for (const auto& lane : lanes_) appender_.add_overload(lane->take_loss());
  bool refused = false;  // one last attempt, not one for every slab
  if (slab == nullptr) slab = queue_.pop();
  for (; slab != nullptr; slab = queue_.pop()) {
    refused = refused || !appender_.append(*slab, std::max(proxy::now_ns(), appender_.retry_at()));
    if (refused) appender_.drop(*slab);
    queue_.recycle(std::move(slab));
  }
  whole_ = appender_.finish(proxy::now_ns()) && !refused;
}

void Recorder::publish_statistics() {
  const std::lock_guard guard(statistics_mutex_);
  written_ = appender_.statistics();
}

Statistics Recorder::statistics() const {
  Statistics total;
  {
    const std::lock_guard guard(statistics_mutex_);
    total = written_;
  }
  for (const auto& lane : lanes_) lane->add_to(total);
  total.queue_bytes = queue_.size_bytes();
  total.queue_peak_bytes = queue_.peak_bytes();
  return total;
}

}  // namespace understudy::recorder
