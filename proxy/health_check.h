// Asks one backend how it is: keeps a connection to it, and at each check sends one query and reads the
// answer (PostgreSQL documentation, "System Administration Functions", 12 to 18).
//
//     check(): kOpening -> kAsking [-> kReadingHistory] -> kResting
//     check():             kAsking <-----------------------+
//
// Any failure, and a time-out of the login or of the queries, ends the check and the connection; the next
// check connects again. A connection that the server closes while it rests is no failure, but a reason to
// check.
//
// Owned by the BackendMonitor; used on its event loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/database_client.h"
#include "proxy/health_query.h"
#include "proxy/health_settings.h"
#include "proxy/topology_tracker.h"

namespace understudy::proxy {

class HealthCheck final {
 public:
  struct Listener {
    std::function<void(const CheckResult&)> succeeded;
    std::function<void(std::string error)> failed;
    std::function<void()> disconnected;      // while it rested
    std::function<void(Lsn)> replayed = {};  // the answer to ask_position()
    // The server is there for others, but does not let the check in. Without it that is a failure.
    std::function<void(std::string why)> turned_away = {};
  };

  // `settings` is borrowed, and may change between turns.
  HealthCheck(EventLoop& loop, const Address& backend, const HealthSettings& settings, ServerTlsSource tls,
              Listener listener);
  ~HealthCheck();
  HealthCheck(const HealthCheck&) = delete;
  HealthCheck& operator=(const HealthCheck&) = delete;

  // Begins a check, which ends with one call of the listener, at once if it can only fail. Not while busy().
  void check();
  // Asks a replica that rests how far it has replayed, and nothing else. A failure is one of a check.
  void ask_position();
  [[nodiscard]] bool resting() const { return step_ == Step::kResting; }
  [[nodiscard]] bool busy() const { return step_ != Step::kClosed && step_ != Step::kResting; }
  // Where to connect; if nowhere, why. A connection to an address that is no longer among them ends before
  // the next check.
  void set_addresses(std::vector<SocketAddress> addresses, std::string why_none) {
    client_->set_addresses(std::move(addresses), std::move(why_none));
  }
  // Connects anew at the next check: what the login is done with has changed.
  void reconnect() { stale_ = true; }
  // Whatever is under way, no call will come.
  void stop();

 private:
  enum class Step : std::uint8_t { kClosed, kOpening, kAsking, kReadingHistory, kAskingPosition, kResting };

  void ask(std::string_view sql, Step step);
  void answered(const QueryAnswer& answer);
  void position_answered(const QueryRow& row);
  void state_answered(const QueryRow& row);
  void history_answered(const QueryAnswer& answer);
  void fail(std::string why);
  void succeed();

  EventLoop& loop_;
  const std::string name_;
  const HealthSettings& settings_;
  const Listener listener_;
  std::unique_ptr<DatabaseClient> client_;
  Step step_ = Step::kClosed;
  bool stale_ = false;

  CheckResult result_;
  std::uint32_t history_of_ = 0;  // the timeline whose history was asked for in this connection
  bool told_unreadable_ = false;
};

}  // namespace understudy::proxy
