#include "replayer/export/pcapng_export.h"

#include <cstdio>
#include <memory>
#include <set>
#include <unordered_map>

#include "formats/command.h"
#include "formats/export/pcapng_writer.h"
#include "formats/export/session_ends.h"
#include "formats/export/tcp_conversation.h"
#include "formats/wire/startup.h"
#include "replayer/counted.h"
#include "replayer/readable.h"
#include "replayer/recorded_names.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
// A sequence number says where in 4 GiB something is.
constexpr std::uint64_t kMostMissing = std::uint64_t{1} << 30;
constexpr std::size_t kNameBytes = 300;

using Flow = std::pair<capture::Endpoint, capture::Endpoint>;

struct Conversation {
  std::unique_ptr<capture::TcpConversation> tcp;
  Flow flow;
  bool lost = false;  // what follows cannot be placed
};

class PcapngExport {
 public:
  PcapngExport(const Recording& recording, ExportChoice& choice, Output& out)
      : recording_(recording), choice_(choice), out_(out) {}

  PcapngExportCounts run() {
    capture::append_pcapng_head(buffer_, "understudy " UNDERSTUDY_VERSION);
    for (const SessionDescriptor& one : recording_.continuing()) continuing_.emplace(one.id, &one);
    EventStream events(recording_);
    while (const auto event = events.next()) {
      for (; damaged_ < events.damaged().size(); ++damaged_) note_damage(events.damaged()[damaged_]);
      take(*event);
      time_ = event->time;
      if (buffer_.size() >= kBufferBytes) flush();
    }
    for (auto& [id, conversation] : open_) finish_comment(conversation);
    flush();
    return counts_;
  }

 private:
  // Null when the session is not wanted.
  Conversation* find(const Event& event) {
    const auto known = open_.find(event.session);
    if (known != open_.end()) return known->second.tcp ? &known->second : nullptr;
    SessionDescriptor descriptor;
    const bool opens = event.kind == EventKind::kOpened && decode(event.data, descriptor);
    if (const auto continuing = continuing_.find(event.session); !opens && continuing != continuing_.end())
      descriptor = *continuing->second;
    descriptor.id = event.session;
    Conversation& conversation = open_[event.session];
    if (!choice_.takes(descriptor)) return nullptr;
    begin(conversation, descriptor, opens, event.time);
    return &conversation;
  }

  void begin(Conversation& conversation, const SessionDescriptor& descriptor, bool opens, TimeNs time) {
    capture::SessionEnds ends = capture::session_ends(descriptor);
    if (!flows_.emplace(ends.client, ends.server).second) {
      ends = capture::session_ends(descriptor, false);
      flows_.emplace(ends.client, ends.server);
    }
    conversation.flow = {ends.client, ends.server};
    conversation.tcp = std::make_unique<capture::TcpConversation>(
        ends.client, ends.server, [this](TimeNs at, ByteView packet, std::string_view comment) {
          capture::append_pcapng_packet(buffer_, at, packet, comment);
          ++counts_.packets;
        });
    ++counts_.sessions;
    counts_.invented += ends.invented ? 1 : 0;
    std::string about = "session " + descriptor.id.to_string() + ", from " +
                        readable_text(descriptor.peer, kNameBytes) + " to " +
                        readable_text(descriptor.backend, kNameBytes);
    if (ends.invented) about += " (addresses here are made up)";
    if (descriptor.client_tls) about += ", encrypted by the client";
    if (descriptor.server_tls) about += ", encrypted to the server";
    conversation.tcp->comment(about);
    // What was open before it could be followed has no beginning.
    if (!opens || !descriptor.attribute(kJoinedAttribute).empty()) return;
    conversation.tcp->open(time);
    ByteBuffer startup;
    wire::append_startup_message(startup, {descriptor.protocol_version, descriptor.startup_parameters});
    conversation.tcp->data(Direction::kFromClient, time, startup);
  }

  void take(const Event& event) {
    if (event.session == SessionId{}) return;  // a mark
    Conversation* const conversation = find(event);
    if (conversation != nullptr) put(*conversation, event);
    if (event.kind == EventKind::kClosed) end(event.session);
  }

  void put(Conversation& conversation, const Event& event) {
    capture::TcpConversation& tcp = *conversation.tcp;
    switch (event.kind) {
      case EventKind::kClientBytes:
      case EventKind::kServerBytes:
        if (conversation.lost) {
          counts_.bytes_left_out += event.data.size();
          return;
        }
        return tcp.data(
            event.kind == EventKind::kClientBytes ? Direction::kFromClient : Direction::kFromServer,
            event.time, event.data);
      case EventKind::kRedacted:
        return put_redaction(tcp, event);
      case EventKind::kGap:
        return put_gap(conversation, event);
      case EventKind::kCancelled:
        return tcp.comment("a cancel request named this session");
      case EventKind::kBackendSwitched:
        return tcp.comment("from here on the server is " + readable_text(as_text(event.data), kNameBytes));
      case EventKind::kClosed:
        return conversation.lost ? void() : put_end(tcp, event);
      case EventKind::kOpened:
      case EventKind::kMark:
        return;
    }
  }

