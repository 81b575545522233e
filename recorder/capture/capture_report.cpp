#include "recorder/capture/capture_report.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <algorithm>
#include <sstream>

#include "formats/command.h"
#include "recorder/summary_lines.h"

namespace understudy::recorder {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;
using Kinds = std::map<std::string, Unread>;

Unread total(const Kinds& kinds) {
  Unread sum;
  for (const auto& [name, kind] : kinds) {
    sum.connections += kind.connections;
    sum.bytes += kind.bytes;
  }
  return sum;
}

std::string sum_text(const Unread& sum) {
  return counted(sum.connections, "connection") + ", " + format_size(sum.bytes);
}

void put_kinds(SummaryLines& lines, const std::string& label, const Kinds& kinds) {
  if (kinds.empty()) return;
  lines.put(label, sum_text(total(kinds)));
  for (const auto& [name, kind] : kinds) lines.put("  " + name, sum_text(kind));
}

void put_sessions(SummaryLines& lines, const CaptureCounts& counts) {
  lines.put("sessions on record", std::to_string(counts.whole + counts.joined + counts.partial) + ", " +
                                      format_size(counts.session_bytes));
  lines.put("  whole", std::to_string(counts.whole));
  lines.put_if(counts.joined, "  joined in the middle",
               std::to_string(counts.joined) + " (open before the capture; nothing missing since)");
  lines.put_if(counts.partial, "  partial", std::to_string(counts.partial) + " (with a hole)");
  lines.put_if(counts.unfinished, "  without an end", std::to_string(counts.unfinished));
  put_kinds(lines, "unreadable", counts.unreadable);
  put_kinds(lines, "not PostgreSQL", counts.foreign);
  lines.put_if(counts.silent, "without a session", counted(counts.silent, "connection"));
  lines.put_if(counts.cancels + counts.cancels_unmatched, "cancel requests",
               std::to_string(counts.cancels) + ", and " + std::to_string(counts.cancels_unmatched) +
                   " for sessions that are not on record");
}

void put_other_ports(SummaryLines& lines, const CaptureSummary& summary) {
  if (summary.tcp.other_ports == 0) return;
  std::string ports;
  for (const std::uint16_t port : summary.other_ports)
    ports += (ports.empty() ? " " : ", ") + std::to_string(port);
  lines.put("of other ports", counted(summary.tcp.other_ports, "packet") +
                                  ", not looked at; the ports seen most:" + ports + " (--port)");
}

void put_losses(SummaryLines& lines, const CaptureSummary& summary) {
  const CaptureCounts& counts = summary.sessions;
  const bool nothing = counts.lost_bytes + counts.passed_over_bytes == 0;
  lines.put("bytes lost", nothing ? "none"
                                  : format_size(counts.lost_bytes) + " never captured, " +
                                        format_size(counts.passed_over_bytes) + " passed over around them");
  lines.put_if(counts.out_of_step, "against the protocol",
               counted(counts.out_of_step, "place") + ": something was missed, or misread");
  const std::string packets = counted(summary.tcp.packets, "packet");
  if (summary.live || summary.drops.by_kernel + summary.drops.by_interface > 0) {
    lines.put("dropped by the kernel", std::to_string(summary.drops.by_kernel) + " (and by the interface " +
                                           std::to_string(summary.drops.by_interface) + "), " + packets +
                                           " captured");
  } else {
    lines.put("packets", std::to_string(summary.tcp.packets) + ", " + format_size(summary.tcp.packet_bytes));
  }
  put_other_ports(lines, summary);
  lines.put_if(summary.tcp.cut, "packets cut short",
               std::to_string(summary.tcp.cut) + ": capture with a larger snapshot length (tcpdump -s 0)");
  lines.put_if(summary.tcp.unknown_link, "unknown link type", counted(summary.tcp.unknown_link, "packet"));
  lines.put_if(summary.tcp.malformed, "malformed", counted(summary.tcp.malformed, "packet"));
  lines.put_if(summary.tcp.out_of_place, "out of place", counted(summary.tcp.out_of_place, "segment"));
  lines.put_if(summary.tcp.conflicting_bytes, "sent again differently",
               counted(summary.tcp.conflicting_bytes, "byte"));
  lines.put_if(summary.fragments.incomplete + summary.fragments.conflicting, "fragmented, not whole",
               counted(summary.fragments.incomplete + summary.fragments.conflicting, "packet"));
  lines.put_if(summary.tcp.connections_evicted, "given up",
               counted(summary.tcp.connections_evicted, "connection") + ": too many at once");
  constexpr TimeNs kNoticeable = 1'000'000;
  if (summary.clock_went_back > kNoticeable) {
    lines.put("clock", "went back by " + format_duration(summary.clock_went_back) + "; times are held there");
  }
  const Statistics& recording = summary.recording;
  lines.put_if(recording.sessions_shed, "shed: disk too slow",
               counted(recording.sessions_shed, "session") + ", " + format_size(recording.bytes_shed));
  lines.put_if(recording.events_lost, "lost by the disk",
               counted(recording.events_lost, "event") + ", " + format_size(recording.bytes_lost));
  for (const UnreadFile& file : summary.unread_files) {
    lines.put("not read to its end", file.name + ": " + file.error + " (at byte " +
                                         std::to_string(file.offset) + ", " +
                                         counted(file.bytes_left, "byte") + " left)");
  }
}

Object unread_json(const Kinds& kinds) {
  Object out;
  for (const auto& [name, kind] : kinds) {
    Object one(Poco::JSON_PRESERVE_KEY_ORDER);
    one.set("connections", kind.connections);
    one.set("bytes", kind.bytes);
    out.set(name, one);
  }
  return out;
}

Object sessions_json(const CaptureCounts& counts) {
  Object out(Poco::JSON_PRESERVE_KEY_ORDER);
  out.set("whole", counts.whole);
  out.set("joined", counts.joined);
  out.set("partial", counts.partial);
  out.set("unfinished", counts.unfinished);
  out.set("bytes", counts.session_bytes);
  out.set("lost_bytes", counts.lost_bytes);
  out.set("passed_over_bytes", counts.passed_over_bytes);
  out.set("out_of_step", counts.out_of_step);
  return out;
}

Object packets_json(const CaptureSummary& summary) {
  const capture::ReassemblyCounts& tcp = summary.tcp;
  Object out(Poco::JSON_PRESERVE_KEY_ORDER);
  out.set("captured", tcp.packets);
  out.set("bytes", tcp.packet_bytes);
  out.set("dropped_by_kernel", summary.drops.by_kernel);
  out.set("dropped_by_interface", summary.drops.by_interface);
  out.set("cut", tcp.cut);
  out.set("malformed", tcp.malformed);
  out.set("unknown_link", tcp.unknown_link);
  out.set("not_tcp", tcp.not_tcp);
  out.set("other_ports", tcp.other_ports);
  Array busiest;
  for (const std::uint16_t port : summary.other_ports) busiest.add(port);
  out.set("busiest_other_ports", busiest);
  out.set("out_of_place", tcp.out_of_place);
  out.set("fragments", summary.fragments.fragments);
  out.set("fragmented_not_whole", summary.fragments.incomplete + summary.fragments.conflicting);
  return out;
}

Object tcp_json(const capture::ReassemblyCounts& tcp) {
  Object out(Poco::JSON_PRESERVE_KEY_ORDER);
  out.set("connections", tcp.connections);
  out.set("connections_evicted", tcp.connections_evicted);
  out.set("holes", tcp.holes);
  out.set("lost_bytes", tcp.lost_bytes);
  out.set("resent_bytes", tcp.resent_bytes);
  out.set("conflicting_bytes", tcp.conflicting_bytes);
  out.set("held_peak_bytes", tcp.held_peak_bytes);
  return out;
}

Object recording_json(const Statistics& recording) {
  Object out(Poco::JSON_PRESERVE_KEY_ORDER);
  out.set("events", recording.events);
  out.set("data_bytes", recording.data_bytes);
  out.set("stored_bytes", recording.stored_bytes);
  out.set("segments", recording.segments);
  out.set("sessions_shed", recording.sessions_shed);
  out.set("bytes_shed", recording.bytes_shed);
  out.set("events_lost", recording.events_lost);
  out.set("bytes_lost", recording.bytes_lost);
  return out;
}

}  // namespace

