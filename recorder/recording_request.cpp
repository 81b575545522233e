#include "recorder/recording_request.h"

#include <locale>
#include <sstream>

#include "formats/command.h"
#include "proxy/admin_request.h"

namespace understudy::recorder {
namespace {

bool take_list(const std::string& target, const char* name, std::vector<std::string>& out) {
  auto values = proxy::parameters_of(target, name);
  if (!values) return false;
  out = std::move(*values);
  return true;
}

bool take_percent(const std::string& text, double& out) {
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  double value = 0;
  if (!(in >> value) || in.peek() != std::istringstream::traits_type::eof()) return false;
  out = value;
  return true;
}

}  // namespace

bool take_parameter(std::string_view target, std::string_view name, std::string& out) {
  const auto values = proxy::parameters_of(target, name);
  if (!values || values->size() > 1) return false;
  out = values->empty() ? std::string() : values->front();
  return true;
}

std::string parse_recording_request(const std::string& target, RecordingRequest& out) {
  std::string duration;
  std::string size;
  std::string sample;
  RecordingFilter& filter = out.filter;
  const bool read =
      take_parameter(target, "name", out.name) && take_parameter(target, "duration", duration) &&
      take_parameter(target, "max_size", size) && take_parameter(target, "sample", sample) &&
      take_list(target, "user", filter.users) && take_list(target, "database", filter.databases) &&
      take_list(target, "application", filter.applications) && take_list(target, "client", filter.clients);
  if (!read) return "a parameter is malformed, or given twice where it can be given once";
  for (const auto* const names : {&filter.users, &filter.databases}) {
    if (std::find(names->begin(), names->end(), "") != names->end())
      return "user and database: expected names; nobody has none";
  }
  if (!duration.empty()) {
    const auto given = parse_duration(duration);
    if (!given || *given <= 0) return "duration: expected a duration such as 10min";
    out.duration = *given;
  }
  if (!size.empty()) {
    const auto given = parse_size(size);
    if (!given || *given == 0) return "max_size: expected a size such as 1GiB";
    out.bytes = *given;
  }
  if (!sample.empty() && !take_percent(sample, filter.sample_percent)) return "sample: expected a percentage";
  return filter.prepare();
}

}  // namespace understudy::recorder
