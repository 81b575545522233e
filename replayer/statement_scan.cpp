#include "replayer/statement_scan.h"

#include <algorithm>

#include "replayer/progress.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {

// One session, and the sink's listener to its statements.
class StatementScan::Open final : public StatementListener {
 public:
  Open(StatementScan& scan, SessionDescriptor descriptor, bool continuing)
      : sink_(scan.sink_),
        splitter_(SessionStatements::kMessageCapBytes),
        statements_(scan.catalog_, *this, scan.keep_binds_) {
    splitter_.go_on_behind_capture_gaps();
    if (scan.between_transactions_) splitter_.begin_between_transactions();
    session.descriptor = std::move(descriptor);
    session.continuing = continuing;
    wanted_ = sink_.opened(session);
  }

  void take(const Event& event) {
    if (!wanted_) return;
    session.tally.take(event);
    splitter_.take(event);
    while (const SessionItem* const item = splitter_.next()) {
      statements_.take(*item);
      if (item->is_message && item->direction == Direction::kFromServer &&
          item->message.type == wire::backend::kParameterStatus) {
        if (const auto status = wire::ParameterStatus::decode(item->message.payload))
          sink_.reported(session, status->name, status->value);
      }
      if (!item->is_message && item->event.kind == EventKind::kCancelled)
        sink_.cancelled(session, item->time);
    }
  }
  void lose() {
    splitter_.lose("a damaged chunk");
    session.tally.lose();
  }
  void end() {
    if (!wanted_) return;
    statements_.finish();
    session.bytes_not_read = splitter_.bytes_behind_hole() + splitter_.bytes_before_joining();
    sink_.ended(session);
  }

  void sent(const Statement& statement) override { sink_.sent(session, statement); }
  void done(const Statement& statement) override { sink_.done(session, statement); }
  void failed(TimeNs time, std::uint64_t statement, const wire::ErrorFields& error) override {
    sink_.failed(session, time, statement, error);
  }

  ScannedSession session;

 private:
  StatementSink& sink_;
  MessageSplitter splitter_;
  SessionStatements statements_;
  bool wanted_ = true;
};

StatementScan::StatementScan(StatementCatalog& catalog, StatementSink& sink, bool keep_binds)
    : catalog_(catalog), sink_(sink), keep_binds_(keep_binds) {}

StatementScan::~StatementScan() = default;

void StatementScan::know(const SessionDescriptor& continuing) {
  if (!open_.contains(continuing.id)) continuing_.try_emplace(continuing.id, continuing);
}

StatementScan::Open& StatementScan::find(SessionId session, const Event* opening) {
  const auto open = open_.find(session);
  if (open != open_.end()) return *open->second;
  SessionDescriptor descriptor;
  bool continuing = false;
  if (opening != nullptr) {
    (void)decode(opening->data, descriptor);
    continuing = !descriptor.attribute(kJoinedAttribute).empty();
  } else if (const auto known = continuing_.find(session); known != continuing_.end()) {
    descriptor = std::move(known->second);
    continuing_.erase(known);
    continuing = true;
  }
  descriptor.id = session;
  return *open_.emplace(session, std::make_unique<Open>(*this, std::move(descriptor), continuing))
              .first->second;
}

void StatementScan::take(const Event& event) {
  if (event.session == SessionId{}) return;  // a mark: of no session
  Open& open = find(event.session, event.kind == EventKind::kOpened ? &event : nullptr);
  open.take(event);
  if (event.kind == EventKind::kClosed) end(event.session);
}

void StatementScan::lose(SessionId session, TimeNs /*time*/) { find(session, nullptr).lose(); }

void StatementScan::end(SessionId session) {
  const auto open = open_.find(session);
  open->second->end();
  open_.erase(open);
}

void StatementScan::finish() {
  std::vector<SessionId> left;
  for (const auto& [id, open] : open_) left.push_back(id);
  std::sort(left.begin(), left.end());
  for (const SessionId id : left) end(id);
}

void StatementScan::run(const Recording& recording) {
  for (const SessionDescriptor& one : recording.continuing()) know(one);
  EventStream events(recording);
  Progress progress;
  const auto [first, last] = recording.time_range();
  const auto span = static_cast<std::uint64_t>(std::max<TimeNs>(time_between(first, last), 1));
  std::size_t damaged = 0;
  std::uint64_t count = 0;
  while (const auto event = events.next()) {
    // Sessions of chunks that could not be read have a hole before what comes next of them.
    for (; damaged < events.damaged().size(); ++damaged) {
      const auto head = recording.head(events.damaged()[damaged]);
      for (const ChunkHead::Session& one : head->sessions) lose(one.id, head->last_time);
    }
    take(*event);
    if (++count % 4096 == 0)
      progress.at(static_cast<std::uint64_t>(std::max<TimeNs>(time_between(first, event->time), 0)), span);
  }
  // Sessions that said nothing in the recording are in it all the same.
  std::vector<SessionId> silent;
  for (const auto& [id, descriptor] : continuing_) silent.push_back(id);
  std::sort(silent.begin(), silent.end());
  for (const SessionId id : silent) (void)find(id, nullptr);
  finish();
}

}  // namespace understudy::replayer
