#include "recorder/recording_control.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "formats/command.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/statistics.h"
#include "recorder/retention.h"

namespace understudy::recorder {
namespace {

namespace fs = std::filesystem;
using proxy::log_event;
using proxy::LogLevel;

// How often it is looked at how large a recording has become.
constexpr std::chrono::milliseconds kLookInterval{50};
constexpr std::chrono::seconds kCutLimit{15};
constexpr std::size_t kLongestMark = 1000;

// "2026-11-24T13-31-07Z": a time that may name a file.
std::string name_of(TimeNs time) {
  std::string name = format_time(time, 0);
  std::replace(name.begin(), name.end(), ':', '-');
  return name;
}

std::string digits(std::uint64_t number) { return std::to_string(number); }

// Otherwise the recording has gaps or loss records, and verify calls it incomplete.
bool nothing_missing(const Statistics& counted) {
  return counted.sessions_shed == 0 && counted.events_shed == 0 && counted.events_lost == 0;
}

// Shedding is by design, and still leaves out what was asked for.
std::string missing_in_words(const Statistics& counted) {
  std::string text;
  if (counted.sessions_shed > 0) {
    text += ": sessions were shed under overload (" + digits(counted.sessions_shed) +
            "; a larger record_buffer holds more, a lower record_level or a faster disk takes more)";
  }
  if (counted.events_lost > 0)
    text += (text.empty() ? ": " : ", ") + std::string("events were lost to the disk (") +
            digits(counted.events_lost) + ")";
  return text + "; verify names what is missing";
}

void log_ended(const RecordingStatus& ended) {
  log_event(ended.whole ? LogLevel::kInfo : LogLevel::kError, "recording_ended",
            {{"directory", ended.directory.string()},
             {"reason", ended.ended_by},
             {"whole", ended.whole ? "yes" : "no"},
             {"sessions", digits(ended.statistics.sessions)},
             {"joined", digits(ended.joined)},
             {"events", digits(ended.statistics.events)},
             {"stored_bytes", digits(ended.statistics.stored_bytes)},
             {"sessions_shed", digits(ended.statistics.sessions_shed)},
             {"events_lost", digits(ended.statistics.events_lost)}});
}

}  // namespace

RecordingControl::RecordingControl(RecorderOptions recording, ControlOptions control, unsigned workers,
                                   std::string producer)
    : recording_(std::move(recording)),
      control_(std::move(control)),
      workers_(workers),
      producer_(std::move(producer)),
      watch_([this] { watch(); }) {}

RecordingControl::~RecordingControl() {
  finish();
  {
    const std::lock_guard guard(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  watch_.join();
}

void RecordingControl::begin() {
  const std::lock_guard changing(changing_);
  const auto active = std::make_shared<Active>();
  active->directory = recording_.directory;
  open(active);
}

void RecordingControl::attach(Sessions sessions) {
  const std::lock_guard changing(changing_);
  sessions_ = std::move(sessions);
}

void RecordingControl::detach() {
  const std::lock_guard changing(changing_);
  sessions_ = {};
}

bool RecordingControl::finish() {
  const std::lock_guard changing(changing_);
  finished_ = true;
  if (const ActivePointer active = current()) end(active, "the proxy ended");
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return saving_ == 0; });
  return all_whole_;
}

RecordingControl::ActivePointer RecordingControl::current() const {
  const std::lock_guard guard(mutex_);
  return current_;
}

// Throws std::system_error.
void RecordingControl::open(const ActivePointer& active) {
  RecorderOptions options = recording_;
  options.directory = active->directory;
  std::vector<std::pair<std::string, std::string>> attributes;
  if (!active->name.empty()) attributes.emplace_back("name", active->name);
  const std::string filter = active->filter.describe();
  // Whom it names is nobody's business without the key: headers are not encrypted.
  if (!filter.empty() && options.key == nullptr) attributes.emplace_back("filter", filter);
  active->since = proxy::now_ns();
  active->recorder = std::make_unique<Recorder>(
      options, workers_, RecorderIdentity{.producer = producer_, .attributes = std::move(attributes)});
  {
    const std::lock_guard guard(mutex_);
    current_ = active;
  }
  changed_.notify_all();
}

std::unique_ptr<proxy::SessionObserver> RecordingControl::open_session(unsigned worker,
                                                                       const SessionDescriptor& descriptor) {
  const ActivePointer active = current();
  if (active == nullptr) return nullptr;
  if (active->filter.takes(descriptor)) return active->recorder->open_session(worker, descriptor);
  if (descriptor.attribute(kJoinedAttribute).empty()) proxy::count(active->filtered);
  return nullptr;
}

std::optional<RecordingControl::Refusal> RecordingControl::name_directory(std::string& name,
                                                                          fs::path& out) const {
  if (control_.root.empty()) {
    return Refusal{"recordings are made in record_root, which is not set: name a directory by it and restart",
                   false};
  }
  if (name.empty()) name = name_of(proxy::now_ns());
  if (std::string wrong = refuse_recording_name(name); !wrong.empty()) return Refusal{std::move(wrong), true};
  out = control_.root / name;
  std::error_code error;
  if (fs::exists(fs::symlink_status(out, error))) {
    return Refusal{out.string() + " exists already: nothing is overwritten", false};
  }
  // For the owner alone, as what is in it.
  if (!fs::exists(control_.root, error) && fs::create_directories(control_.root, error)) {
    fs::permissions(control_.root, fs::perms::owner_all, error);
  }
  return std::nullopt;
}

std::optional<RecordingControl::Refusal> RecordingControl::start(RecordingRequest request) {
  const std::lock_guard changing(changing_);
  if (finished_) return Refusal{"the proxy is ending", false};
  if (const ActivePointer active = current()) {
    return Refusal{"recording into " + active->directory.string() + " since " +
                       format_time(active->since, 0) + ": end that first (record stop)",
                   false};
  }
  const auto active = std::make_shared<Active>();
  active->name = std::move(request.name);
  active->filter = std::move(request.filter);
  active->duration = request.duration;
  active->bytes = request.bytes;
  if (auto refusal = name_directory(active->name, active->directory)) return refusal;
  try {
    open(active);
  } catch (const std::system_error& error) {
    return Refusal{in_words(error), false};
  }
  log_event(LogLevel::kInfo, "recording_started",
            {{"directory", active->directory.string()},
             {"filter", active->filter.describe()},
             {"duration", active->duration > 0 ? format_duration(active->duration) : "until stopped"},
             {"max_size", active->bytes > 0 ? format_size(active->bytes) : "any"}});
  if (sessions_.began) sessions_.began(active->joins);
  return std::nullopt;
}

std::optional<RecordingControl::Refusal> RecordingControl::stop() {
  const std::lock_guard changing(changing_);
  const ActivePointer active = current();
  if (active == nullptr) return Refusal{"nothing is being recorded", false};
  if (end(active, "stopped")) return std::nullopt;
  return Refusal{"stopped, but not everything is on record in " + active->directory.string() +
                     missing_in_words(active->recorder->statistics()),
                 false};
}

// With changing_ held. False when not everything is on record: it could not be written, or was shed.
bool RecordingControl::end(const ActivePointer& active, const std::string& why) {
  {
    const std::lock_guard guard(mutex_);
    closing_ = std::exchange(current_, nullptr);
  }
  const bool written = active->recorder->finish();
  if (sessions_.ended) sessions_.ended();
  RecordingStatus ended = status_of(*active);
  const bool whole = written && nothing_missing(ended.statistics);
  ended.ended_at = proxy::now_ns();
  ended.ended_by = why;
  ended.whole = whole;
  log_ended(ended);
  const std::lock_guard guard(mutex_);
  closing_ = nullptr;
  last_ = std::move(ended);
  all_whole_ = all_whole_ && whole;
  return whole;
}

std::optional<RecordingControl::Refusal> RecordingControl::mark(const std::string& text) {
  if (text.empty() || text.size() > kLongestMark) {
    return Refusal{"a mark is a text of 1 to " + std::to_string(kLongestMark) + " bytes", true};
  }
  const ActivePointer active = current();
  if (active == nullptr) return Refusal{"nothing is being recorded", false};
  active->recorder->mark(text);
  return std::nullopt;
}

std::optional<RecordingControl::Refusal> RecordingControl::save(std::string name, TimeNs last, Saved& saved) {
  const TimeNs since = last > 0 ? wall_clock_ns() - last : 0;
  ActivePointer active;
  unsigned incomplete = 0;
  if (auto refusal = begin_save(name, saved, active, incomplete)) return refusal;
  auto refusal = copy_saved(*active, incomplete, since, saved);
  {
    const std::lock_guard guard(mutex_);
    --saving_;
  }
  changed_.notify_all();
  return refusal;
}

// All that is asked for is in complete segments then, and its directory is nobody else's.
std::optional<RecordingControl::Refusal> RecordingControl::begin_save(std::string& name, Saved& saved,
                                                                      ActivePointer& active,
                                                                      unsigned& incomplete) {
  const std::lock_guard changing(changing_);
  active = current();
  if (active == nullptr) return Refusal{"nothing is being recorded", false};
  if (auto refusal = name_directory(name, saved.directory)) return refusal;
  const auto cut = active->recorder->cut(kCutLimit);
  if (!cut) return Refusal{"the disk did not take what was recorded; nothing was saved", false};
  incomplete = *cut;
  try {
    make_save_directory(saved.directory);
  } catch (const std::system_error& error) {
    return Refusal{in_words(error), false};
  }
  const std::lock_guard guard(mutex_);
  ++saving_;
  return std::nullopt;
}

std::optional<RecordingControl::Refusal> RecordingControl::copy_saved(const Active& active,
                                                                      unsigned incomplete, TimeNs since,
                                                                      Saved& saved) const {
  try {
    const SavedSegments done =
        save_segments(active.directory, active.recorder->run(), incomplete, since, saved.directory);
    saved.segments = done.saved;
    saved.expired = done.expired;
  } catch (const std::system_error& error) {
    return Refusal{in_words(error), false};
  }
  if (saved.segments == 0 && saved.expired == 0) return Refusal{"nothing was recorded in that time", false};
  if (saved.segments == 0) {
    return Refusal{
        "nothing was saved: all segments of that time were deleted before they could be copied "
        "(record_keep_size and record_keep_age say how much is kept)",
        false};
  }
  log_event(saved.expired == 0 ? LogLevel::kInfo : LogLevel::kWarning, "recording_saved",
            {{"from", active.directory.string()},
             {"directory", saved.directory.string()},
             {"segments", std::to_string(saved.segments)},
             {"expired_meanwhile", std::to_string(saved.expired)}});
  return std::nullopt;
}

RecordingStatus RecordingControl::status_of(const Active& active) {
  RecordingStatus status;
  status.name = active.name;
  status.directory = active.directory;
  status.id = active.recorder->recording_id();
  status.run = active.recorder->run();
  status.since = active.since;
  status.duration = active.duration;
  status.bytes = active.bytes;
  status.filter = active.filter.describe();
  status.filtered = active.filtered;
  status.statistics = active.recorder->statistics();
  status.joined = active.joins->joined;
  status.waiting = active.joins->waiting;
  status.left = active.joins->left;
  status.passed_over = active.joins->passed_over;
  status.pinned = active.joins->pinned;
  status.unseen = active.joins->unseen;
  status.untracked = active.joins->untracked;
  return status;
}

std::optional<RecordingStatus> RecordingControl::status() const {
  ActivePointer active;
  {
    const std::lock_guard guard(mutex_);
    active = current_ != nullptr ? current_ : closing_;
    if (active == nullptr) return last_;
  }
  return status_of(*active);
}

void RecordingControl::watch() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const ActivePointer active = current_;
    const bool bounded = active != nullptr && (active->duration > 0 || active->bytes > 0);
    if (!bounded) {
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    const bool long_enough = active->duration > 0 && proxy::now_ns() - active->since >= active->duration;
    const bool large_enough =
        active->bytes > 0 && active->recorder->statistics().stored_bytes >= active->bytes;
    if (long_enough || large_enough) {
      const std::lock_guard changing(changing_);
      if (current() == active) end(active, long_enough ? "its duration was reached" : "its size was reached");
    }
    lock.lock();
    if (!ending_ && current_ == active) changed_.wait_for(lock, kLookInterval);
  }
}

}  // namespace understudy::recorder
