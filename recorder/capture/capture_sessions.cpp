#include "recorder/capture/capture_sessions.h"

#include <algorithm>

#include "recorder/capture/captured_connection.h"

namespace understudy::recorder {

CaptureSessions::CaptureSessions(proxy::TrafficObserver& observer, std::vector<std::uint16_t> ports,
                                 TlsKeyLog* keys)
    : observer_(observer), ports_(std::move(ports)), keys_(keys) {}

CaptureSessions::~CaptureSessions() = default;

std::unique_ptr<capture::ConversationListener> CaptureSessions::conversation(
    const capture::ConversationOpening& opening) {
  return std::make_unique<CapturedConnection>(*this, opening);
}

bool CaptureSessions::is_server_port(std::uint16_t port) const {
  return std::find(ports_.begin(), ports_.end(), port) != ports_.end();
}

}  // namespace understudy::recorder
