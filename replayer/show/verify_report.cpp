#include "replayer/show/verify_report.h"

#include <Poco/JSON/Array.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "formats/command.h"
#include "replayer/counted.h"
#include "replayer/message_json.h"
#include "replayer/readable.h"
#include "replayer/recorded_names.h"
#include "replayer/recording_lookup.h"
#include "replayer/show/chain_report.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::size_t kDamagesShown = 20;
constexpr std::size_t kTextBytes = 500;
constexpr std::size_t kNameColumns = 26;

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

// The last bytes of the file are half of something: what a killed writer leaves.
const Damage* torn_tail(const SegmentReport& segment) {
  if (segment.clean || segment.damage.empty()) return nullptr;
  const Damage& last = segment.damage.back();
  const bool at_end = last.offset + last.bytes == segment.size_bytes;
  return at_end && last.what.starts_with("file ends inside") ? &last : nullptr;
}

bool damaged(const SegmentReport& segment) {
  const std::size_t torn = torn_tail(segment) != nullptr ? 1 : 0;
  return segment.damage.size() > torn || !segment.index_agrees;
}

std::string verdict(const SegmentReport& segment) {
  if (segment.whole()) return "whole";
  if (!segment.clean) return damaged(segment) ? "unclean, damaged" : "unclean";
  return damaged(segment) ? "damaged" : "incomplete";
}

std::string describe(const LossRecord& loss) {
  return "the recorder lost " + counted(loss.sessions, "session") + ", " + counted(loss.events, "event") +
         ", " + format_size(loss.bytes) + " (" + std::string(gap_reason_name(loss.reason)) +
         (loss.detail.empty() ? "" : ": " + readable_text(loss.detail, kTextBytes)) + ") from " +
         format_time(loss.from) + " to " + format_time(loss.to);
}

std::string describe_unclean(const SegmentReport& segment) {
  if (segment.size_bytes == 0) return "empty: its writer ended, or has just begun, before it wrote anything";
  const std::string why = "not closed: its writer was killed, lost power, or is still writing";
  return damaged(segment) ? why : why + "; all that was sealed is here";
}

std::string describe(const Damage& tail) {
  return "the last " + counted(tail.bytes, "byte") + ", from offset " + std::to_string(tail.offset) +
         " on, are the beginning of something it did not finish (" + tail.what + "), and lost";
}

Object json_damage(const Damage& damage) {
  Object out = json_object();
  out.set("offset", damage.offset);
  out.set("bytes", damage.bytes);
  out.set("what", damage.what);
  return out;
}

Object json_loss(const LossRecord& loss) {
  Object out = json_object();
  out.set("reason", std::string(gap_reason_name(loss.reason)));
  out.set("from", format_time(loss.from, 9));
  out.set("to", format_time(loss.to, 9));
  out.set("sessions", loss.sessions);
  out.set("events", loss.events);
  out.set("bytes", loss.bytes);
  out.set("detail", json_text(loss.detail));
  return out;
}

Object json_segment(const SegmentReport& segment) {
  Object out = json_object();
  out.set("file", json_text(segment.name));
  out.set("verdict", verdict(segment));
  out.set("closed", segment.clean);
  out.set("encrypted", segment.encrypted);
  out.set("contents_checked", segment.contents_seen);
  out.set("index_agrees", segment.index_agrees);
  out.set("size_bytes", segment.size_bytes);
  out.set("whole_bytes", segment.whole_bytes);
  out.set("lost_bytes", segment.lost_bytes);
  out.set("sessions", segment.sessions.size());
  out.set("chunks", segment.chunks);
  out.set("damaged_chunks", segment.damaged_chunks);
  out.set("events", segment.events);
  out.set("event_bytes", segment.data_bytes);
  if (segment.chunks > 0) {
    out.set("from", format_time(segment.first_time, 9));
    out.set("to", format_time(segment.last_time, 9));
  }
  out.set("gaps", segment.gaps);
  out.set("gap_bytes", segment.gap_bytes);
  Array losses;
  for (const LossRecord& loss : segment.losses) losses.add(json_loss(loss));
  out.set("losses", losses);
  Array damages;
  for (const Damage& damage : segment.damage) damages.add(json_damage(damage));
  out.set("damage", damages);
  return out;
}

Object unusable_json(const std::string& name, const std::string& why) {
  Object out = json_object();
  out.set("file", json_text(name));
  out.set("verdict", "unusable");
  out.set("error", json_text(why));
  return out;
}

