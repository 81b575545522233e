#include "recorder/segment_appender.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "formats/command.h"

namespace understudy::recorder {
namespace {

constexpr TimeNs kPresenceInterval = kSecond;     // between looks at whether the segment is still there
constexpr TimeNs kReportInterval = 60 * kSecond;  // between reminders that the disk is failing

std::string name_of(unsigned segment) { return "segment " + std::to_string(segment); }

}  // namespace

struct SegmentAppender::Segment {
  Segment(std::unique_ptr<WritableFile> created, const SegmentHeader& header,
          const std::vector<SessionDescriptor>& continuing, const RecordingKey* key)
      : number(header.segment),
        created_at(header.created_at),
        synced_at(header.created_at),
        checked_at(header.created_at),
        continuing_sessions(continuing.size()),
        sessions(continuing.size()),
        file(std::move(created)),
        writer(*file, header, continuing, key) {}

  unsigned number;
  TimeNs created_at;
  TimeNs filled_at = 0;  // when something first came: its age counts from there
  TimeNs synced_at;
  TimeNs checked_at;
  std::uint64_t continuing_sessions;
  std::uint64_t sessions;  // continuing, and opened in it
  std::uint64_t events = 0;
  std::uint64_t data_bytes = 0;
  std::uint64_t counted_bytes = 0;  // of its size, already in the statistics
  bool holds_something = false;     // more than its header
  bool unsynced = true;
  std::unique_ptr<WritableFile> file;
  SegmentWriter writer;
};

SegmentAppender::SegmentAppender(SegmentStore& store, const RecorderOptions& options, SegmentHeader header,
                                 Report report)
    : store_(store),
      options_(options),
      header_(std::move(header)),
      report_(std::move(report)),
      encoder_(options.level) {}

SegmentAppender::~SegmentAppender() = default;

void SegmentAppender::open(TimeNs now) {
  // Whoever wants it encrypted must never find it plain.
  if (options_.wants_encryption() && options_.key == nullptr)
    throw std::logic_error("the recording's key was not loaded");
  if (const auto before = store_.run_before())
    header_.attributes.emplace_back(kFollowsAttribute, to_text(*before));
  if (!begin_segment(now)) throw std::system_error(failure_, failure_text_);
}

// ---- Chunks

bool SegmentAppender::append(const Slab& slab, TimeNs now) {
  if (slab.empty()) return true;
  // Not as soon as it is full: then there might be nothing for the next one.
  if (segment_ != nullptr && segment_->holds_something && is_full()) rotate(now);
  if (failing_ && now < retry_at_) return false;
  const bool had_segment = segment_ != nullptr;
  if (!had_segment && !begin_segment(now)) return false;
  std::error_code error = write_chunk(slab);
  if (error && had_segment) {
    // The file may have been cut short, or its disk be full while another is not: one new segment is tried at
    // once.
    lose_segment(error, "appending to");
    if (!begin_segment(now)) return false;
    error = write_chunk(slab);
  }
  if (error) {
    fail(error, "appending to " + name_of(segment_->number), now);
    return false;
  }
  ledger_.written(slab);
  if (segment_->filled_at == 0) segment_->filled_at = now;
  return true;
}

std::error_code SegmentAppender::write_chunk(const Slab& slab) {
  records_.clear();
  const ChunkHead head = encoder_.encode(slab, records_);
  if (const std::error_code error = segment_->writer.append_chunk(head, records_)) return error;
  segment_->holds_something = segment_->unsynced = true;
  segment_->events += slab.heads().size();
  segment_->data_bytes += slab.data().size();
  for (const ChunkHead::Session& session : head.sessions) segment_->sessions += session.opens ? 1 : 0;
  last_event_ = std::max(last_event_, head.last_time);
  ++statistics_.chunks;
  statistics_.events += slab.heads().size();
  statistics_.data_bytes += slab.data().size();
  count_stored_bytes();
  return {};
}

void SegmentAppender::drop(const Slab& slab) {
  ledger_.lost(slab, failure_.message());
  statistics_.events_lost += slab.heads().size();
  statistics_.bytes_lost += slab.data().size();
}

void SegmentAppender::add_overload(const LossRecord& loss) {
  if (loss.sessions == 0) return;
  if (overload_.sessions == 0) {
    overload_ = loss;
    return;
  }
  overload_.to = std::max(overload_.to, loss.to);
  overload_.sessions += loss.sessions;
  overload_.events += loss.events;
  overload_.bytes += loss.bytes;
}

// Brings into the present segment what it must tell of losses before it goes on.
std::error_code SegmentAppender::tell_losses() {
  if (overload_.sessions != 0) {
    if (const std::error_code error = segment_->writer.append_loss(overload_)) return error;
    overload_ = {};
    segment_->holds_something = segment_->unsynced = true;
  }
  while (!losses_.empty()) {
    if (const std::error_code error = segment_->writer.append_loss(losses_.front())) return error;
    losses_.erase(losses_.begin());
    segment_->holds_something = segment_->unsynced = true;
  }
  if (ledger_.loss() != nullptr) {
    if (const std::error_code error = segment_->writer.append_loss(*ledger_.loss())) return error;
    ledger_.told_loss();
    segment_->holds_something = segment_->unsynced = true;
  }
  Slab gaps(0);
  ledger_.tell_holes(gaps);
  if (!gaps.empty()) {
    if (const std::error_code error = write_chunk(gaps)) return error;
    ledger_.written(gaps);
  }
  ledger_.told_holes();
  count_stored_bytes();
  return {};
}

// ---- Segments

bool SegmentAppender::begin_segment(TimeNs now) {
  header_.segment = next_segment_;
  header_.created_at = now;
  header_.previous = previous_;
  std::error_code error;
  try {
    segment_ =
        std::make_unique<Segment>(store_.create(next_segment_), header_, ledger_.open(), options_.key.get());
    error = segment_->writer.status();
  } catch (const std::system_error& refused) {
    if (refused.code() == std::errc::file_exists) ++next_segment_;
    fail(refused.code(), std::string("creating a segment: ") + refused.what(), now);
    return false;
  } catch (const std::runtime_error& refused) {  // no random bits for its key
    fail(std::make_error_code(std::errc::state_not_recoverable),
         std::string("encrypting a segment: ") + refused.what(), now);
    return false;
  }
  ++next_segment_;
  ledger_.segment_begun();
  if (!error) error = tell_losses();
  if (error) {
    fail(error, "beginning " + name_of(segment_->number), now);
    return false;
  }
  ++statistics_.segments;
  if (failing_)
    report_("recording again, after " + format_duration(now - failing_since_) + " without a working disk");
  failing_ = statistics_.disk_failing = false;
  return true;
}

bool SegmentAppender::is_full() const {
  // Sessions that go on count too, but must not make every segment full from the start.
  const std::uint64_t sessions_limit = std::max(options_.segment_sessions, 2 * segment_->continuing_sessions);
  return segment_->writer.size_bytes() >= options_.segment_bytes || segment_->sessions >= sessions_limit;
}

// The next segment is begun before this one gets its footer: a process killed at any moment leaves a segment
// without one, and what it took along is never mistaken for a clean end. The next one says what this one
// holds: but for its digest, index and footer that is all of it.
void SegmentAppender::rotate(TimeNs now) {
  const std::unique_ptr<Segment> full = std::move(segment_);
  previous_ = full->writer.link();
  (void)begin_segment(now);  // a failure is kept, and tried again
  complete(*full, false);
}

void SegmentAppender::cut(TimeNs now) {
  if (segment_ != nullptr && segment_->holds_something) rotate(now);
}

void SegmentAppender::complete(Segment& segment, bool last) {
  std::error_code error = segment.writer.finish(last);
  statistics_.stored_bytes += segment.writer.size_bytes() - segment.counted_bytes;
  if (!error && options_.fsync != FsyncPolicy::kNever) error = segment.writer.sync();
  if (!error) return;
  ++statistics_.disk_errors;
  report_("completing " + name_of(segment.number) + ": " + error.message());
}

// Gives up the present segment after an error; what was written to it before stays readable.
void SegmentAppender::lose_segment(const std::error_code& error, const std::string& doing) {
  ++statistics_.disk_errors;
  failure_ = error;
  report_(doing + " " + name_of(segment_->number) + ": " + error.message());
  drop_segment();
}

void SegmentAppender::drop_segment() {
  const std::unique_ptr<Segment> given_up = std::move(segment_);
  if (given_up == nullptr) return;
  // Attempts on a full disk must not leave a trail of empty files. The first segment stays: it holds the
  // run's number.
  if (!given_up->holds_something && (given_up->number != 1 || statistics_.segments == 0)) {
    store_.remove(given_up->number);
    if (!store_.present(given_up->number)) {
      next_segment_ = given_up->number;
      return;
    }
  }
  previous_ = given_up->writer.link();
}

void SegmentAppender::fail(const std::error_code& error, const std::string& doing, TimeNs now) {
  ++statistics_.disk_errors;
  failure_ = error;
  failure_text_ = doing;
  drop_segment();
  if (!failing_) failing_since_ = now;
  if (!failing_ || now - reported_at_ >= kReportInterval) {
    reported_at_ = now;
    report_("not recording: " + doing + ": " + error.message());
  }
  failing_ = statistics_.disk_failing = true;
  retry_at_ = now + options_.retry_interval;
}

// ---- What time brings

void SegmentAppender::tick(TimeNs now) {
  const bool losses = has_losses();
  if (segment_ == nullptr) {
    if (losses && (!failing_ || now >= retry_at_)) (void)begin_segment(now);
    return;
  }
  if (now - segment_->checked_at >= kPresenceInterval) {
    segment_->checked_at = now;
    if (!store_.present(segment_->number)) return segment_vanished(now);
  }
  if (losses) {
    if (const std::error_code error = tell_losses()) return lose_segment(error, "appending to");
  }
  if (segment_->holds_something) {
    if (segment_->filled_at == 0) segment_->filled_at = now;
    if (now - segment_->filled_at >= options_.segment_age) return rotate(now);
  }
  const bool due = options_.fsync == FsyncPolicy::kInterval && segment_->unsynced &&
                   now - segment_->synced_at >= options_.fsync_interval;
  if (due) sync(now);
}

void SegmentAppender::sync(TimeNs now) {
  segment_->synced_at = now;
  segment_->unsynced = false;
  // The kernel reports a failed write-back once; nothing that follows in this file can be trusted to stay.
  if (const std::error_code error = segment_->writer.sync()) lose_segment(error, "flushing");
}

// Somebody deleted the file: writing to it goes on working, and nobody would ever read it.
void SegmentAppender::segment_vanished(TimeNs now) {
  const std::string what = name_of(segment_->number) + " was deleted while it was being written";
  report_(what);
  ++statistics_.disk_errors;
  if (!segment_->holds_something) {
    segment_.reset();
    (void)begin_segment(now);
    return;
  }
  statistics_.events_lost += segment_->events;
  statistics_.bytes_lost += segment_->data_bytes;
  previous_ = segment_->writer.link();
  ledger_.lost_segment(LossRecord{.reason = GapReason::kDiskError,
                                  .from = segment_->created_at,
                                  .to = now,
                                  .sessions = segment_->sessions,
                                  .events = segment_->events,
                                  .bytes = segment_->data_bytes,
                                  .detail = what});
  segment_.reset();
}

bool SegmentAppender::finish(TimeNs now) {
  const bool pending = failing_ || has_losses() || ledger_.open_count() != 0;
  if (segment_ == nullptr && pending && !begin_segment(now)) return false;
  if (segment_ == nullptr) return true;
  if (const std::error_code error = tell_losses()) {
    lose_segment(error, "appending to");
    return false;
  }
  Slab closings(0);
  ByteBuffer payload;
  encode(CloseDetail{.reason = CloseReason::kRecordingEnded, .text = {}}, payload);
  for (const SessionDescriptor& session : ledger_.open()) {
    closings.append(session.id, std::max(now, last_event_), EventKind::kClosed, payload);
  }
  if (!append(closings, now)) return false;
  const std::uint64_t errors_before = statistics_.disk_errors;
  if (segment_ != nullptr) {
    // Also one that was begun by a rotation and into which nothing came: it says that nothing is missing.
    segment_->holds_something = true;
    complete(*segment_, true);
    drop_segment();
  }
  return statistics_.disk_errors == errors_before;
}

void SegmentAppender::count_stored_bytes() {
  const std::uint64_t size = segment_->writer.size_bytes();
  statistics_.stored_bytes += size - segment_->counted_bytes;
  segment_->counted_bytes = size;
}

}  // namespace understudy::recorder
