// ClientSession between accept and the first ReadyForQuery: start-up, and an authentication that is relayed
// message by message so that no secret of it is shown to an observer. (PostgreSQL documentation, "Start-up".)
#include <algorithm>
#include <type_traits>

#include "formats/wire/message_types.h"
#include "formats/wire/startup.h"
#include "proxy/cancel_relay.h"
#include "proxy/client_session.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/log_limit.h"

namespace understudy::proxy {
namespace {

// Messages of authentication and start-up are small; a longer one is no such message.
constexpr std::uint32_t kMaxLoginMessage = 64U << 10;
constexpr std::size_t kHeaderBytes = 5;

// The size of the whole message at the front of `bytes`; 0 when more must come first. False on a bad length.
bool whole_message(ByteView bytes, std::size_t& size) {
  size = 0;
  if (bytes.size() < kHeaderBytes) return true;
  const std::uint32_t length = load_be32(bytes.data() + 1);
  if (length < 4 || length > kMaxLoginMessage) return false;
  if (bytes.size() >= std::size_t{length} + 1) size = std::size_t{length} + 1;
  return true;
}

std::string tls_version(const Connection& connection) {
  return connection.tls() == nullptr ? "off" : connection.tls()->version();
}

// The server takes the last of several, whoever reads a packet before it may take another: nobody must be
// judged, recorded or pooled as one user and be another to the server.
const char* named_twice(const std::vector<std::pair<std::string, std::string>>& parameters) {
  for (const char* const name : {"user", "database", "replication"}) {
    const auto is_it = [name](const auto& parameter) { return parameter.first == name; };
    if (std::count_if(parameters.begin(), parameters.end(), is_it) > 1) return name;
  }
  return nullptr;
}

void drop_front(ByteBuffer& buffer, std::size_t count) {
  buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

void ClientSession::read_startup() {
  ByteBuffer& bytes = login_->client_bytes;
  const wire::StartupDecoded decoded = wire::decode_startup(bytes, context_.limits.startup_packet_bytes);
  if (decoded.need_more() != nullptr) return;
  if (decoded.error() != nullptr) {
    return protocol_error(true, "invalid start-up packet: " + std::string(decoded.error()->text));
  }
  const bool more = decoded.consumed < bytes.size();
  const wire::StartupPacket& packet = *decoded.packet();
  if (std::holds_alternative<wire::SslRequest>(packet) ||
      std::holds_alternative<wire::GssEncRequest>(packet)) {
    const bool ssl = std::holds_alternative<wire::SslRequest>(packet);
    // Bytes that came before the answer could later pass for encrypted ones (CVE-2021-23214 and its kin).
    if (more) return protocol_error(true, "bytes after an encryption request, before its answer");
    if (ssl && offer_tls()) return;
    return answer_encryption_request(ssl ? login_->ssl_answered : login_->gss_answered,
                                     ssl ? "SSLRequest" : "GSSENCRequest");
  }
  if (const auto* cancel = std::get_if<wire::CancelRequest>(&packet)) {
    return begin_cancel(cancel->process_id, cancel->secret_key);
  }
  const auto& startup = std::get<wire::StartupMessage>(packet);
  // Taken out first: the login may be over before begin_session() returns.
  const ByteBuffer whole(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(decoded.consumed));
  drop_front(bytes, decoded.consumed);
  begin_session(whole, startup.protocol_version, startup.parameters);
}

void ClientSession::answer_encryption_request(bool& answered, const char* name) {
  if (answered) return protocol_error(true, std::string(name) + " sent twice");
  answered = true;
  login_->client_bytes.clear();
  deliver(as_bytes("N"));
}

void ClientSession::begin_session(ByteView packet, std::uint32_t version,
                                  std::vector<std::pair<std::string, std::string>> parameters) {
  Statistics& statistics = context_.shared.statistics;
  if (statistics.sessions_open.load(std::memory_order_relaxed) > context_.limits.max_client_connections) {
    count(statistics.refused_too_many);
    log_limited(LogLevel::kWarning, "session_refused",
                {{"session", std::to_string(number_)},
                 {"peer", client_.connection().peer()},
                 {"max_client_conn", std::to_string(context_.limits.max_client_connections)}},
                now_ns());
    return terminate(CloseReason::kProtocolError, "53300",
                     "sorry, too many clients already (max_client_conn = " +
                         std::to_string(context_.limits.max_client_connections) + ")");
  }
  login_->startup_packet.assign(packet.begin(), packet.end());
  SessionDescriptor& descriptor = login_->descriptor;
  descriptor.id.number = number_;
  descriptor.protocol_version = version;
  descriptor.startup_parameters = std::move(parameters);
  descriptor.peer = client_.connection().peer();
  descriptor.attributes = std::move(options_.attributes);
  descriptor.client_tls = client_.connection().tls() != nullptr;
  if (!admits_client(descriptor)) return;
  if (const char* const twice = named_twice(descriptor.startup_parameters)) {
    return protocol_error(true, "invalid start-up packet: \"" + std::string(twice) + "\" is given twice");
  }
  if (!tracker_.advance(SessionEvent::kStartupReceived)) return;
  if (!delay_login()) begin_login();
}

void ClientSession::begin_login() {
  if (auto policy = context_.shared.access.get()) return begin_own_login(std::move(policy));
  start_server();
}

void ClientSession::start_server() {
  if (hold_login()) return;
  const TopologySnapshot topology = context_.shared.topology.get();
  const bool leave_of_its_pool = pooled_ && home_ >= 0;
  login_->waiting_for_primary = !leave_of_its_pool && !find_home(*topology);
  if (login_->waiting_for_primary) return replicas_only() ? await_home() : void();
  login_->connecting_since = now_ns();
  if (pooled_) pooled_->connected_at = login_->connecting_since;
  if (server_.start(topology->backends[*home(*topology)]) == ServerSession::Progress::kFailed)
    server_unreachable(server_.failure());
}

void ClientSession::begin_cancel(std::uint32_t process_id, ByteView key) {
  Statistics& statistics = context_.shared.statistics;
  const auto target = context_.shared.cancels.find(process_id, key);
  if (!target) {
    // As the server does: nothing is said to the client.
    count(statistics.cancels_unmatched);
    log_limited(LogLevel::kWarning, "cancel_unmatched", {{"peer", client_.connection().peer()}}, now_ns());
    return close(CloseReason::kClientLeft, "cancel request for no session");
  }
  count(statistics.cancels_forwarded);
  target->noticed(!target->moving);
  if (target->moving) return close(CloseReason::kClientLeft, "cancel request for a session that moves");
  auto relay = std::make_unique<CancelRelay>(context_, *target, client_.release());
  CancelRelay& started = *relay;
  context_.owner.keep(std::move(relay));
  started.start();
  [[maybe_unused]] const bool closed = tracker_.advance(SessionEvent::kClose);
  context_.owner.ended(*this);
}

void ClientSession::server_connected() {
  if (moving()) return log_in_elsewhere();
  login_->connecting_since = 0;
  if (login_->own) return log_in_at_server();
  if (std::exchange(login_->shown, true)) {
    if (observer_) observer_->backend_switched(server_.address_text(), now_ns());
  } else {
    open_observer();
  }
  // Kept until the server answers: one that leaves without a word may have a successor.
  if (!server_.endpoint().send(login_->startup_packet)) server_write_failed_ = true;
  if (!context_.shared.failover) login_->startup_packet = {};
  relay_client_login();
}

void ClientSession::open_observer() {
  SessionDescriptor& descriptor = login_->descriptor;
  descriptor.opened_at = now_ns();
  descriptor.backend = server_.address_text();
  descriptor.server_tls = server_.tls() != nullptr;
  count(context_.shared.statistics.sessions_opened);
  if (context_.limits.log_connections) {
    log_event(LogLevel::kInfo, "session_opened",
              {{"session", std::to_string(number_)},
               {"user", descriptor.user()},
               {"database", descriptor.database()},
               {"peer", descriptor.peer},
               {"backend", descriptor.backend},
               {"client_tls", tls_version(client_.connection())},
               {"server_tls", tls_version(server_.endpoint().connection())}});
  }
  if (context_.shared.observer != nullptr && options_.observed) {
    observer_ = context_.shared.observer->open_session(context_.worker_index, descriptor);
  }
}

void ClientSession::relay_client_login() {
  ByteBuffer& bytes = login_->client_bytes;
  std::size_t size = 0;
  while (server_.connected() && !bytes.empty() &&
         static_cast<char>(bytes.front()) == wire::frontend::kPassword) {
    if (!whole_message(bytes, size))
      return protocol_error(true, "invalid length of an authentication message");
    if (size == 0) return;
    if (!scram_can_pass(ByteView(bytes).first(size))) return;
    if (observer_)
      observer_->redacted({Direction::kFromClient, login_->filter.client_response()}, last_activity_);
    if (!server_.endpoint().send(ByteView(bytes).first(size))) server_write_failed_ = true;
    drop_front(bytes, size);
  }
}

void ClientSession::relay_server_login() {
  ByteBuffer& bytes = login_->server_bytes;
  std::size_t taken = 0;
  while (true) {
    std::size_t size = 0;
    if (!whole_message(ByteView(bytes).subspan(taken), size)) {
      return protocol_error(false, "invalid message length during authentication");
    }
    if (size == 0) break;
    const std::size_t kept = adapt_mechanisms(std::span<Byte>(bytes).subspan(taken, size));
    if (kept < size) {
      const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(taken);
      bytes.erase(at + static_cast<std::ptrdiff_t>(kept), at + static_cast<std::ptrdiff_t>(size));
      size = kept;
    }
    const std::span<Byte> message = std::span<Byte>(bytes).subspan(taken, size);
    if (!show_login_message(message)) return;
    taken += size;
    if (static_cast<char>(message[0]) != wire::backend::kReadyForQuery) continue;
    const char status = size > kHeaderBytes ? static_cast<char>(message[kHeaderBytes]) : 'I';
    const ByteBuffer all = std::move(bytes);
    return finish_login(status, all, taken);
  }
  if (taken == 0) return;
  deliver(ByteView(bytes).first(taken));
  drop_front(bytes, taken);
}

bool ClientSession::show_login_message(std::span<Byte> message) {
  const char type = static_cast<char>(message[0]);
  const std::span<Byte> payload = message.subspan(kHeaderBytes);
  if (type == wire::backend::kErrorResponse) {
    login_->server_error = true;
    if (as_text(payload).find(std::string_view("\0C28P01", 7)) != std::string_view::npos) note_failed_login();
  }
  const auto secret = login_->filter.server_message(type, payload);
  if (secret && observer_) observer_->redacted({Direction::kFromServer, *secret}, last_activity_);
  if (secret == RedactionKind::kCancelKey) {
    if (payload.size() < 8) {
      protocol_error(false, "BackendKeyData without a key");
      return false;
    }
    if (observer_) {
      ByteBuffer shown(message.begin(), message.end());
      std::fill(shown.begin() + kHeaderBytes + 4, shown.end(), Byte{0});
      observer_->relayed(Direction::kFromServer, last_activity_, shown);
    }
    return replace_cancel_key(payload);
  }
  if (!secret && observer_) observer_->relayed(Direction::kFromServer, last_activity_, message);
  return true;
}

bool ClientSession::replace_cancel_key(std::span<Byte> payload) {
  process_id_ = load_be32(payload.data());
  const std::span<Byte> key = payload.subspan(4);
  client_key_ = context_.shared.cancels.enroll(cancel_target(process_id_, key));
  if (client_key_.empty()) {
    terminate(CloseReason::kProtocolError, "58000", "the system has no random bytes for a cancel key");
    return false;
  }
  std::copy(client_key_.begin(), client_key_.end(), key.begin());
  return true;
}

CancelTarget ClientSession::cancel_target(std::uint32_t process_id, ByteView key) {
  return cancel_target(server_.address(), server_.backend().host, server_.tls(), process_id, key);
}

CancelTarget ClientSession::cancel_target(const SocketAddress& address, const std::string& host,
                                          std::shared_ptr<const ServerTls> tls, std::uint32_t process_id,
                                          ByteView key) {
  CancelTarget target;
  target.backend = address;
  target.host = host;
  target.tls = std::move(tls);
  target.process_id = process_id;
  target.server_key.assign(key.begin(), key.end());
  target.session_number = number_;
  target.noticed = [&context = context_, number = number_](bool sent) {
    context.loop.post([&context, number, sent] { context.owner.session_cancelled(number, sent); });
  };
  return target;
}

void ClientSession::finish_login(char status, ByteView answer, std::size_t login_bytes) {
  // The session is ready before its client hears so: one inside the process asks at once.
  const std::unique_ptr<Login> login = std::move(login_);
  context_.loop.cancel(login->retry);
  tracker_.set_transaction_status(status);
  if (!tracker_.advance(SessionEvent::kReady)) return protocol_error(false, tracker_.violation());
  begin_failover(*login, answer.first(login_bytes));
  begin_recording_join(*login, answer.first(login_bytes));
  if (context_.shared.names_sessions) {
    const SessionDescriptor& descriptor = login->descriptor;
    names_ = std::make_unique<SessionNames>(
        SessionNames{descriptor.user(), descriptor.database(), descriptor.parameter("application_name")});
  }
  deliver(answer.first(login_bytes));
  if (login_bytes < answer.size() && state() != SessionState::kClosed) {
    take_server(answer.subspan(login_bytes));
  }
  if (!login->client_bytes.empty() && state() != SessionState::kClosed) take_client(login->client_bytes);
  if (failover_ && !moving()) topology_changed();  // it may have, while the login went on
}

}  // namespace understudy::proxy