void complain(const std::string& what) { std::fprintf(stderr, "understudy verify: %s\n", what.c_str()); }

}  // namespace

VerifyReport::VerifyReport(Output& out, std::string recording, bool json, std::size_t columns)
    : out_(out), recording_(std::move(recording)), json_(json), columns_(columns) {
  if (!json_) return;
  Object name = json_object();
  name.set("recording", json_text(recording_));
  std::string head = to_line(name);
  head.pop_back();
  out_.write(head + ",\"segments\":[");
}

void VerifyReport::put_object(const Object& object) {
  out_.write(std::exchange(objects_, true) ? ",\n" : "\n");
  out_.write(to_line(object));
}

// The first segments of a run that keeps the last ones only are no damage.
void VerifyReport::tell_expired(const SegmentReport& segment) {
  if (std::exchange(run_, segment.header.run) == segment.header.run || segment.header.segment <= 1) return;
  std::string kept;
  for (const auto& [name, value] : segment.header.attributes) {
    if (name == "keep_size" || name == "keep_age")
      kept += (kept.empty() ? "record_" : ", record_") + name + " " + value;
  }
  if (kept.empty() || json_) return;
  put("before these, " + counted(segment.header.segment - 1, "segment") + " of run " +
          std::to_string(segment.header.run) + " expired or left out (" + readable_text(kept, kTextBytes) +
          ")",
      0);
}

void VerifyReport::add(const SegmentReport& segment, const std::filesystem::path& path) {
  tell_locked();
  sum_up(segment);
  tell_expired(segment);
  chain_.add(segment, path);
  if (json_) {
    put_object(json_segment(segment));
  } else {
    print(segment);
  }
}

void VerifyReport::add_unusable(const std::string& name, const std::string& why) {
  tell_locked();
  tell_unusable(name, why);
}

void VerifyReport::add_locked(const std::string& name, const std::string& why) {
  if (totals_.segments > 0) return add_unusable(name, why);
  locked_.push_back({name, why});
}

void VerifyReport::tell_locked() {
  for (const Locked& one : std::exchange(locked_, {})) tell_unusable(one.name, one.why);
}

// All of them are.
void VerifyReport::finish_locked() {
  const std::vector<Locked> all = std::exchange(locked_, {});
  complain(all.front().why);
  complain("so nothing could be read of " + counted(all.size(), "segment") +
           "; with no key at all, everything but the contents is checked");
  totals_.segments = totals_.unusable = all.size();
  if (!json_) return;
  for (const Locked& one : all) {
    chain_.add_unusable(one.name);
    put_object(unusable_json(one.name, one.why));
  }
}

void VerifyReport::tell_unusable(const std::string& name, const std::string& why) {
  ++totals_.segments;
  ++totals_.unusable;
  chain_.add_unusable(name);
  complain(why);
  if (!json_) {
    out_.line(padded(std::filesystem::path(name).filename().string(), kNameColumns) + "  unusable");
    return;  // why is on standard error
  }
  put_object(unusable_json(name, why));
}

void VerifyReport::sum_up(const SegmentReport& segment) {
  ++totals_.segments;
  totals_.whole += segment.whole() ? 1 : 0;
  totals_.unclean += segment.clean ? 0 : 1;
  totals_.damaged += verdict(segment).ends_with("damaged") ? 1 : 0;
  if (segment.chunks > 0) {
    const bool first = totals_.chunks == 0;
    totals_.first_time = first ? segment.first_time : std::min(totals_.first_time, segment.first_time);
    totals_.last_time = first ? segment.last_time : std::max(totals_.last_time, segment.last_time);
  }
  totals_.sessions.insert_all(segment.sessions);
  totals_.chunks += segment.chunks;
  totals_.events += segment.events;
  totals_.data_bytes += segment.data_bytes;
  totals_.stored_bytes += segment.stored_bytes;
  totals_.size_bytes += segment.size_bytes;
  totals_.lost_bytes += segment.lost_bytes;
  totals_.damaged_chunks += segment.damaged_chunks;
  totals_.gaps += segment.gaps;
  totals_.gap_bytes += segment.gap_bytes;
  totals_.unread += segment.contents_seen ? 0 : 1;
  totals_.unread_losses += segment.unread_losses;
  for (const LossRecord& loss : segment.losses) {
    ++totals_.losses;
    totals_.losses_sessions += loss.sessions;
    totals_.losses_events += loss.events;
    totals_.losses_bytes += loss.bytes;
  }
}

