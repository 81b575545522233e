// The shadow of a client's session (mode shadow): reads that the primary answers are also run here, on
// another server, and the two answers compared. Nobody waits for it: what it cannot take at once is shed,
// whole exchanges at a time, and counted. What it is asked and answers is a session of its own in the
// recording.
//
// Belongs to a worker; told of its client's session by that, which outlives it or calls end().
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "proxy/endpoint.h"
#include "proxy/exchange_digest.h"
#include "proxy/observer.h"
#include "proxy/server_pool.h"
#include "proxy/session_context.h"

namespace understudy::proxy {

class ShadowSession final : public Runnable {
 public:
  // `key` names its pool; `descriptor` is the client's session's.
  ShadowSession(SessionContext& context, std::string key, SessionDescriptor descriptor);

  // Whether it has a server and room. Else whoever asks counts the exchange as shed.
  [[nodiscard]] bool has_server() const { return endpoint_.attached(); }
  [[nodiscard]] bool has_room() const;
  void attach(PooledServer server);
  // The history that its server has (SessionHistory::version()).
  [[nodiscard]] std::uint64_t& version() { return version_; }
  // `before` makes the server like the client's, in `answers` answers; `batch` has `readies`. `text`: its
  // SQL.
  void ask(const ByteBuffer& before, unsigned answers, ByteView batch, unsigned readies, std::string text);
  // The client was shown that by the primary.
  void primary_answered(ByteView bytes);
  // The recording has ended.
  void unobserve() {
    if (observer_ && observer_->over()) observer_.reset();
  }
  // Its client's session ends.
  void end();
  void run(std::uint32_t client_events, std::uint32_t server_events) override;

 private:
  struct Exchange {
    unsigned to_skip = 0;  // ReadyForQuery before the answer
    unsigned readies = 0;
    std::size_t size_bytes = 0;
    std::string text;
    std::optional<ExchangeDigest> primary;
    std::optional<ExchangeDigest> shadow;
  };

  void take(ByteView bytes);
  void compare();
  void tell_difference(const Exchange& exchange);
  void lose();

  SessionContext& context_;
  std::string key_;
  SessionDescriptor descriptor_;
  Endpoint endpoint_;
  PooledServer server_;  // all but its connection
  std::uint64_t version_ = 0;
  std::deque<Exchange> exchanges_;
  std::size_t answered_ = 0;  // of them, by the shadow
  std::size_t queued_bytes_ = 0;
  bool skipping_ = false;  // the digester reads answers to the history
  ExchangeDigester shadow_;
  ExchangeDigester primary_;  // of the last exchange
  std::unique_ptr<SessionObserver> observer_;
  bool ended_ = false;
};

}  // namespace understudy::proxy
