#include "proxy/client_session.h"

#include <algorithm>

#include "formats/wire/backend_builders.h"
#include "formats/wire/message_types.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/log_limit.h"

namespace understudy::proxy {
namespace {

// A session with much to say gives the others of its worker a turn after so many reads.
constexpr int kReadsPerTurn = 4;
// A closed session waits so long for its client to take the last bytes.
constexpr TimeNs kLinger = 30'000'000'000;
// And reads so often what its client had sent, in vain.
constexpr int kLastReads = 16;

// Where nothing more is known: the recording says it with the same words.
std::string who_left(CloseReason reason) {
  return reason == CloseReason::kServerLeft ? "the server left" : "the client left";
}

}  // namespace

ClientSession::ClientSession(SessionContext& context, std::unique_ptr<Connection> client,
                             AdoptOptions options)
    : context_(context),
      client_(context.loop, *this, Slot::kClient),
      server_(context, *this),
      login_(std::make_unique<Login>()),
      options_(std::move(options)),
      number_(context.shared.next_session.fetch_add(1, std::memory_order_relaxed)) {
  count(context_.shared.statistics.sessions_open);
  login_->started_at = last_activity_ = now_ns();
  client_.attach(std::move(client));
  client_.want_read(true);
}

ClientSession::~ClientSession() {
  context_.shared.statistics.sessions_open.fetch_sub(1, std::memory_order_relaxed);
  if (failover_) {
    context_.loop.cancel(failover_->retry);
    context_.loop.cancel(failover_->cancel_again);
  }
  if (login_) context_.loop.cancel(login_->retry);
  // Only a proxy that is torn down with sessions in it gets here with one open.
  if (observer_) observer_->closed({CloseReason::kShutdown, "the proxy ended"}, now_ns());
}

void ClientSession::run(std::uint32_t client_events, std::uint32_t server_events) {
  if (!client_.attached()) return;
  if ((client_events & EPOLLOUT) != 0 && !client_.flush()) client_gone();
  const bool connecting = state() == SessionState::kAuthenticating || moving();
  if (connecting && !server_.connected()) {
    const auto progress = server_.continue_connecting(server_events != 0);
    if (progress == ServerSession::Progress::kConnected) server_connected();
    if (progress == ServerSession::Progress::kFailed) server_unreachable(server_.failure());
    server_events = 0;
  } else if ((server_events & EPOLLOUT) != 0 && server_.endpoint().attached() &&
             !server_.endpoint().flush()) {
    server_write_failed_ = true;
  }
  const bool unread = failover_ && !failover_->unread.empty();
  if (client_.in_process() || unread || client_.ready_to_read(client_events)) pump_client();
  if (server_.connected() && server_.endpoint().ready_to_read(server_events)) pump_server();
  settle();
}

bool ClientSession::client_readable() {
  if (state() == SessionState::kClosed || client_eof_ || !client_.attached()) return false;
  if (state() == SessionState::kStartup) return true;
  if (server_.endpoint().backlogged() || server_write_failed_ || moving()) return false;
  if (failover_ && (failover_->continuity.holds_client() || failover_->cancelling ||
                    (failover_->split && !failover_->split->waiting.empty())))
    return false;
  if (context_.shared.paused.load(std::memory_order_relaxed) && tracker_.idle()) return false;
  // During authentication nothing but answers is taken; the rest waits in the client's socket.
  if (state() != SessionState::kAuthenticating) return true;
  const ByteBuffer& early = login_->client_bytes;
  // Where nothing is expected of it no more than one read is held, which may be its end.
  const bool judged =
      login_->own && (login_->own->let_in || login_->own->refuse_at != 0 || !login_->own->authentication);
  if (judged || held() || delayed() || login_->waiting_for_primary) return early.empty();
  return (server_.connected() || login_->own) &&
         (early.empty() || static_cast<char>(early.front()) == wire::frontend::kPassword);
}

bool ClientSession::server_readable() { return server_.connected() && !client_.backlogged(); }

void ClientSession::pump_client() {
  if (login_ && !login_->direct_tls_decided) look_for_direct_tls();
  if (failover_ && !take_unread()) return;
  for (int reads = 0; reads < kReadsPerTurn; ++reads) {
    if (!client_readable()) return;
    const ReadResult result = client_.read(context_.scratch);
    if (result.status == IoStatus::kWouldBlock) return;
    if (result.status == IoStatus::kClosed) return client_ended();
    if (result.status == IoStatus::kError) {
      note_tls_failure();
      return close(CloseReason::kClientLeft, client_.connection().error_text());
    }
    take_client(result.bytes);
    if (!result.more) return;
  }
  if (client_.in_process()) context_.loop.make_runnable(*this);
}

void ClientSession::pump_server() {
  for (int reads = 0; reads < kReadsPerTurn; ++reads) {
    if (!server_readable() || !server_.endpoint().attached()) return;
    auto room = context_.scratch;
    if (stream_ends_ != 0) room = room.first(std::min(room.size(), tracker_.server_left()));
    if (room.empty()) return end_stream();
    const ReadResult result = server_.endpoint().read(room);
    if (result.status == IoStatus::kWouldBlock) return;
    if (result.status == IoStatus::kClosed) return server_ended({});
    if (result.status == IoStatus::kError) return server_ended(server_.endpoint().connection().error_text());
    take_server(result.bytes);
    if (!result.more) return;
  }
}

void ClientSession::settle() {
  if (!client_.attached()) return;
  if (state() == SessionState::kClosed) {
    if (!client_.backlogged()) return finish_close();
    return client_.set_interest(false, true);
  }
  if (pooled_ && client_eof_ && !login_) {
    finish_pooled();
    if (state() == SessionState::kClosed) return;
  }
  if (draining_ && (tracker_.idle() || held() || delayed() || state() == SessionState::kStartup ||
                    (login_ && (login_->own || login_->waiting_for_primary)))) {
    return terminate(CloseReason::kShutdown, "57P01", "terminating connection due to administrator command");
  }
  if (join_ && join_->waits()) join_recording();
  if (failover_ && !failover_->unread.empty() && client_readable()) context_.loop.make_runnable(*this);
  client_.set_interest(client_readable(), client_.backlogged());
  if (server_.connected()) {
    server_.endpoint().set_interest(server_readable(), server_.endpoint().backlogged());
  }
}

void ClientSession::take_client(ByteView bytes) {
  last_activity_ = now_ns();
  if (login_) {
    append_bytes(login_->client_bytes, bytes);
    if (state() == SessionState::kStartup) return read_startup();
    return login_->own ? take_own_client_login() : relay_client_login();
  }
  if (request_since_ == 0) request_since_ = last_activity_;
  if (!tracker_.client_bytes(bytes)) return protocol_error(true, tracker_.violation());
  if (observer_) observer_->relayed(Direction::kFromClient, last_activity_, bytes);
  if (join_) join_->client_bytes(bytes);
  if (pooled_ && tracker_.terminate_seen()) return take_last(bytes);
  send_client_bytes(bytes);
  pass_cancel();
}

void ClientSession::send_client_bytes(ByteView bytes) {
  if (failover_ && failover_->split) return route(bytes);
  if (failover_ && failover_->shadow != nullptr) cast_shadow(bytes);
  const ByteView passed = failover_ ? failover_->continuity.to_server(bytes) : bytes;
  if (!passed.empty() && !server_.endpoint().send(passed)) server_write_failed_ = true;
  if (failover_) go_on();
}

void ClientSession::take_server(ByteView bytes) {
  last_activity_ = now_ns();
  if (login_) {
    login_->startup_packet = {};
    append_bytes(login_->server_bytes, bytes);
    return login_->own ? take_own_server_login() : relay_server_login();
  }
  if (!failover_) return show_client(bytes);
  if (failover_->unserved_since != 0) failover_->unserved_since = last_activity_;
  if (failover_->login) return take_other_login(bytes);
  const ByteView shown = failover_->continuity.to_client(bytes);
  if (!shown.empty()) {
    tracker_.server_restored();
    show_client(shown);
  }
  if (state() == SessionState::kClosed) return;
  enter_commits(false);
  go_on();
  if (state() == SessionState::kClosed) return;
  if (state() == SessionState::kReady && !moving()) {
    failover_->continuity.at_rest();
    failover_->losses = 0;
  }
  if (failover_->continuity.server_leaves()) return lose_server("the server ended the session");
  resume_waiting();
  pass_cancel();
}

void ClientSession::show_client(ByteView bytes) {
  if (!tracker_.server_bytes(bytes)) return protocol_error(false, tracker_.violation());
  if (request_since_ != 0 && tracker_.state() == SessionState::kReady && tracker_.client_at_boundary()) {
    context_.latency.add(last_activity_ - std::exchange(request_since_, 0));
  }
  if (observer_) observer_->relayed(Direction::kFromServer, last_activity_, bytes);
  if (join_) join_->server_bytes(bytes, tracker_.state() == SessionState::kReady);
  if (failover_ && failover_->shadow != nullptr) failover_->shadow->primary_answered(bytes);
  deliver(bytes);
}

void ClientSession::deliver(ByteView bytes) {
  if (!client_.send(bytes)) client_gone();
}

void ClientSession::client_gone() { close(CloseReason::kClientLeft, "the client is gone"); }

void ClientSession::client_ended() {
  client_eof_ = true;
  if (!server_.connected()) return close(CloseReason::kClientLeft, "the client left before it was logged in");
  if (pooled_) return finish_pooled();
  // As without a proxy: the server answers what it was asked before it sees the end.
  server_.endpoint().finish_writing();
}

// The session waits where another server may be found.
void ClientSession::server_unreachable(const std::string& error) {
  if (moving()) return try_later(error);
  if (!context_.shared.failover) return server_ended(error);
  const TopologySnapshot topology = context_.shared.topology.get();
  if (const auto at = home(*topology)) context_.shared.suspect(*at);
  await_server();
}

void ClientSession::server_ended(const std::string& error) {
  const bool expected = tracker_.terminate_seen() || client_eof_;
  // Whoever is told that it is over leaves as well, and may be the faster one.
  const bool told = login_ ? login_->server_error : tracker_.fatal_seen();
  if (expected && told) return close(CloseReason::kServerLeft, error);
  if (expected) return close(CloseReason::kClientLeft, {});
  if (moving() && failover_->continuity.stage() == Continuity::Stage::kNoServer) {
    return try_later(error.empty() ? "it closed the connection" : error);
  }
  if (failover_ && !tracker_.fatal_seen()) return lose_server(error.empty() ? "end of file" : error);
  if (replicates() && !tracker_.fatal_seen() && tracker_.server_at_boundary()) {
    const TopologySnapshot topology = context_.shared.topology.get();
    if (const auto at = home(*topology)) context_.shared.suspect(*at);
    return strand_replication(error.empty() ? "it closed the connection" : error);
  }
  if (login_ && context_.shared.failover &&
      (!login_->startup_packet.empty() || (login_->own && login_->own->server_login))) {
    return server_unreachable(error);
  }
  const bool announced = told || (!login_ && !tracker_.server_at_boundary());
  if (announced) return close(CloseReason::kServerLeft, error);
  count(context_.shared.statistics.backend_failures);
  if (context_.shared.suspect && !context_.shared.failover) context_.shared.suspect(0);
  const std::string backend = server_.backend().to_string();
  const std::string what = server_.connected() ? "backend " + backend + " closed the connection unexpectedly"
                                               : "could not connect to backend " + backend + ": " + error;
  log_event(LogLevel::kWarning, server_.connected() ? "backend_lost" : "backend_unreachable",
            {{"session", std::to_string(number_)},
             {"backend", backend},
             {"error", error.empty() ? "end of file" : error}});
  terminate(CloseReason::kServerLeft, server_.connected() ? "08006" : "08001", what,
            server_.failed_to_encrypt() ? "Compare server_tls_sslmode with the server's own settings."
                                        : "Is the server running on that host and accepting connections?");
}

void ClientSession::protocol_error(bool client, const std::string& what) {
  Statistics& statistics = context_.shared.statistics;
  count(client ? statistics.protocol_errors_client : statistics.protocol_errors_server);
  const std::initializer_list<LogField> fields = {
      {"session", std::to_string(number_)},
      {"from", client ? "client" : "server"},
      {"peer", client_.attached() ? client_.connection().peer() : std::string()},
      {"error", what}};
  // A server has better things to do, and its errors are not to be lost among those of clients.
  if (client) {
    log_limited(LogLevel::kWarning, "protocol_error", fields, now_ns());
  } else {
    log_event(LogLevel::kWarning, "protocol_error", fields);
  }
  terminate(CloseReason::kProtocolError, "08P01", what);
}

void ClientSession::terminate(CloseReason reason, std::string_view sqlstate, const std::string& message,
                              std::string_view hint, std::string_view detail) {
  if (state() == SessionState::kClosed) return;
  if (client_.attached() && (login_ || tracker_.server_at_boundary())) {
    ByteBuffer error;
    wire::append_error_response(
        error,
        {.severity = "FATAL", .sqlstate = sqlstate, .message = message, .detail = detail, .hint = hint});
    [[maybe_unused]] const bool sent = client_.send(error);  // the client may be gone; we are closing anyway
  }
  close(reason, message);
}

void ClientSession::end_stream() {
  if (stream_ends_ == 0) stream_ends_ = now_ns() + kLinger;
  if (!tracker_.server_at_boundary() && now_ns() <= stream_ends_) return;
  terminate(CloseReason::kShutdown, "57P01", "terminating connection due to administrator command");
}

void ClientSession::drain() {
  draining_ = true;
  context_.loop.make_runnable(*this);
}

void ClientSession::check_deadlines(TimeNs now) {
  const Limits& limits = context_.limits;
  if (state() != SessionState::kClosed && (moving() || (login_ && login_->waiting_for_primary))) {
    check_failover(now);
    settle();
  } else if (state() == SessionState::kClosed) {
    if (now > linger_until_) finish_close();
  } else if (held()) {
    check_hold(now);
  } else if (waits_in_vain(now)) {
    leave_silent_server();
    settle();
  } else if (login_ && limits.connect_timeout > 0 && login_->connecting_since > 0 && !server_.connected() &&
             now - login_->connecting_since > limits.connect_timeout) {
    server_unreachable("timed out after " + std::to_string(limits.connect_timeout / 1'000'000) + " ms");
    settle();
  } else if (login_ && login_->own && login_->own->refuse_at > 0 && now > login_->own->refuse_at) {
    tell_refusal();
    settle();
  } else if (login_ && login_->own && login_->own->waiting_since > 0 && limits.query_wait_timeout > 0 &&
             now - login_->own->waiting_since > limits.query_wait_timeout) {
    count(context_.shared.statistics.wait_timeouts);
    terminate(CloseReason::kTimeout, "08P01", "query_wait_timeout: no server became free");
    settle();
  } else if (login_ && !delayed() && (!login_->own || login_->own->waiting_since == 0) &&
             limits.login_timeout > 0 && now - login_->started_at > limits.login_timeout) {
    count(context_.shared.statistics.login_timeouts);
    log_limited(LogLevel::kWarning, "login_timeout",
                {{"session", std::to_string(number_)}, {"peer", client_.connection().peer()}}, now_ns());
    terminate(CloseReason::kTimeout, "08P01", "client_login_timeout: login took too long");
    settle();
  } else if (!login_ && limits.client_idle_timeout > 0 && state() == SessionState::kReady &&
             now - last_activity_ > limits.client_idle_timeout &&
             !context_.shared.paused.load(std::memory_order_relaxed)) {
    count(context_.shared.statistics.idle_timeouts);
    terminate(CloseReason::kTimeout, "57P05", "terminating connection due to client_idle_timeout");
    settle();
  }
}

void ClientSession::close(CloseReason reason, const std::string& text) {
  if (state() == SessionState::kClosed) return;
  const bool logged_in = !login_;
  // A cancel on its way must not meet the server's next client.
  const bool cancelled = !client_key_.empty() && context_.shared.cancels.remove(process_id_, client_key_);
  const bool reusable = reason == CloseReason::kClientLeft && !cancelled && server_is_reusable();
  if (failover_ && failover_->split) end_split(reusable);
  if (failover_) enter_commits(true);
  end_shadow();
  [[maybe_unused]] const bool closed = tracker_.advance(SessionEvent::kClose);
  if (observer_) observer_->closed({reason, text}, now_ns());
  observer_.reset();
  leave_server(reusable);
  leave_home();
  server_.endpoint().close();
  linger_until_ = now_ns() + kLinger;
  if (context_.limits.log_connections) {
    log_event(LogLevel::kInfo, logged_in ? "session_closed" : "login_ended",
              {{"session", std::to_string(number_)}, {"reason", text.empty() ? who_left(reason) : text}});
  }
  context_.loop.make_runnable(*this);  // settle() buries it, or waits for the client to take its last bytes
}

void ClientSession::finish_close() {
  if (!client_.attached()) return;
  client_.connection().shutdown_write();
  // Unread bytes would make the kernel reset the connection, and the client miss what it was told last.
  for (int reads = 0; !client_.in_process() && !client_eof_ && reads < kLastReads; ++reads) {
    if (client_.read(context_.scratch).status != IoStatus::kOk) break;
  }
  client_.close();
  context_.owner.ended(*this);
}

}  // namespace understudy::proxy
