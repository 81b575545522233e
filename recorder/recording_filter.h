// Which sessions a recording takes: by who they are, and a sample of those. Decided once, when a session
// opens or is taken in, from what its client said of itself then.
//
// The sample is by hash, so that several proxies agree: of what every one of them sees alike, the client's
// address and port, user and database (sample_point()).
//
// A value. Any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/event.h"
#include "proxy/access_rules.h"

namespace understudy::recorder {

struct RecordingFilter {
  // Of each that is not empty, one must fit.
  std::vector<std::string> users = {};
  std::vector<std::string> databases = {};
  std::vector<std::string> applications = {};  // application_name, as the session began
  std::vector<std::string> clients = {};       // networks as they were given, or "unix"
  double sample_percent = 100;
  // What `clients` says; set by prepare().
  std::vector<proxy::Network> networks = {};
  bool unix_sockets = false;

  // Reads `clients`. Returns what is wrong with the filter; empty when nothing is.
  [[nodiscard]] std::string prepare();
  [[nodiscard]] bool takes(const SessionDescriptor& session) const;
  // In words, for a status; empty when it takes everything.
  [[nodiscard]] std::string describe() const;
};

// Where in [0, 1) a session stands: a sample of p percent takes those below p / 100. FNV-1a, 64 bits, of the
// texts peer, user and database, each followed by a zero byte; mixed as splitmix64 ends; its upper 53 bits.
// Clients of Unix sockets have no port: for them the session's number is mixed in, and proxies do not agree.
[[nodiscard]] double sample_point(const SessionDescriptor& session);

}  // namespace understudy::recorder
