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
constexpr TimeNs kExpireInterval = kSecond;
constexpr std::chrono::seconds kLongestCut{10};

void report_to_log(const std::string& fact) {
  proxy::log_event(proxy::LogLevel::kWarning, "recorder", {{"message", fact}});
}

// Told in every segment: whoever finds the first ones gone shall know why.
std::vector<std::pair<std::string, std::string>> with_retention(
    std::vector<std::pair<std::string, std::string>> attributes, const RecorderOptions& options) {
  if (options.keep_bytes > 0) attributes.emplace_back("keep_size", format_size(options.keep_bytes));
  if (options.keep_age > 0) attributes.emplace_back("keep_age", format_duration(options.keep_age));
  return attributes;
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
  ObservedSession(std::shared_ptr<Lane> lane, SessionDescriptor descriptor, bool redact)
      : kept_(std::move(lane)),
        lane_(*kept_),
        secrets_(redact ? std::make_unique<wire::ClientSecrets>() : nullptr) {
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
  [[nodiscard]] bool over() const override { return lane_.ended(); }
  void missing(const Gap& gap, TimeNs time) override {
    if (secrets_) secrets_->resume();
    ByteBuffer payload;
    encode(gap, payload);
    lane_.record(session_, time, EventKind::kGap, payload);
  }

 private:
  const std::shared_ptr<Lane> kept_;
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
    : options_(with_small_segments(options)),
      recording_id_(random_recording_id()),
      store_(std::move(store)),
      run_(store_->run()),
      report_(std::move(report)),
      queue_(options.queue_bytes, options.slab_bytes),
      appender_(*store_, options_,
                SegmentHeader{.recording_id = recording_id_,
                              .run = run_,
                              .producer = std::move(identity.producer),
                              .attributes = with_retention(std::move(identity.attributes), options_)},
                report_),
      retention_(options_) {
  for (unsigned worker = 0; worker < std::max(workers, 1U); ++worker) {
    lanes_.push_back(std::make_shared<Lane>(queue_));
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
  return std::make_unique<ObservedSession>(lanes_[worker % lanes_.size()], std::move(stamped),
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
    serve_cuts(slab);
    if (SteadyClock::now() >= next_seal) {
      hand_over_lanes();
      appender_.tick(proxy::now_ns());
      expire(wall_clock_ns());
      next_seal = SteadyClock::now() + seal_interval;
    }
    publish_statistics();
  }
  finish_on_thread(std::move(slab));
  publish_statistics();
  const std::lock_guard guard(cuts_mutex_);
  cuts_made_ = cuts_asked_;
  first_incomplete_.reset();
  cut_.notify_all();
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

void Recorder::mark(std::string_view text) { lanes_.front()->mark(proxy::now_ns(), as_bytes(text)); }

std::optional<unsigned> Recorder::cut(std::chrono::nanoseconds limit) {
  std::unique_lock lock(cuts_mutex_);
  if (ending_) return std::nullopt;
  const std::uint64_t mine = ++cuts_asked_;
  queue_.wake();
  if (!cut_.wait_for(lock, limit, [&] { return cuts_made_ >= mine; })) return std::nullopt;
  return first_incomplete_;
}

void Recorder::serve_cuts(std::unique_ptr<Slab>& slab) {
  std::uint64_t asked = 0;
  {
    const std::lock_guard guard(cuts_mutex_);
    if (cuts_asked_ == cuts_made_) return;
    asked = cuts_asked_;
  }
  hand_over_lanes();
  write_queue(slab, SteadyClock::now() + kLongestCut);
  appender_.cut(proxy::now_ns());
  const std::lock_guard guard(cuts_mutex_);
  cuts_made_ = asked;
  first_incomplete_.reset();
  if (slab == nullptr && !appender_.failing()) first_incomplete_ = appender_.first_incomplete();
  cut_.notify_all();
}

void Recorder::expire(TimeNs now) {
  if (!retention_.wanted() || now < expire_at_) return;
  expire_at_ = now + kExpireInterval;
  const Retention::Expired expired = retention_.apply(run_, appender_.first_incomplete(), now);
  if (expired.segments == 0) return;
  segments_expired_ += expired.segments;
  expired_bytes_ += expired.bytes;
  proxy::log_event(proxy::LogLevel::kInfo, "segments_expired",
                   {{"directory", options_.directory.string()},
                    {"segments", std::to_string(expired.segments)},
                    {"bytes", std::to_string(expired.bytes)},
                    {"last", format_segment_name(expired.last)}});
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
  expire_at_ = 0;
  expire(proxy::now_ns());
}

void Recorder::publish_statistics() {
  const std::lock_guard guard(statistics_mutex_);
  written_ = appender_.statistics();
  written_.segments_expired = segments_expired_;
  written_.expired_bytes = expired_bytes_;
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
