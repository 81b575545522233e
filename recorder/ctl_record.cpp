#include "recorder/ctl_record.h"

#include <Poco/URI.h>

#include <algorithm>
#include <cxxopts.hpp>
#include <stdexcept>

#include "formats/command.h"
#include "recorder/recording_request.h"

namespace understudy::recorder {
namespace {

// One option of `record start` or `record save`, and the admin port's word for it.
struct RecordOption {
  const char* flag;
  const char* parameter;
  const char* command;
  bool list;
};
constexpr RecordOption kOptions[] = {
    {"duration", "duration", "start", false},
    {"max-size", "max_size", "start", false},
    {"user", "user", "start", true},
    {"database", "database", "start", true},
    {"application", "application", "start", true},
    {"client", "client", "start", true},
    {"sample", "sample", "start", false},
    {"last", "last", "save", false},
};
constexpr const char* kCommands[] = {"start", "stop", "status", "mark", "save"};

void add_parameter(std::string& target, const char* name, const std::string& value) {
  std::string encoded;
  Poco::URI::encode(value, "%&=+?#[];,/:@$!'()*", encoded);
  target += (target.find('?') == std::string::npos ? "?" : "&") + std::string(name) + "=" + encoded;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// What the proxy would refuse is told as what it is, bad usage.
void check_values(const std::string& what, const std::string& target) {
  RecordingRequest request;
  const std::string wrong = what == "start" ? parse_recording_request(target, request) : "";
  if (!wrong.empty()) throw std::invalid_argument("record start: " + wrong);
  std::string last;
  if (what != "save" || !take_parameter(target, "last", last) || last.empty()) return;
  const auto duration = parse_duration(last);
  if (!duration || *duration < 0)
    throw std::invalid_argument("record save: last: expected a duration such as 10min");
}

}  // namespace

const char* const kCtlRecordNotes =
    "record start [NAME] [--duration D] [--max-size S] [--user U]... [--database D]...\n"
    "             [--application A]... [--client NETWORK]... [--sample PERCENT]\n"
    "         begins a recording in record_root/NAME. Sessions that are open are taken in at their next\n"
    "         idle moment. It ends at the first of: record stop, its duration, its size on disk.\n"
    "record stop, record status\n"
    "record mark TEXT\n"
    "         writes a mark into the recording; see show --marks, replay --from-mark and --to-mark\n"
    "record save NAME [--last DURATION]\n"
    "         keeps the segments written in that time (default: all) as a recording in record_root/NAME\n";

void add_ctl_record_options(cxxopts::Options& options) {
  const auto list = [] { return cxxopts::value<std::vector<std::string>>(); };
  const auto one = [] { return cxxopts::value<std::string>(); };
  auto add = options.add_options("Recording");
  add("duration", "record start: ends after it", one(), "DURATION");
  add("max-size", "record start: ends when so much is on disk", one(), "SIZE");
  add("user", "record start: this user's sessions only; repeatable", list(), "NAME");
  add("database", "record start: this database's sessions only; repeatable", list(), "NAME");
  add("application", "record start: sessions that began with this application_name; repeatable", list(),
      "NAME");
  add("client", "record start: clients of this network (10.0.0.0/8, ::1, unix); repeatable", list(),
      "NETWORK");
  add("sample", "record start: so many of 100 sessions, chosen by hash of client, user and database", one(),
      "PERCENT");
  add("last", "record save: what was recorded in this time, in whole segments", one(), "DURATION");
}

bool has_ctl_record_options(const cxxopts::ParseResult& given) {
  return std::any_of(std::begin(kOptions), std::end(kOptions),
                     [&](const RecordOption& option) { return given.count(option.flag) != 0; });
}

CtlQuestion ctl_record_question(const std::vector<std::string>& words, const cxxopts::ParseResult& given) {
  const bool known = !words.empty() && std::find(std::begin(kCommands), std::end(kCommands), words.front()) !=
                                           std::end(kCommands);
  if (!known) throw std::invalid_argument("expected record start, stop, status, mark TEXT or save NAME");
  const std::string& what = words.front();
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  CtlQuestion question{what, what == "status" ? "GET" : "POST", "/api/v1/record"};
  if (what != "status") question.target += "/" + what;
  if (what == "mark") {
    if (rest.empty()) throw std::invalid_argument("expected record mark TEXT");
    add_parameter(question.target, "text", joined(rest));
  } else {
    const std::size_t most = what == "start" || what == "save" ? 1 : 0;
    if (rest.size() > most) throw std::invalid_argument("unexpected argument " + rest[most]);
    if (what == "save" && rest.empty()) throw std::invalid_argument("expected record save NAME");
    if (!rest.empty()) add_parameter(question.target, "name", rest.front());
  }
  for (const RecordOption& option : kOptions) {
    if (given.count(option.flag) == 0) continue;
    if (what != option.command) {
      throw std::invalid_argument(std::string("--") + option.flag + " is for record " + option.command);
    }
    if (!option.list) {
      add_parameter(question.target, option.parameter, given[option.flag].as<std::string>());
      continue;
    }
    for (const std::string& value : given[option.flag].as<std::vector<std::string>>()) {
      add_parameter(question.target, option.parameter, value);
    }
  }
  check_values(what, question.target);
  return question;
}

}  // namespace understudy::recorder
