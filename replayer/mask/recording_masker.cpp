#include "replayer/mask/recording_masker.h"

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <unordered_map>

#include "recorder/recorder.h"
#include "recorder/recording_directory.h"
#include "recorder/segment_appender.h"
#include "replayer/mask/masked_session.h"

namespace understudy::replayer {
namespace {

// Puts events into slabs and slabs into segments.
class MaskedWriter {
 public:
  MaskedWriter(const Recording& source, const std::filesystem::path& output)
      : store_(output, false),
        appender_(store_, options(output), header(source, store_.run()), [](const std::string& fact) {
          std::fprintf(stderr, "understudy mask: %s\n", fact.c_str());
        }) {
    appender_.open(now());
  }

  void append(SessionId session, TimeNs time, EventKind kind, ByteView data) {
    slab_.append(session, time, kind, data);
    if (slab_.size_bytes() >= Slab::kDefaultCapacityBytes) flush();
  }

  void finish(const std::vector<LossRecord>& losses, TimeNs end) {
    flush();
    for (const LossRecord& loss : losses) appender_.add_loss(loss);
    if (!appender_.finish(end)) throw std::runtime_error("the masked recording cannot be written to its end");
  }

 private:
  static TimeNs now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  static recorder::RecorderOptions options(const std::filesystem::path& output) {
    recorder::RecorderOptions options;
    options.directory = output;
    return options;
  }
  static SegmentHeader header(const Recording& source, unsigned run) {
    SegmentHeader header;
    header.recording_id = recorder::random_recording_id();
    header.run = run;
    header.producer = "understudy " UNDERSTUDY_VERSION " mask";
    header.attributes = {{"source", source.id()}, {"masked", "yes"}};
    return header;
  }

  void flush() {
    if (!appender_.append(slab_, now())) throw std::runtime_error("the masked recording cannot be written");
    slab_.clear();
  }

  recorder::RecordingDirectory store_;
  recorder::SegmentAppender appender_;
  Slab slab_;
};

class RecordingMasker {
 public:
  RecordingMasker(const Recording& recording, ValueMasker& masker, MaskedWriter& writer)
      : recording_(recording), masker_(masker), writer_(writer) {
    for (const SessionDescriptor& descriptor : recording.continuing())
      continuing_.emplace(descriptor.id, descriptor);
  }

  void run() {
    EventStream events(recording_);
    while (const auto event = events.next()) {
      if (events.damaged().size() > damaged_) cut_damaged(events.damaged(), event->time);
      last_ = event->time;
      take(*event);
    }
    if (events.damaged().size() > damaged_) cut_damaged(events.damaged(), last_);
    for (auto& [id, session] : open_) session->finish(last_, emit_of(id));
    writer_.finish(recording_.losses(), last_);
  }

 private:
  MaskedSession::Emit emit_of(SessionId id) {
    return [this, id](TimeNs time, EventKind kind, ByteView data) { writer_.append(id, time, kind, data); };
  }

  void take(const Event& event) {
    if (event.session == SessionId{}) return mark(event);
    const auto emit = emit_of(event.session);
    auto found = open_.find(event.session);
    if (found == open_.end()) {
      ++masker_.counts().sessions;
      found = open_.emplace(event.session, std::make_unique<MaskedSession>(masker_)).first;
      const auto continuing = continuing_.find(event.session);
      if (event.kind != EventKind::kOpened && continuing != continuing_.end())
        open(continuing->second, event.time, true);
    }
    if (event.kind == EventKind::kOpened) {
      SessionDescriptor descriptor;
      if (decode(event.data, descriptor)) open(std::move(descriptor), event.time, false);
      return found->second->begin();
    }
    found->second->take(event, emit);
    if (event.kind == EventKind::kClosed) open_.erase(found);
  }

  // Start-up parameters are texts of no column.
  void open(SessionDescriptor descriptor, TimeNs time, bool joined) {
    for (auto& [name, value] : descriptor.startup_parameters) {
      const masking::Rule* const rule = masker_.rules().for_text(value);
      if (rule != nullptr)
        masker_.mask_text(std::span<Byte>(reinterpret_cast<Byte*>(value.data()), value.size()), *rule);
    }
    if (joined && descriptor.attribute(kJoinedAttribute).empty())
      descriptor.attributes.emplace_back(kJoinedAttribute, "yes");
    ByteBuffer encoded;
    encode(descriptor, encoded);
    writer_.append(descriptor.id, time, EventKind::kOpened, encoded);
  }

  void mark(const Event& event) {
    ByteBuffer text(event.data.begin(), event.data.end());
    if (masker_.rules().for_text(as_text(text)) != nullptr) ValueMasker::blot(text);
    writer_.append(event.session, event.time, event.kind, text);
  }

  void cut_damaged(const std::vector<ChunkPosition>& damaged, TimeNs now) {
    for (; damaged_ < damaged.size(); ++damaged_) {
      const auto head = recording_.head(damaged[damaged_]);
      for (const ChunkHead::Session& lost : head->sessions) {
        const auto found = open_.find(lost.id);
        if (found != open_.end()) found->second->cut(now, emit_of(lost.id));
      }
    }
  }

  const Recording& recording_;
  ValueMasker& masker_;
  MaskedWriter& writer_;
  std::unordered_map<SessionId, std::unique_ptr<MaskedSession>> open_;
  std::unordered_map<SessionId, SessionDescriptor> continuing_;
  std::size_t damaged_ = 0;
  TimeNs last_ = 0;
};

}  // namespace

void mask_recording(const Recording& recording, ValueMasker& masker, const std::filesystem::path& output) {
  MaskedWriter writer(recording, output);
  RecordingMasker(recording, masker, writer).run();
}

}  // namespace understudy::replayer
