#include "recorder/capture/waiting_recorder.h"

#include "formats/wire/client_secrets.h"
#include "proxy/clock.h"

namespace understudy::recorder {

class WaitingRecorder::Session final : public proxy::SessionObserver {
 public:
  Session(WaitingRecorder& recorder, const SessionDescriptor& descriptor)
      : recorder_(recorder), id_(descriptor.id) {
    record(descriptor, descriptor.opened_at, EventKind::kOpened);
  }
  void relayed(Direction direction, TimeNs time, ByteView bytes) override {
    if (direction == Direction::kFromServer)
      return recorder_.append(id_, time, EventKind::kServerBytes, bytes);
    const ByteView shown = recorder_.options_.redact ? secrets_.hide(bytes) : bytes;
    if (shown.data() != bytes.data()) {
      ++recorder_.passwords_hidden_;
      redacted({.direction = direction, .kind = RedactionKind::kSqlPassword}, time);
    }
    recorder_.append(id_, time, EventKind::kClientBytes, shown);
  }
  void redacted(Redaction what, TimeNs time) override { record(what, time, EventKind::kRedacted); }
  void cancelled(TimeNs time) override { recorder_.append(id_, time, EventKind::kCancelled, {}); }
  void backend_switched(const std::string& backend, TimeNs time) override {
    recorder_.append(id_, time, EventKind::kBackendSwitched, as_bytes(backend));
  }
  void closed(const CloseDetail& why, TimeNs time) override { record(why, time, EventKind::kClosed); }
  void missing(const Gap& gap, TimeNs time) override {
    secrets_.resume();
    record(gap, time, EventKind::kGap);
  }

 private:
  template <typename Value>
  void record(const Value& value, TimeNs time, EventKind kind) {
    ByteBuffer payload;
    encode(value, payload);
    recorder_.append(id_, time, kind, payload);
  }

  WaitingRecorder& recorder_;
  const SessionId id_;
  wire::ClientSecrets secrets_;
};

WaitingRecorder::WaitingRecorder(const RecorderOptions& options, RecorderIdentity identity)
    : options_(options),
      store_(std::make_unique<RecordingDirectory>(options.directory, options.fsync != FsyncPolicy::kNever)),
      run_(store_->run()),
      appender_(*store_, options_,
                SegmentHeader{.recording_id = random_recording_id(),
                              .run = run_,
                              .producer = std::move(identity.producer),
                              .attributes = std::move(identity.attributes)},
                [this](const std::string& fact) { failure_ = fact; }),
      slab_(options.slab_bytes) {
  appender_.open(proxy::now_ns());
}

WaitingRecorder::~WaitingRecorder() = default;

std::unique_ptr<proxy::SessionObserver> WaitingRecorder::open_session(unsigned /*worker*/,
                                                                      const SessionDescriptor& descriptor) {
  SessionDescriptor stamped = descriptor;
  stamped.id.run = run_;
  return std::make_unique<Session>(*this, stamped);
}

void WaitingRecorder::append(SessionId session, TimeNs time, EventKind kind, ByteView data) {
  if (!failure_.empty()) return;
  const std::size_t needed = data.size() + sizeof(Slab::Head);
  if (!slab_.empty() && slab_.size_bytes() + needed > options_.slab_bytes) seal();
  slab_.append(session, time, kind, data);
}

void WaitingRecorder::seal() {
  if (!appender_.append(slab_, proxy::now_ns()) && failure_.empty())
    failure_ = "the recording cannot be written";
  slab_.clear();
}

Statistics WaitingRecorder::statistics() const {
  Statistics written = appender_.statistics();
  written.passwords_hidden = passwords_hidden_;
  return written;
}

void WaitingRecorder::withdraw() {
  failure_ = "withdrawn";
  slab_.clear();
  store_->withdraw();
}

bool WaitingRecorder::finish(TimeNs last) {
  if (failure_.empty()) seal();
  if (!failure_.empty()) return false;
  return appender_.finish(last) && failure_.empty();
}

}  // namespace understudy::recorder
