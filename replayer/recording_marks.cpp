#include "replayer/recording_marks.h"

#include <algorithm>
#include <stdexcept>

#include "replayer/readable.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMarksTold = 10;
constexpr std::size_t kTextBytes = 200;

}  // namespace

std::vector<RecordingMark> recording_marks(const Recording& recording) {
  std::vector<RecordingMark> marks;
  SessionCursor events(recording, SessionId{});
  while (const auto event = events.next()) {
    if (event->kind == EventKind::kMark) marks.push_back({event->time, std::string(as_text(event->data))});
  }
  std::stable_sort(marks.begin(), marks.end(), [](const RecordingMark& one, const RecordingMark& other) {
    return one.time < other.time;
  });
  return marks;
}

TimeNs time_of_mark(const Recording& recording, const std::string& text) {
  const std::vector<RecordingMark> marks = recording_marks(recording);
  const auto is_it = [&](const RecordingMark& mark) { return mark.text == text; };
  const auto found = std::find_if(marks.begin(), marks.end(), is_it);
  const std::string named = "mark \"" + readable_text(text, kTextBytes) + "\"";
  if (found == marks.end()) {
    std::string others = marks.empty() ? "there are no marks in the recording" : "there are:";
    for (std::size_t n = 0; n < marks.size() && n < kMarksTold; ++n) {
      others += (n == 0 ? " \"" : ", \"") + readable_text(marks[n].text, kTextBytes) + "\"";
    }
    if (marks.size() > kMarksTold) others += ", ...";
    throw std::invalid_argument("no " + named + "; " + others);
  }
  if (std::count_if(marks.begin(), marks.end(), is_it) > 1) {
    throw std::invalid_argument(named + " is there several times; show --marks tells when");
  }
  return found->time;
}

}  // namespace understudy::replayer
