#include "recorder/recording_filter.h"

#include <algorithm>
#include <cstdio>

namespace understudy::recorder {
namespace {

constexpr std::string_view kUnix = "unix";

bool holds(const std::vector<std::string>& list, const std::string& one) {
  return list.empty() || std::find(list.begin(), list.end(), one) != list.end();
}

void append_list(std::string& out, const char* name, const std::vector<std::string>& list) {
  if (list.empty()) return;
  if (!out.empty()) out += "; ";
  out += name;
  for (const std::string& one : list) out += (&one == &list.front() ? " " : ", ") + one;
}

bool takes_client(const RecordingFilter& filter, const std::string& peer) {
  if (filter.clients.empty()) return true;
  const auto address = proxy::peer_address(peer);
  if (!address) return filter.unix_sockets;
  return std::any_of(filter.networks.begin(), filter.networks.end(),
                     [&](const proxy::Network& network) { return network.contains(*address); });
}

}  // namespace

std::string RecordingFilter::prepare() {
  networks.clear();
  unix_sockets = false;
  for (const std::string& client : clients) {
    if (client == kUnix) {
      unix_sockets = true;
      continue;
    }
    const auto network = proxy::Network::parse(client);
    if (!network) return "\"" + client + "\" is no network such as 10.0.0.0/8, ::1 or unix";
    networks.push_back(*network);
  }
  if (!(sample_percent > 0) || sample_percent > 100) return "a sample is more than 0 and at most 100 percent";
  return {};
}

bool RecordingFilter::takes(const SessionDescriptor& session) const {
  return holds(users, session.user()) && holds(databases, session.database()) &&
         holds(applications, session.parameter("application_name")) && takes_client(*this, session.peer) &&
         (sample_percent >= 100 || sample_point(session) * 100 < sample_percent);
}

std::string RecordingFilter::describe() const {
  std::string text;
  append_list(text, "user", users);
  append_list(text, "database", databases);
  append_list(text, "application", applications);
  append_list(text, "client", clients);
  if (sample_percent < 100) {
    char percent[32];
    std::snprintf(percent, sizeof percent, "%g %%", sample_percent);
    append_list(text, "sample", {percent});
  }
  return text;
}

double sample_point(const SessionDescriptor& session) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) {
      hash = (hash ^ std::uint64_t{static_cast<unsigned char>(c)}) * 0x100000001b3;
    }
    hash *= 0x100000001b3;  // the zero byte
  };
  add(session.peer);
  add(session.user());
  add(session.database());
  if (!proxy::peer_address(session.peer)) add(std::to_string(session.id.number));
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  hash ^= hash >> 31;
  return static_cast<double>(hash >> 11) * 0x1.0p-53;
}

}  // namespace understudy::recorder
