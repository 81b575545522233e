// Which of the admin port's endpoints a request is for, and whether it may have it. Pure: no sockets, no
// proxy.
//
// What is guarded against: pages of other sites that a browser on this machine shows (they can send simple
// requests to 127.0.0.1, and with DNS rebinding read the answers), and who has no token.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/transcript/event.h"

namespace understudy::proxy {

enum class AdminEndpoint : std::uint8_t {
  kHealth,
  kReady,
  kMetrics,
  kBackends,
  kPools,
  kSessions,
  kFailovers,
  kPause,
  kResume,
  kReload,
  kMove,
  kRecord,  // what is being recorded
  kRecordStart,
  kRecordStop,
  kRecordMark,
  kRecordSave
};

// What of an HTTP request is looked at. Headers that were not sent are nothing, or empty where that is the
// same.
struct AdminRequest {
  std::string method;
  std::string target;  // path and query
  std::vector<std::string> hosts;
  std::optional<std::string> origin;
  std::optional<std::string> fetch_site;  // Sec-Fetch-Site
  std::string content_type;
  std::string authorization;
  bool marked = false;  // X-Understudy, which no form and no simple cross-site request can send
};

struct AdminRules {
  std::string token;     // secret; empty: none is asked for
  bool loopback = true;  // only this machine can connect
};

// HTTP's status and, where it is not 200, why and what else the answer says.
struct AdminVerdict {
  int status = 200;
  AdminEndpoint endpoint = AdminEndpoint::kHealth;
  std::string reason;
  std::string allow;
  bool token_compared = false;  // one was shown, and the answer depends on it
};
[[nodiscard]] AdminVerdict judge(const AdminRequest& request, const AdminRules& rules);

// The value of a parameter of the query, %-decoded; nothing when there is none, or it is malformed.
[[nodiscard]] std::optional<std::string> parameter_of(std::string_view target, std::string_view name);

// All values of a parameter that may be given several times, in order; nothing when one is malformed.
[[nodiscard]] std::optional<std::vector<std::string>> parameters_of(std::string_view target,
                                                                    std::string_view name);

// The duration in the query's "timeout"; `otherwise` when it has none, nothing when it is malformed or longer
// than `most`.
[[nodiscard]] std::optional<TimeNs> timeout_of(std::string_view target, TimeNs otherwise, TimeNs most);

}  // namespace understudy::proxy
