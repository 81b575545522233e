// A connection of the proxy's own to a server: reaches it, encrypts as sessions do, logs in, and asks one
// question after the other.
//
//             +-> the next address, if this one refuses
//     open(): kConnecting -> kEncrypting -> kLoggingIn -> kResting <--> kAsking
//
// Any failure, and whatever takes longer than it may, ends the connection. What the server sends is bounded:
// of an answer the first row is kept.
//
// Owned by whoever asks; used on its event loop's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/address.h"
#include "proxy/endpoint.h"
#include "proxy/query_answer.h"
#include "proxy/server_encryption.h"
#include "proxy/server_login.h"

namespace understudy::proxy {

// What servers are reached with; null: no TLS. Called on the thread of whoever asks.
using ServerTlsSource = std::function<std::shared_ptr<const ServerTls>()>;

class DatabaseClient final : public Runnable {
 public:
  struct Login {
    std::string user;
    std::string password;  // secret
    std::string database;
    std::string application_name;
    bool operator==(const Login&) const = default;
  };
  struct Listener {
    std::function<void()> ready;
    std::function<void(const QueryAnswer&)> answered;
    std::function<void(std::string why)> failed;
    std::function<void()> disconnected;  // while it rested
  };

  // `backend` as configured.
  DatabaseClient(EventLoop& loop, Address backend, ServerTlsSource tls, Listener listener);
  ~DatabaseClient() override;

  // Where to connect; if nowhere, why. A connection to an address that is no longer among them is stale().
  void set_addresses(std::vector<SocketAddress> addresses, std::string why_none);
  [[nodiscard]] bool stale() const { return stale_; }

  // Ends with ready() or failed(), at once if it can only fail. `patience`: up to the end of the login.
  void open(Login login, TimeNs patience);
  // Ends with answered() or failed(). Only while resting().
  void ask(std::string_view sql, TimeNs patience, std::span<const std::string> parameters = {});
  // Whatever is under way, no call will come.
  void close();

  // SQLSTATE of the login's refusal; empty while it was not refused in the server's words.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  // The last login found a server that serves others: it asked for a proof that is not to be had, or refused
  // in a way that is not "not now" (SQLSTATE 57P01 to 57P03).
  [[nodiscard]] bool turned_away() const { return turned_away_; }

  [[nodiscard]] bool resting() const { return step_ == Step::kResting; }
  [[nodiscard]] bool busy() const { return step_ != Step::kClosed && step_ != Step::kResting; }
  void run(std::uint32_t client_events, std::uint32_t server_events) override;

 private:
  enum class Step : std::uint8_t { kClosed, kConnecting, kEncrypting, kLoggingIn, kAsking, kResting };

  void connect();
  void try_next_address(std::string why);
  void connected();
  void encrypt(ServerEncryption::Progress progress);
  void begin_login();
  void advance_login();
  // Reads what is there into received_. Not empty: why no more will come.
  [[nodiscard]] std::string receive();
  void exchange(std::uint32_t events);
  void take_messages();
  void take_message(char type, ByteView payload);
  void await(TimeNs patience, std::string_view what);
  void cancel(EventLoop::TimerId& timer);
  void fail(std::string why);

  EventLoop& loop_;
  const Address backend_;
  const ServerTlsSource tls_;
  const Listener listener_;
  Login login_;

  std::vector<SocketAddress> addresses_;
  std::string why_no_address_;
  std::size_t address_ = 0;          // the one in use, or to be tried first
  std::size_t addresses_tried_ = 0;  // since open()
  bool plain_ = false;               // TLS failed at this address, and is optional
  bool stale_ = false;

  Step step_ = Step::kClosed;
  Endpoint endpoint_;
  ServerEncryption encryption_{endpoint_};
  std::unique_ptr<ServerLogin> server_login_;
  EventLoop::TimerId timeout_ = 0;
  EventLoop::TimerId retry_ = 0;
  std::array<Byte, 8192> scratch_;
  ByteBuffer received_;
  std::string refusal_;
  bool turned_away_ = false;
  QueryAnswer answer_;  // of the question under way
};

}  // namespace understudy::proxy
