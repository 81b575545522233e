// What the admin port does: answers a request that admin_request.h lets in, from the proxy's own numbers.
// Knows nothing of HTTP but its status codes.
//
// Any thread, several at once; until the proxy's stop().
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "proxy/admin_request.h"
#include "proxy/proxy.h"

namespace understudy::proxy {

struct AdminReply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
};

class AdminService {
 public:
  // What came of rereading the configuration: why it was refused, or which keys wait for a restart.
  struct Reloaded {
    std::string refused;
    std::vector<std::string> restart_needed;
  };
  // Longest that a pause waits for sessions to be quiet.
  static constexpr TimeNs kLongestPause = 600'000'000'000;
  // And the longest that any answer takes, a move's promotion included.
  static constexpr TimeNs kLongestAnswer = kLongestPause + 60'000'000'000;

  // Answers what is asked of recordings, which this folder knows nothing of.
  using Recording = std::function<AdminReply(AdminEndpoint, const AdminRequest&)>;
  // `reload` and `recording` may be called from any thread, several at once. Without `recording` there are no
  // such paths.
  AdminService(Proxy& proxy, std::function<Reloaded()> reload, Recording recording = {})
      : proxy_(proxy), reload_(std::move(reload)), recording_(std::move(recording)) {}

  [[nodiscard]] AdminReply answer(AdminEndpoint endpoint, const AdminRequest& request);
  void token_refused() { proxy_.note_token_refused(); }
  // Whoever waits for a pause waits no longer.
  void stop() { stopping_.store(true, std::memory_order_relaxed); }

 private:
  [[nodiscard]] AdminReply readiness() const;
  [[nodiscard]] AdminReply metrics() const;
  [[nodiscard]] AdminReply pools() const;
  [[nodiscard]] AdminReply sessions() const;
  [[nodiscard]] AdminReply pause(const AdminRequest& request);
  [[nodiscard]] AdminReply reload() const;
  [[nodiscard]] AdminReply move(const AdminRequest& request);

  Proxy& proxy_;
  std::function<Reloaded()> reload_;
  Recording recording_;
  std::atomic<unsigned> pausing_{0};
  std::atomic<bool> moving_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace understudy::proxy
