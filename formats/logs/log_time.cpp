#include "formats/logs/log_time.h"

#include <cstdint>

namespace understudy::logs {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kDay = 86'400 * kSecond;

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool is_letter(char letter) { return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z'); }

// Exactly `count` digits at `at`; -1 if they are not there.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (text.size() < at + count) return -1;
  int value = 0;
  for (std::size_t n = at; n < at + count; ++n) {
    if (!is_digit(text[n])) return -1;
    value = value * 10 + (text[n] - '0');
  }
  return value;
}

struct Zone {
  std::string_view name;
  int minutes;
};
constexpr Zone kZones[] = {{"UTC", 0},    {"GMT", 0},    {"Z", 0},      {"WET", 0},    {"WEST", 60},
                           {"CET", 60},   {"CEST", 120}, {"EET", 120},  {"EEST", 180}, {"MSK", 180},
                           {"EST", -300}, {"EDT", -240}, {"CDT", -300}, {"MST", -420}, {"MDT", -360},
                           {"PST", -480}, {"PDT", -420}, {"JST", 540},  {"KST", 540},  {"AEST", 600},
                           {"AEDT", 660}, {"NZST", 720}, {"NZDT", 780}};

// East of Greenwich in minutes: "+02", "-0330", "+05:30".
std::optional<int> offset_minutes(std::string_view zone) {
  if (zone.size() < 3 || (zone[0] != '+' && zone[0] != '-')) return std::nullopt;
  const int hours = digits(zone, 1, 2);
  const int minutes = zone.size() >= 5 ? digits(zone, zone[3] == ':' ? 4 : 3, 2) : 0;
  if (hours < 0 || minutes < 0 || hours > 15 || minutes > 59) return std::nullopt;
  return (zone[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

// "UTC", "+02", "-0330", "+05:30": what follows belongs to the prefix, also where it goes on with a dash and
// digits ("%t-%c-").
std::size_t zone_length(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  std::size_t end = 0;
  while (end < text.size() && end < kLongest && is_letter(text[end])) ++end;
  const bool sign = text.starts_with('+') || text.starts_with('-');
  if (end > 0 || !sign || digits(text, 1, 2) < 0) return end;
  if (digits(text, 3, 2) >= 0) return 5;
  // Behind a colon there may be a port, a process or an address of the prefix instead.
  const bool colon = text.size() > 3 && text[3] == ':' && digits(text, 4, 2) >= 0;
  const char next = text.size() > 6 ? text[6] : ' ';
  return colon && !is_digit(next) && next != '.' && next != ':' ? 6 : 3;
}

void take_zone(std::string_view zone, LogTime& out) {
  std::optional<int> minutes = offset_minutes(zone);
  for (const Zone& known : kZones) {
    if (known.name == zone) minutes = known.minutes;
  }
  out.zone_known = minutes.has_value();
  if (minutes) out.time -= TimeNs{*minutes} * 60 * kSecond;
}

}  // namespace

// Howard Hinnant's public description of the proleptic Gregorian calendar: years begin in March.
TimeNs day_begins(int year, unsigned month, unsigned day) {
  const std::int64_t shifted = std::int64_t{year} - (month <= 2 ? 1 : 0);
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  const std::int64_t year_of_era = shifted - era * 400;
  const std::int64_t day_of_year = (153 * (std::int64_t{month} + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return (era * 146'097 + day_of_era - 719'468) * kDay;
}

std::optional<LogTime> read_log_time(std::string_view text) {
  // "2026-11-24 13:31:07", then ".123", then " UTC".
  constexpr std::size_t kSeconds = 19;
  if (text.size() < kSeconds || text[4] != '-' || text[7] != '-' || text[10] != ' ' || text[13] != ':' ||
      text[16] != ':') {
    return std::nullopt;
  }
  const int year = digits(text, 0, 4);
  const int month = digits(text, 5, 2);
  const int day = digits(text, 8, 2);
  const int hour = digits(text, 11, 2);
  const int minute = digits(text, 14, 2);
  const int second = digits(text, 17, 2);
  if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 24 ||
      minute < 0 || minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  LogTime out;
  out.length = kSeconds;
  out.time = day_begins(year, static_cast<unsigned>(month), static_cast<unsigned>(day)) +
             TimeNs{hour * 3600 + minute * 60 + second} * kSecond;
  if (text.size() > kSeconds && text[kSeconds] == '.') {
    const int milliseconds = digits(text, kSeconds + 1, 3);
    if (milliseconds < 0) return std::nullopt;
    out.fraction = true;
    out.length += 4;
    out.time += TimeNs{milliseconds} * (kSecond / 1000);
  }
  // A server always writes a zone.
  if (text.size() <= out.length + 1 || text[out.length] != ' ') return std::nullopt;
  const std::string_view zone = text.substr(out.length + 1, zone_length(text.substr(out.length + 1)));
  if (zone.empty()) return std::nullopt;
  take_zone(zone, out);
  out.length += 1 + zone.size();
  return out;
}

std::optional<LogTime> read_epoch_time(std::string_view text) {
  std::size_t whole = 0;
  std::int64_t seconds = 0;
  while (whole < text.size() && whole < 11 && is_digit(text[whole]))
    seconds = seconds * 10 + (text[whole++] - '0');
  // A later %n would need 11 digits in the year 2286.
  if (whole < 9 || whole > 10 || whole >= text.size() || text[whole] != '.') return std::nullopt;
  const int milliseconds = digits(text, whole + 1, 3);
  if (milliseconds < 0) return std::nullopt;
  if (seconds > 7'000'000'000) return std::nullopt;
  return LogTime{seconds * kSecond + TimeNs{milliseconds} * (kSecond / 1000), whole + 4, true, true};
}

}  // namespace understudy::logs