void VerifyReport::print(const SegmentReport& segment) {
  const std::string line = padded(std::filesystem::path(segment.name).filename().string(), kNameColumns) +
                           "  " + padded(verdict(segment), 10) + "  " +
                           padded(format_size(segment.size_bytes), 10) + "  " +
                           counted(segment.sessions.size(), "session") + ", " +
                           counted(segment.chunks, "chunk") + ", " + counted(segment.events, "event");
  std::string times;
  if (segment.chunks > 0)
    times = format_time(segment.first_time, 3) + " to " + format_time(segment.last_time, 3);
  put_with_times(line, times, kNameColumns + 2);
  print_problems(segment);
}

void VerifyReport::print_problems(const SegmentReport& segment) {
  const auto tell = [this](const std::string& problem) { put("  " + problem, 4); };
  const Damage* const tail = torn_tail(segment);
  if (!segment.clean) tell(describe_unclean(segment));
  if (tail != nullptr && segment.size_bytes > 0) tell(describe(*tail));
  std::size_t shown = 0;
  for (const Damage& damage : segment.damage) {
    if (&damage == tail || (damage.bytes == 0 && segment.size_bytes == 0)) continue;
    if (++shown > kDamagesShown) continue;
    tell("damaged at offset " + std::to_string(damage.offset) + ": " + damage.what + "; " +
         counted(damage.bytes, "byte") + " lost");
  }
  if (shown > kDamagesShown)
    tell("and " + counted(shown - kDamagesShown, "more place") + " (all with --json)");
  if (!segment.index_agrees) tell("damaged: its index does not agree with what is there");
  for (const LossRecord& loss : segment.losses) tell(describe(loss));
  if (segment.unread_losses > 0) {
    tell("the recorder lost something: " + counted(segment.unread_losses, "loss record") +
         " that only the key opens");
  }
  if (segment.gaps > 0) {
    tell("the recorder left " + counted(segment.gaps, "gap") +
         " in sessions: " + format_size(segment.gap_bytes) + " missing (show --stats says of whom and why)");
  }
}

void VerifyReport::put(const std::string& text, std::size_t indent) {
  out_.line(wrapped(text, columns_, indent));
}

// On one line if there is room.
void VerifyReport::put_with_times(const std::string& line, const std::string& times, std::size_t indent) {
  if (times.empty() || line.size() + 2 + times.size() <= columns_)
    return put(times.empty() ? line : line + "  " + times, indent);
  put(line, indent);
  put(std::string(indent, ' ') + times, indent);
}

void VerifyReport::finish() {
  const bool nothing_read = !locked_.empty();
  if (nothing_read) finish_locked();
  if (json_) {
    out_.write("\n],\"chain\":" + to_line(chain_as_json(chain_)) + ",\"summary\":" + to_line(summary_json()) +
               "}\n");
  } else if (!nothing_read) {
    print_summary();
  }
  out_.finish();
}

void VerifyReport::print_summary() {
  std::string segments =
      counted(totals_.segments, "segment") + ": " + std::to_string(totals_.whole) + " whole";
  if (totals_.unclean > 0) segments += ", " + std::to_string(totals_.unclean) + " unclean";
  if (totals_.damaged > 0) segments += ", " + std::to_string(totals_.damaged) + " damaged";
  if (totals_.unusable > 0) segments += ", " + std::to_string(totals_.unusable) + " unusable";
  out_.line("\n" + segments);
  const std::string whole = "  whole  " + counted(totals_.sessions.size(), "session") + ", " +
                            counted(totals_.chunks, "chunk") + ", " + counted(totals_.events, "event") +
                            ", " + format_size(totals_.data_bytes) + " of traffic in " +
                            format_size(totals_.stored_bytes);
  std::string times;
  if (totals_.chunks > 0) {
    times = format_time(totals_.first_time, 3) + " to " + format_time(totals_.last_time, 3) + " (" +
            format_duration(time_between(totals_.first_time, totals_.last_time)) + ")";
  }
  put_with_times(whole, times, 9);
  print_unread();
  for (const std::string& line : chain_as_text(chain_)) put(line, 9);
  print_lost();
}

void VerifyReport::print_unread() {
  if (totals_.unread == 0) return;
  put("  note   the contents of " + counted(totals_.unread, "encrypted segment") +
          " were not looked at, only checksums and chain: --key-file FILE has them decrypted and decoded",
      9);
}