bool is_in_part(const CaptureSummary& summary) {
  const CaptureCounts& counts = summary.sessions;
  return counts.partial > 0 || !counts.unreadable.empty() || summary.drops.by_kernel > 0 ||
         summary.drops.by_interface > 0 || !summary.unread_files.empty() || summary.tcp.cut > 0 ||
         summary.tcp.unknown_link > 0 || summary.tcp.connections_evicted > 0 ||
         summary.recording.sessions_shed > 0 || summary.recording.events_lost > 0;
}

std::string summary_as_text(const CaptureSummary& summary) {
  SummaryLines lines;
  put_sessions(lines, summary.sessions);
  put_losses(lines, summary);
  if (summary.tcp.packets > 0) {
    lines.put("from, to", format_time(summary.first_packet) + ", " + format_time(summary.last_packet));
  }
  if (summary.run == 0) {
    lines.put("written", "nothing: there was no packet to be read");
  } else {
    lines.put_written(summary.output, summary.run, summary.recording);
  }
  return lines.text();
}

std::string summary_as_json(const CaptureSummary& summary) {
  Object out(Poco::JSON_PRESERVE_KEY_ORDER);
  out.set("output", summary.output);
  out.set("run", summary.run);
  out.set("in_part", is_in_part(summary) || !summary.recorded);
  out.set("sessions", sessions_json(summary.sessions));
  out.set("unreadable", unread_json(summary.sessions.unreadable));
  out.set("not_postgresql", unread_json(summary.sessions.foreign));
  out.set("without_session", summary.sessions.silent);
  out.set("cancels", summary.sessions.cancels);
  out.set("cancels_unmatched", summary.sessions.cancels_unmatched);
  out.set("packets", packets_json(summary));
  out.set("tcp", tcp_json(summary.tcp));
  out.set("clock_went_back_ns", summary.clock_went_back);
  if (summary.tcp.packets > 0) {
    out.set("first_packet_at", format_time(summary.first_packet, 9));
    out.set("last_packet_at", format_time(summary.last_packet, 9));
  }
  Array unread;
  for (const UnreadFile& file : summary.unread_files) {
    Object one(Poco::JSON_PRESERVE_KEY_ORDER);
    one.set("file", file.name);
    one.set("error", file.error);
    one.set("offset", file.offset);
    one.set("bytes_left", file.bytes_left);
    unread.add(one);
  }
  out.set("files_not_read", unread);
  out.set("recording", recording_json(summary.recording));
  std::ostringstream text;
  out.stringify(text, 2);
  return text.str() + "\n";
}

}  // namespace understudy::recorder