  void put_redaction(capture::TcpConversation& tcp, const Event& event) {
    Redaction redaction;
    if (!decode(event.data, redaction)) return;
    ++counts_.secrets;
    const bool overwritten =
        redaction.kind == RedactionKind::kCancelKey || redaction.kind == RedactionKind::kSqlPassword;
    tcp.comment(std::string(redaction_name(redaction.kind)) + " of the " +
                std::string(direction_name(redaction.direction)) +
                (overwritten ? " is overwritten in what follows" : " was here, and was never recorded"));
  }

  void put_gap(Conversation& conversation, const Event& event) {
    Gap gap;
    if (!decode(event.data, gap)) return;
    ++counts_.gaps;
    conversation.tcp->comment("not recorded: " + std::to_string(gap.client_bytes) + " bytes of the client, " +
                              std::to_string(gap.server_bytes) + " of the server (" +
                              std::string(gap_reason_name(gap.reason)) + ")");
    if (gap.client_bytes >= kMostMissing || gap.server_bytes >= kMostMissing)
      return lose_place(conversation, event.time);
    conversation.tcp->skip(Direction::kFromClient, event.time, gap.client_bytes);
    conversation.tcp->skip(Direction::kFromServer, event.time, gap.server_bytes);
  }

  void put_end(capture::TcpConversation& tcp, const Event& event) {
    CloseDetail detail;
    if (!decode(event.data, detail)) return;
    if (detail.reason == CloseReason::kRecordingEnded) return;  // it went on
    if (detail.reason != CloseReason::kClientLeft && detail.reason != CloseReason::kServerLeft)
      tcp.comment(std::string(close_reason_name(detail.reason)) + " " +
                  readable_text(detail.text, kNameBytes));
    tcp.close(detail.reason == CloseReason::kClientLeft ? Direction::kFromClient : Direction::kFromServer,
              event.time);
  }

  // How much of whom is missing there is not known: nothing behind it has a place.
  void note_damage(ChunkPosition position) {
    const auto head = recording_.head(position);
    for (const ChunkHead::Session& one : head->sessions) {
      const auto conversation = open_.find(one.id);
      if (conversation == open_.end() || !conversation->second.tcp) continue;
      if (conversation->second.lost) continue;
      ++counts_.gaps;
      conversation->second.tcp->comment("the rest is not here: a damaged chunk, of unknown size");
      lose_place(conversation->second, head->first_time);
    }
  }

  // That something is missing is shown as a byte of each side; where its end would be is not known.
  static void lose_place(Conversation& conversation, TimeNs time) {
    conversation.tcp->skip(Direction::kFromClient, time, 1);
    conversation.tcp->skip(Direction::kFromServer, time, 1);
    conversation.lost = true;
  }

  void finish_comment(Conversation& conversation) {
    if (conversation.tcp && conversation.tcp->comment_waits())
      conversation.tcp->acknowledge(Direction::kFromServer, time_);
  }

  void end(SessionId session) {
    const auto conversation = open_.find(session);
    finish_comment(conversation->second);
    flows_.erase(conversation->second.flow);
    open_.erase(conversation);
  }

  void flush() {
    out_.write(as_text(buffer_));
    buffer_.clear();
  }

  const Recording& recording_;
  ExportChoice& choice_;
  Output& out_;
  PcapngExportCounts counts_;
  ByteBuffer buffer_;
  std::unordered_map<SessionId, const SessionDescriptor*> continuing_;
  std::unordered_map<SessionId, Conversation> open_;
  std::set<Flow> flows_;  // of those that are open
  std::size_t damaged_ = 0;
  TimeNs time_ = 0;
};

}  // namespace

PcapngExportCounts export_pcapng(const Recording& recording, ExportChoice& choice, Output& out) {
  return PcapngExport(recording, choice, out).run();
}

void tell(const PcapngExportCounts& counts) {
  std::fprintf(stderr, "understudy export: %s of %s", counted(counts.packets, "packet").c_str(),
               counted(counts.sessions, "session").c_str());
  if (counts.invented > 0)
    std::fprintf(stderr, ", %s with addresses made up", counted(counts.invented, "session").c_str());
  if (counts.secrets > 0)
    std::fprintf(stderr, "; %s of what is left out as a secret", counted(counts.secrets, "comment").c_str());
  if (counts.gaps > 0) std::fprintf(stderr, "; %s", counted(counts.gaps, "gap").c_str());
  std::fprintf(stderr, "\n");
  if (counts.bytes_left_out == 0) return;
  std::fprintf(stderr,
               "understudy export: left out %s behind damage, or behind a gap of a gigabyte or more\n",
               format_size(counts.bytes_left_out).c_str());
}

}  // namespace understudy::replayer
