#include "replayer/export/json_export.h"

#include <cstdio>
#include <unordered_map>

#include "formats/command.h"
#include "replayer/counted.h"
#include "replayer/message_json.h"
#include "replayer/request_tracker.h"
#include "replayer/session_messages.h"

namespace understudy::replayer {
namespace {

// Writes the items of one session.
class ItemWriter {
 public:
  void put(SessionId session, const SessionItem& item, Output& out) {
    if (item.is_message && item.direction == Direction::kFromClient) tracker_.client(item.message);
    if (!item.is_message && item.event.kind == EventKind::kGap) tracker_ = {};  // what was asked is not known
    out.line(to_line(item_json(session, item, tracker_.row_formats())));
    if (item.is_message && item.direction == Direction::kFromServer) tracker_.server(item.message);
    tracker_.ended().clear();
  }
  // Once, where bytes cease to be messages.
  bool put_hole(SessionId session, TimeNs time, const std::string& why, Output& out) {
    if (told_ || why.empty()) return false;
    told_ = true;
    Poco::JSON::Object hole = json_object();
    hole.set("session", session.to_string());
    hole.set("time", format_time(time, 9));
    hole.set("type", "hole");
    hole.set("why", why);
    out.line(to_line(hole));
    return true;
  }

 private:
  RequestTracker tracker_;
  bool told_ = false;
};

JsonExportCounts export_one(const Recording& recording, const SessionSummary& session, Output& out) {
  JsonExportCounts counts;
  SessionMessages messages(recording, session);
  messages.go_on_behind_capture_gaps();
  ItemWriter writer;
  const SessionId id = session.descriptor.id;
  TimeNs time = session.descriptor.opened_at;
  while (const SessionItem* const item = messages.next()) {
    time = item->time;
    counts.lines += writer.put_hole(id, time, messages.hole(), out) ? 1 : 0;
    writer.put(id, *item, out);
    ++counts.lines;
  }
  counts.lines += writer.put_hole(id, time, messages.hole(), out) ? 1 : 0;
  counts.bytes_not_messages = messages.bytes_behind_hole() + messages.bytes_before_joining();
  return counts;
}

// All sessions at once, or those that are meant.
class AllSessions {
 public:
  AllSessions(const Recording& recording, ExportChoice& choice, Output& out)
      : recording_(recording), choice_(choice), stream_(recording), out_(out) {}

  JsonExportCounts run() {
    for (const SessionDescriptor& one : recording_.continuing())
      if (!choice_.is_everything()) open_[one.id].wanted = choice_.takes(one);
    while (const auto event = stream_.next()) {
      note_damage();
      take(*event);
    }
    while (!open_.empty()) end(open_.begin()->first);
    return counts_;
  }

 private:
  struct Open {
    Open() { splitter.go_on_behind_capture_gaps(); }
    MessageSplitter splitter;
    ItemWriter writer;
    bool wanted = true;
    TimeNs time = 0;  // of its last event, or of the damage to it
  };

  // Sessions of chunks that could not be read have a hole; those met later as well, for they begin with it.
  void note_damage() {
    for (; damaged_ < stream_.damaged().size(); ++damaged_) {
      const std::shared_ptr<const ChunkHead> head = recording_.head(stream_.damaged()[damaged_]);
      for (const ChunkHead::Session& session : head->sessions) {
        Open& open = find(session.id, nullptr);
        open.splitter.lose("a damaged chunk");
        open.time = head->last_time;
      }
    }
  }

  Open& find(SessionId session, const Event* event) {
    const auto [open, is_new] = open_.try_emplace(session);
    if (!is_new || choice_.is_everything()) return open->second;
    SessionDescriptor descriptor;
    if (event != nullptr && event->kind == EventKind::kOpened) (void)decode(event->data, descriptor);
    descriptor.id = session;
    open->second.wanted = choice_.takes(descriptor);
    return open->second;
  }

  void take(const Event& event) {
    Open& open = find(event.session, &event);
    if (!open.wanted) {
      if (event.kind == EventKind::kClosed) open_.erase(event.session);
      return;
    }
    open.time = event.time;
    open.splitter.take(event);
    while (const SessionItem* const item = open.splitter.next()) {
      open.writer.put(event.session, *item, out_);
      ++counts_.lines;
    }
    put_hole(event.session, open);
    if (event.kind == EventKind::kClosed) end(event.session);
  }

  void put_hole(SessionId session, Open& open) {
    counts_.lines += open.writer.put_hole(session, open.time, open.splitter.hole(), out_) ? 1 : 0;
  }

  void end(SessionId session) {
    const auto open = open_.find(session);
    if (!open->second.wanted) {
      open_.erase(open);
      return;
    }
    put_hole(session, open->second);
    const MessageSplitter& splitter = open->second.splitter;
    counts_.bytes_not_messages += splitter.bytes_behind_hole() + splitter.bytes_before_joining();
    open_.erase(open);
  }

  const Recording& recording_;
  ExportChoice& choice_;
  EventStream stream_;
  Output& out_;
  std::unordered_map<SessionId, Open> open_;
  std::size_t damaged_ = 0;
  JsonExportCounts counts_;
};

}  // namespace

JsonExportCounts export_json(const Recording& recording, ExportChoice& choice, Output& out) {
  if (!choice.session()) return AllSessions(recording, choice, out).run();
  return choice.takes(choice.session()->descriptor) ? export_one(recording, *choice.session(), out)
                                                    : JsonExportCounts();
}

void tell(const JsonExportCounts& counts) {
  std::fprintf(stderr, "understudy export: %s\n", counted(counts.lines, "line").c_str());
  if (counts.bytes_not_messages == 0) return;
  std::fprintf(
      stderr,
      "understudy export: left out %s that could not be read as messages (see lines of type \"hole\")\n",
      format_size(counts.bytes_not_messages).c_str());
}

}  // namespace understudy::replayer