bool VerifyReport::is_cut_off(const ChainRun& run) const {
  if (run.end != ChainRun::End::kGoesOn || one_file_) return false;
  return saved_up_to_ != SegmentName{.run = run.run, .segment = run.last};
}

std::size_t VerifyReport::runs_cut_off() const {
  const auto& runs = chain_.runs();
  return static_cast<std::size_t>(
      std::count_if(runs.begin(), runs.end(), [this](const ChainRun& run) { return is_cut_off(run); }));
}

// Is lost.
std::string VerifyReport::nothing() const {
  if (!goes_on()) return "nothing";
  return one_file_ ? "nothing of this file; of others that followed it nothing is known"
                   : "nothing of what was saved (ctl record save); the recording went on";
}

void VerifyReport::print_lost() {
  bool told = false;
  const auto tell = [&](const std::string& what) {
    put((told ? "         " : "  lost   ") + what, 9);
    told = true;
  };
  if (exit_code() == 0) return tell(nothing());
  if (totals_.lost_bytes + totals_.damaged_chunks > 0) {
    tell(counted(totals_.lost_bytes, "byte") + " of the files, " +
         counted(totals_.damaged_chunks, "damaged chunk"));
  }
  if (totals_.losses > 0) {
    tell("by the recorder: " + counted(totals_.losses_sessions, "session") + ", " +
         counted(totals_.losses_events, "event") + ", " + format_size(totals_.losses_bytes) + " (" +
         counted(totals_.losses, "loss record") + ")");
  }
  if (totals_.unread_losses > 0)
    tell("by the recorder: " + counted(totals_.unread_losses, "loss record") + " not read without the key");
  if (totals_.gaps > 0)
    tell("in sessions: " + counted(totals_.gaps, "gap") + ", " + format_size(totals_.gap_bytes));
  if (totals_.unusable > 0) tell("whatever " + counted(totals_.unusable, "unusable segment") + " held");
  if (totals_.unclean > 0) {
    tell("not known: what the recorder had not written of " + counted(totals_.unclean, "segment") +
         " it did not close");
  }
  if (!chain_.whole()) tell("what the chain misses");
  for (const ChainRun& run : chain_.runs()) {
    if (!is_cut_off(run)) continue;
    tell("what followed segment " + std::to_string(run.last) + " of run " + std::to_string(run.run) +
         ": it was written, and deleted since, or this is a copy of a part");
  }
  if (expected_is_missing()) tell("the segment of --expect, and what followed it");
  if (!told) tell("nothing that is known; see the segments above");
}

Object VerifyReport::summary_json() const {
  Object out = json_object();
  const std::pair<const char*, std::uint64_t> counts[] = {
      {"segments", totals_.segments},
      {"segments_whole", totals_.whole},
      {"segments_unclean", totals_.unclean},
      {"segments_damaged", totals_.damaged},
      {"segments_unusable", totals_.unusable},
      {"size_bytes", totals_.size_bytes},
      {"sessions", totals_.sessions.size()},
      {"chunks", totals_.chunks},
      {"events", totals_.events},
      {"event_bytes", totals_.data_bytes},
      {"stored_bytes", totals_.stored_bytes},
      {"lost_bytes", totals_.lost_bytes},
      {"damaged_chunks", totals_.damaged_chunks},
      {"loss_records", totals_.losses},
      {"loss_sessions", totals_.losses_sessions},
      {"loss_events", totals_.losses_events},
      {"loss_bytes", totals_.losses_bytes},
      {"gaps", totals_.gaps},
      {"gap_bytes", totals_.gap_bytes},
      {"segments_not_decrypted", totals_.unread},
      {"runs_cut_off", runs_cut_off()},
  };
  for (const auto& [key, value] : counts) out.set(key, value);
  if (totals_.chunks > 0) {
    out.set("from", format_time(totals_.first_time, 9));
    out.set("to", format_time(totals_.last_time, 9));
  }
  out.set("whole", exit_code() == 0);
  return out;
}

int VerifyReport::exit_code() const {
  if (totals_.unusable > 0) return 2;
  const bool whole = totals_.whole == totals_.segments && chain_.whole();
  return whole && runs_cut_off() == 0 && !expected_is_missing() ? 0 : 1;
}

}  // namespace understudy::replayer
