// Makes sessions of conversations: every TCP connection that is seen becomes a CapturedConnection, which
// becomes a session once it is known to be one. Keeps what they share: numbers, counts, who can be cancelled.
//
//     Reassembler -> CapturedConnection: SessionOpening -> CapturedLogin -> ProtocolTracker ->
//     SessionObserver
//                                                 \--- SessionJoiner ---/        (a Recorder's, or a file's)
//
// One thread at a time.
#pragma once

#include <map>

#include "formats/capture/conversation.h"
#include "proxy/observer.h"
#include "recorder/capture/capture_counts.h"
#include "recorder/capture/captured_login.h"
#include "recorder/capture/tls_key_log.h"

namespace understudy::recorder {

class CapturedConnection;

class CaptureSessions final : public capture::ConversationFactory {
 public:
  // `observer` and `keys` (of TLS sessions; null: none) are borrowed. `ports`: where servers listen; empty:
  // anywhere.
  CaptureSessions(proxy::TrafficObserver& observer, std::vector<std::uint16_t> ports,
                  TlsKeyLog* keys = nullptr);
  ~CaptureSessions() override;

  [[nodiscard]] std::unique_ptr<capture::ConversationListener> conversation(
      const capture::ConversationOpening& opening) override;

  [[nodiscard]] const CaptureCounts& counts() const { return counts_; }

 private:
  friend class CapturedConnection;
  using Cancellable = std::pair<capture::Endpoint, std::uint32_t>;  // a server and a process of it

  [[nodiscard]] bool is_server_port(std::uint16_t port) const;
  [[nodiscard]] std::uint32_t next_number() { return ++last_number_; }

  proxy::TrafficObserver& observer_;
  const std::vector<std::uint16_t> ports_;
  TlsKeyLog* const keys_;
  CaptureCounts counts_;
  std::uint32_t last_number_ = 0;
  std::map<Cancellable, CapturedConnection*> cancellable_;
};

}  // namespace understudy::recorder
