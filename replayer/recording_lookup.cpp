#include "replayer/recording_lookup.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <limits>

#include "formats/command.h"

namespace understudy::replayer {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

// Reads digits and separators off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // Exactly `digits` digits, at most `most`.
  std::optional<int> number(std::size_t digits, int most) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (i >= text_.size() || text_[i] < '0' || text_[i] > '9') return std::nullopt;
      value = value * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(digits);
    return value <= most ? std::optional(value) : std::nullopt;
  }
  bool literal(std::string_view any_of) {
    if (text_.empty() || any_of.find(text_.front()) == std::string_view::npos) return false;
    text_.remove_prefix(1);
    return true;
  }
  // What follows a decimal point, as nanoseconds; digits beyond them are dropped.
  TimeNs fraction() {
    TimeNs value = 0;
    TimeNs unit = kSecond;
    while (!text_.empty() && text_.front() >= '0' && text_.front() <= '9') {
      unit /= 10;
      value += unit * (text_.front() - '0');
      text_.remove_prefix(1);
    }
    return value;
  }
  [[nodiscard]] bool finished() const { return text_.empty(); }
  [[nodiscard]] char front() const { return text_.empty() ? '\0' : text_.front(); }

 private:
  std::string_view text_;
};

// Nanoseconds after midnight: "13:31", "13:31:07", "13:31:07.5".
std::optional<TimeNs> parse_clock(Scanner& in) {
  const auto hour = in.number(2, 23);
  if (!hour || !in.literal(":")) return std::nullopt;
  const auto minute = in.number(2, 59);
  if (!minute) return std::nullopt;
  TimeNs time = (*hour * 60 + *minute) * 60 * kSecond;
  if (!in.literal(":")) return time;
  const auto second = in.number(2, 60);
  if (!second) return std::nullopt;
  time += *second * kSecond;
  return in.literal(".") ? time + in.fraction() : time;
}

// What to subtract for UTC: "Z", "+02", "-0530", "+02:00", or nothing.
std::optional<TimeNs> parse_zone(Scanner& in) {
  if (in.finished() || in.literal("Zz")) return in.finished() ? std::optional<TimeNs>(0) : std::nullopt;
  const bool west = in.front() == '-';
  if (!in.literal("+-")) return std::nullopt;
  const auto hours = in.number(2, 15);
  if (!hours) return std::nullopt;
  std::optional<int> minutes = 0;
  if (!in.finished()) {
    (void)in.literal(":");
    minutes = in.number(2, 59);
  }
  if (!minutes || !in.finished()) return std::nullopt;
  const TimeNs offset = (*hours * 60 + *minutes) * 60 * kSecond;
  return west ? -offset : offset;
}

std::optional<TimeNs> parse_iso(std::string_view text) {
  Scanner in(text);
  // Nanoseconds since 1970 reach from 1678 to 2261.
  const auto year = in.number(4, 2261);
  if (!year || *year < 1678 || !in.literal("-")) return std::nullopt;
  const auto month = in.number(2, 12);
  if (!month || !in.literal("-")) return std::nullopt;
  const auto day = in.number(2, 31);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)});
  if (!date.ok()) return std::nullopt;
  const TimeNs midnight = std::chrono::sys_days(date).time_since_epoch().count() * 86'400 * kSecond;
  if (in.finished()) return midnight;
  if (!in.literal("Tt ")) return std::nullopt;
  const auto clock = parse_clock(in);
  if (!clock) return std::nullopt;
  const auto zone = parse_zone(in);
  return zone ? std::optional(midnight + *clock - *zone) : std::nullopt;
}

TimeNs add(TimeNs time, TimeNs duration) {
  TimeNs sum = 0;
  return __builtin_add_overflow(time, duration, &sum) ? std::numeric_limits<TimeNs>::max() : sum;
}

bool opens_in(const ChunkHead& head, SessionId id) {
  return std::any_of(head.sessions.begin(), head.sessions.end(),
                     [id](const ChunkHead::Session& session) { return session.id == id && session.opens; });
}

bool find_opening(const Recording& recording, ChunkPosition position, SessionId id, SessionDescriptor& out) {
  const std::shared_ptr<const Chunk> chunk = recording.load(position);
  if (!chunk) return false;
  for (const std::uint32_t index : chunk->events_of(id)) {
    const Event event = chunk->event(index);
    if (event.kind == EventKind::kOpened) return decode(event.data, out);
  }
  return false;
}

// A segment that begins while the session is open repeats its descriptor.
bool find_continued(const Recording& recording, SessionId id, SessionDescriptor& out) {
  for (std::size_t i = 0; i < recording.segment_count(); ++i) {
    const std::shared_ptr<const SegmentReader> segment = recording.segment(i);
    for (const SessionDescriptor& one : segment->continuing()) {
      if (one.id != id) continue;
      out = one;
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<SessionId> parse_session_id(std::string_view text) {
  SessionId id;
  const char* const end = text.data() + text.size();
  const auto [dot, run_error] = std::from_chars(text.data(), end, id.run);
  if (run_error != std::errc() || dot == end || *dot != '.') return std::nullopt;
  const auto [last, number_error] = std::from_chars(dot + 1, end, id.number);
  if (number_error != std::errc() || last != end) return std::nullopt;
  return id;
}

std::optional<SessionSummary> find_session(const Recording& recording, SessionId id) {
  const auto first = recording.find_chunk(id, {});
  SessionSummary summary{{}, first.value_or(ChunkPosition{})};
  const bool found = (first && opens_in(*recording.head(*first), id) &&
                      find_opening(recording, *first, id, summary.descriptor)) ||
                     find_continued(recording, id, summary.descriptor);
  if (!found && !first) return std::nullopt;
  summary.descriptor.id = id;
  return summary;
}

std::optional<TimeNs> parse_moment(std::string_view text, TimeNs start) {
  if (const auto duration = parse_duration(text)) return add(start, *duration);
  return parse_iso(text);
}

TimeNs time_between(TimeNs from, TimeNs to) {
  TimeNs difference = 0;
  if (!__builtin_sub_overflow(to, from, &difference)) return difference;
  return to > from ? std::numeric_limits<TimeNs>::max() : std::numeric_limits<TimeNs>::min();
}

bool warn_of_damage(const char* command, const Recording& recording) {
  const std::vector<Damage> all = recording.damage();
  for (const Damage& damage : all) {
    std::fprintf(stderr, "understudy %s: %s, offset %llu: %s; %s passed over\n", command, damage.file.c_str(),
                 static_cast<unsigned long long>(damage.offset), damage.what.c_str(),
                 format_size(damage.bytes).c_str());
  }
  // An empty file is what a crash at rotation leaves: nothing was in it.
  return std::any_of(all.begin(), all.end(),
                     [](const Damage& damage) { return damage.bytes > 0 || damage.offset > 0; });
}

}  // namespace understudy::replayer
