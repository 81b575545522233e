// Asks one backend how it is: keeps a connection to it, and at each check sends one query and reads the
// answer (PostgreSQL documentation, "System Administration Functions", 12 to 18).
//
//              +-> the next address, if this one refuses
//     check(): kConnecting -> kEncrypting -> kLoggingIn -> kAsking [-> kReadingHistory] -> kResting
//     check():                                             kAsking <-----------------------+
//
// Any failure, and a time-out of the login or of the queries, ends the check and the connection; the next
// check connects again. A connection that the server closes while it rests is no failure, but a reason to
// check.
//
// Owned by the BackendMonitor; used on its event loop's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/endpoint.h"
#include "proxy/health_query.h"
#include "proxy/health_settings.h"
#include "proxy/server_encryption.h"
#include "proxy/server_login.h"
#include "proxy/socket_connection.h"
#include "proxy/topology_tracker.h"

namespace understudy::proxy {

// What servers are reached with; null: no TLS. Called on the monitor's thread.
using ServerTlsSource = std::function<std::shared_ptr<const ServerTls>()>;

class HealthCheck final : public Runnable {
 public:
  struct Listener {
    std::function<void(const CheckResult&)> succeeded;
    std::function<void(std::string error)> failed;
    std::function<void()> disconnected;      // while it rested
    std::function<void(Lsn)> replayed = {};  // the answer to ask_position()
  };

  // `settings` is borrowed, and may change between turns.
  HealthCheck(EventLoop& loop, Address backend, const HealthSettings& settings, ServerTlsSource tls,
              Listener listener);
  ~HealthCheck() override;

  // Begins a check, which ends with one call of the listener, at once if it can only fail. Not while busy().
  void check();
  // Asks a replica that rests how far it has replayed, and nothing else. A failure is one of a check.
  void ask_position();
  [[nodiscard]] bool resting() const { return step_ == Step::kResting; }
  [[nodiscard]] bool busy() const { return step_ != Step::kClosed && step_ != Step::kResting; }
  // Where to connect; if nowhere, why. A connection to an address that is no longer among them ends before
  // the next check.
  void set_addresses(std::vector<SocketAddress> addresses, std::string why_none);
  // Connects anew at the next check: what the login is done with has changed.
  void reconnect() { stale_ = true; }
  void run(std::uint32_t client_events, std::uint32_t server_events) override;

 private:
  enum class Step : std::uint8_t {
    kClosed,
    kConnecting,
    kEncrypting,
    kLoggingIn,
    kAsking,
    kReadingHistory,
    kAskingPosition,
    kResting
  };

  void connect();
  void try_next_address(std::string why);
  void connected();
  void encrypt(ServerEncryption::Progress progress);
  void begin_login();
  void advance_login();
  void ask(std::string_view sql, Step step);
  // Reads what is there into received_. Not empty: why no more will come.
  [[nodiscard]] std::string receive();
  void exchange(std::uint32_t events);
  void take_messages();
  void take_message(char type, ByteView payload);
  void answered();
  void position_answered();
  void state_answered();
  void history_answered();
  void await(TimeNs patience, std::string_view what);
  void drop();
  void fail(std::string why);
  void succeed();

  EventLoop& loop_;
  const Address backend_;
  const HealthSettings& settings_;
  const ServerTlsSource tls_;
  const Listener listener_;

  std::vector<SocketAddress> addresses_;
  std::string why_no_address_;
  std::size_t address_ = 0;          // the one in use, or to be tried first
  std::size_t addresses_tried_ = 0;  // in this check
  bool plain_ = false;               // TLS failed at this address, and is optional
  bool stale_ = false;

  Step step_ = Step::kClosed;
  Endpoint endpoint_;
  ServerEncryption encryption_{endpoint_};
  std::unique_ptr<ServerLogin> login_;
  EventLoop::TimerId timeout_ = 0;
  EventLoop::TimerId retry_ = 0;
  std::array<Byte, 8192> scratch_;
  ByteBuffer received_;

  // The answer to the query under way.
  QueryRow row_;
  std::string query_error_;
  std::string query_sqlstate_;

  CheckResult result_;
  std::uint32_t history_of_ = 0;  // the timeline whose history was asked for in this connection
  bool told_unreadable_ = false;
};

}  // namespace understudy::proxy
