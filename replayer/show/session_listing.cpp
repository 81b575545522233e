#include "replayer/show/session_listing.h"

#include <cstdio>

#include "formats/command.h"
#include "replayer/message_json.h"
#include "replayer/recorded_names.h"
#include "replayer/recording_lookup.h"
#include "replayer/request_tracker.h"
#include "replayer/session_messages.h"
#include "replayer/show/message_text.h"
#include "replayer/text_width.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kTimeColumns = 14;

// "+12.345678 s": since the session opened.
std::string relative_time(TimeNs time, TimeNs opened_at) {
  char text[48];
  std::snprintf(text, sizeof text, "%+14.6f", static_cast<double>(time_between(opened_at, time)) / 1e9);
  return text;
}

std::string line(const SessionItem& item, const std::vector<std::int16_t>& row_formats, TimeNs opened_at,
                 std::size_t columns) {
  const std::size_t limit = columns == 0 ? SIZE_MAX / 2 : columns * 4;  // bytes of a character, at most
  std::string out =
      relative_time(item.time, opened_at) +
      (item.is_message ? "  " + std::string(direction_name(item.direction)) + "  " : "  --      ") +
      item_text(item, row_formats, limit);
  return columns == 0 ? out : fitted(std::move(out), columns);
}

// What could not be shown, and why.
std::vector<std::string> missing(const SessionMessages& messages) {
  std::vector<std::string> lines;
  if (messages.bytes_before_joining() > 0) {
    lines.push_back(format_size(messages.bytes_before_joining()) +
                    " at its beginning not shown: it was open before the recording, which begins inside a "
                    "message");
  }
  if (!messages.hole().empty()) {
    lines.push_back(format_size(messages.bytes_behind_hole()) + " not shown as messages: they come behind " +
                    messages.hole());
  }
  for (const Direction direction : {Direction::kFromClient, Direction::kFromServer}) {
    if (messages.hole().empty() && messages.inside_message(direction))
      lines.push_back("the " + std::string(direction_name(direction)) + "'s last message is not whole");
  }
  return lines;
}

// Calls `show` with every item wanted; false when it stopped at the limit.
template <typename Show>
bool for_each_item(SessionMessages& messages, const SessionListingOptions& options, Show&& show) {
  RequestTracker tracker;
  std::uint64_t count = 0;
  while (const SessionItem* const item = messages.next()) {
    if (item->is_message && item->direction == Direction::kFromClient) tracker.client(item->message);
    if (!item->is_message && item->event.kind == EventKind::kGap)
      tracker = {};  // what was asked is not known
    const bool wanted = item->time >= options.from && item->time < options.until;
    if (wanted && count++ == options.limit) return false;
    // Before the tracker is told of a server's message: which request it answers is asked of it then.
    if (wanted) show(*item, tracker.row_formats());
    if (item->is_message && item->direction == Direction::kFromServer) tracker.server(item->message);
    tracker.ended().clear();
  }
  return true;
}

void show_as_json(SessionMessages& messages, const SessionSummary& session,
                  const SessionListingOptions& options, Output& out) {
  Poco::JSON::Object head = json_object();
  head.set("session", session.descriptor.id.to_string());
  head.set("opened_at", format_time(session.descriptor.opened_at, 9));
  add_descriptor(head, session.descriptor);
  std::string begin = to_line(head);
  begin.pop_back();
  out.write(begin + ",\"items\":[");
  bool first = true;
  (void)for_each_item(messages, options,
                      [&](const SessionItem& item, const std::vector<std::int16_t>& formats) {
                        out.write(first ? "\n" : ",\n");
                        first = false;
                        out.write(to_line(item_json(session.descriptor.id, item, formats)));
                      });
  Poco::JSON::Object rest = json_object();
  rest.set("hole", messages.hole());
  rest.set("bytes_behind_hole", messages.bytes_behind_hole());
  rest.set("bytes_before_joining", messages.bytes_before_joining());
  out.write("\n]," + to_line(rest).substr(1) + "\n");
}

}  // namespace

void show_session(const Recording& recording, const SessionSummary& session,
                  const SessionListingOptions& options, Output& out) {
  SessionMessages messages(recording, session);
  messages.go_on_behind_capture_gaps();
  if (options.json) return show_as_json(messages, session, options, out);
  const TimeNs opened_at = session.descriptor.opened_at;
  const bool whole = for_each_item(messages, options,
                                   [&](const SessionItem& item, const std::vector<std::int16_t>& formats) {
                                     out.line(line(item, formats, opened_at, options.columns));
                                   });
  if (!whole) return;
  for (const std::string& note : missing(messages)) {
    const std::string text = std::string(kTimeColumns, ' ') + "  --      " + note;
    out.line(options.columns == 0 ? text : wrapped(text, options.columns, kTimeColumns + 10));
  }
}

}  // namespace understudy::replayer
