// ClientSession between start-up and the first ReadyForQuery when the proxy authenticates the client itself:
//
//     rules -> secret (client_lookup.cpp) -> authentication -> a server of the pool -----------> greeting
//                             -> leave to connect -> login at the server -----> greeting
//                             -> a place in the queue -> called, and one of the two above
//
// and at the end, what becomes of the server.
#include <algorithm>

#include "formats/wire/backend_builders.h"
#include "formats/wire/message_types.h"
#include "formats/wire/startup.h"
#include "proxy/client_session.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/server_reset.h"

namespace understudy::proxy {
namespace {

constexpr std::size_t kHeaderBytes = 5;
constexpr std::uint32_t kMaxAnswerBytes = 64U << 10;
// A wrong password is answered only after this, however it was wrong.
constexpr TimeNs kRefusalDelay = 500'000'000;

bool is_protocol_option(const std::string& name) { return name.starts_with("_pq_."); }

}  // namespace

std::string pool_key(const SessionDescriptor& descriptor) {
  std::string key = descriptor.database() + '\0' + descriptor.user();
  std::vector<std::pair<std::string, std::string>> parameters = descriptor.startup_parameters;
  // Of a setting given twice the last counts: their order is kept.
  std::stable_sort(parameters.begin(), parameters.end(),
                   [](const auto& one, const auto& other) { return one.first < other.first; });
  for (const auto& [name, value] : parameters) key += '\0' + name + '=' + value;
  return key;
}

void ClientSession::begin_own_login(std::shared_ptr<const AccessPolicy> policy) {
  const SessionDescriptor& descriptor = login_->descriptor;
  login_->startup_packet = {};
  login_->own = std::make_unique<OwnLogin>();
  login_->own->policy = std::move(policy);
  const AccessPolicy& access = *login_->own->policy;
  if (descriptor.user().empty()) {
    return terminate(CloseReason::kProtocolError, "28000",
                     "no PostgreSQL user name specified in startup packet");
  }
  const Visitor visitor{descriptor.peer, descriptor.client_tls, descriptor.database(), descriptor.user(),
                        is_physical_replication(descriptor.parameter("replication"))};
  const auto method = access.rules.method_for(visitor);
  if (!method || *method == AuthenticationMethod::kReject) {
    count(context_.shared.statistics.logins_refused);
    return terminate(CloseReason::kProtocolError, "28000",
                     "no rule lets in user \"" + visitor.user + "\", database \"" + visitor.database +
                         "\" from " + visitor.peer);
  }
  if (*method == AuthenticationMethod::kTrust && !access.trust_network && !is_local_peer(visitor.peer)) {
    count(context_.shared.statistics.logins_refused);
    return terminate(CloseReason::kProtocolError, "28000", "trust is for clients of the proxy's own machine",
                     "auth_trust_network = on lets in others.");
  }
  std::vector<std::string_view> options;
  for (const auto& [name, value] : descriptor.startup_parameters) {
    if (is_protocol_option(name)) options.push_back(name);
  }
  // 3.2 allows longer cancel keys than 3.0, and no more: what the proxy says is either.
  const std::uint32_t spoken = std::min(descriptor.protocol_version, wire::kProtocol32);
  if (spoken != descriptor.protocol_version || !options.empty()) {
    ByteBuffer negotiation;
    wire::append_negotiate_protocol_version(negotiation, spoken, options);
    deliver(negotiation);
  }
  login_->own->method = *method;
  find_secret();
}

void ClientSession::follow(ClientAuthentication::Step step) {
  if (state() == SessionState::kClosed) return;
  OwnLogin& own = *login_->own;
  if (!step.refused.empty()) {
    count(context_.shared.statistics.logins_refused);
    log_event(LogLevel::kWarning, "login_refused",
              {{"session", std::to_string(number_)},
               {"user", login_->descriptor.user()},
               {"peer", login_->descriptor.peer},
               {"reason", step.refused}});
    own.refuse_at = now_ns() + kRefusalDelay;
    note_failed_login();
    if (own.lookup) context_.shared.users->forget(login_->descriptor.user());
    return;
  }
  if (!step.done) return deliver(step.message);
  // Where a server is at hand, in one write with the greeting.
  client_.hold(step.message);
  own.let_in = true;
  ask_for_server();
  if (client_.attached() && !client_.flush()) client_gone();
}

void ClientSession::tell_refusal() {
  login_->own->refuse_at = 0;
  terminate(CloseReason::kProtocolError, "28P01",
            "password authentication failed for user \"" + login_->descriptor.user() + "\"");
}

void ClientSession::take_own_client_login() {
  OwnLogin& own = *login_->own;
  ByteBuffer& bytes = login_->client_bytes;
  while (state() == SessionState::kAuthenticating && own.authentication && !own.let_in &&
         own.refuse_at == 0 && bytes.size() >= kHeaderBytes) {
    const std::uint32_t length = load_be32(bytes.data() + 1);
    if (static_cast<char>(bytes.front()) != wire::frontend::kPassword || length < 4 ||
        length > kMaxAnswerBytes)
      return protocol_error(true, "expected an authentication message");
    const std::size_t size = std::size_t{length} + 1;
    if (bytes.size() < size) return;
    const ByteBuffer message(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    follow(own.authentication->answer(ByteView(message).subspan(kHeaderBytes)));
    if (!login_) return;  // let in, and a server was there
  }
}

void ClientSession::ask_for_server() {
  if (hold_login()) return;
  const SessionDescriptor& descriptor = login_->descriptor;
  if (replicas_only()) {
    login_->waiting_for_primary = !find_home(*context_.shared.topology.get());
    if (login_->waiting_for_primary) return await_home();
  }
  pooled_ = std::make_unique<PoolMembership>();
  pooled_->key = home_key(pool_key(descriptor));
  const std::string replication = descriptor.parameter("replication");
  pooled_->reusable = replication.empty();
  take_answer(context_.shared.pool.acquire(pooled_->key, now_ns(), [&context = context_, number = number_] {
    context.loop.post([&context, number] { context.owner.session_called(number); });
  }));
}

void ClientSession::called() {
  if (moving() && failover_->waiting_in_pool) {
    ServerPool::Answer answer = context_.shared.pool.collect(pooled_->key, failover_->ticket);
    if (answer.kind != ServerPool::Answer::Kind::kWait) take_other_server(std::move(answer));
    return settle();
  }
  if (login_ && login_->own && login_->own->lookup && !login_->own->authentication) {
    if (login_->own->lookup->done && state() != SessionState::kClosed) secret_found();
    return settle();
  }
  if (!login_ || !login_->own || !pooled_ || pooled_->acquired) return;
  take_answer(context_.shared.pool.collect(pooled_->key, login_->own->ticket));
  settle();
}

void ClientSession::take_answer(ServerPool::Answer answer) {
  OwnLogin& own = *login_->own;
  own.ticket = answer.ticket;
  if (answer.kind != ServerPool::Answer::Kind::kWait && own.waiting_since != 0) {
    login_->started_at = now_ns();  // the wait had its own time-out
    own.waiting_since = 0;
  }
  switch (answer.kind) {
    case ServerPool::Answer::Kind::kWait:
      if (own.waiting_since == 0) own.waiting_since = now_ns();
      return;
    case ServerPool::Answer::Kind::kConnect:
      pooled_->acquired = true;
      pooled_->epoch = answer.epoch;
      return start_server();
    case ServerPool::Answer::Kind::kServer:
      pooled_->acquired = true;
      pooled_->epoch = answer.server.epoch;
      pooled_->connected_at = answer.server.connected_at;
      pooled_->facts = answer.server.facts;
      count(context_.shared.statistics.servers_reused);
      server_.adopt(std::move(answer.server));
      return greet();
  }
}

void ClientSession::log_in_at_server() {
  OwnLogin& own = *login_->own;
  const SessionDescriptor& descriptor = login_->descriptor;
  wire::StartupMessage startup;
  for (const auto& parameter : descriptor.startup_parameters) {
    if (!is_protocol_option(parameter.first)) startup.parameters.push_back(parameter);
  }
  const auto& keys = own.authentication->keys();
  const std::string& password = own.authentication->password();
  own.server_login = std::make_unique<ServerLogin>(password.empty() && keys
                                                       ? ClientAuthenticator(descriptor.user(), *keys)
                                                       : ClientAuthenticator(descriptor.user(), password));
  const TlsConnection* const tls = server_.endpoint().connection().tls();
  if (tls != nullptr) own.server_login->bind_to(tls->server_end_point());
  count(context_.shared.statistics.servers_connected);
  ByteBuffer packet;
  wire::append_startup_message(packet, startup);
  if (!server_.endpoint().send(packet)) server_write_failed_ = true;
}

void ClientSession::take_own_server_login() {
  OwnLogin& own = *login_->own;
  if (!own.server_login) return protocol_error(false, "bytes of a server that nothing was asked");
  ByteBuffer reply;
  const ServerLogin::Progress progress = own.server_login->take(login_->server_bytes, reply);
  if (!reply.empty() && !server_.endpoint().send(reply)) server_write_failed_ = true;
  if (progress == ServerLogin::Progress::kGoesOn) return;
  if (progress == ServerLogin::Progress::kReady) {
    pooled_->facts = std::move(own.server_login->facts());
    return greet();
  }
  if (context_.shared.failover && refuses_for_now(own.server_login->server_error())) return await_server();
  if (own.server_login->server_error().empty()) {
    return terminate(CloseReason::kServerLeft, "28000", own.server_login->failure());
  }
  deliver(own.server_login->server_error());
  close(CloseReason::kServerLeft, "the server refused the login");
}

// The client hears what the server told whoever logged in, as if it had been itself.
void ClientSession::greet() {
  open_observer();
  ByteBuffer& greeting = login_->server_bytes;
  greeting.clear();
  wire::append_authentication_ok(greeting);
  for (const auto& [name, value] : pooled_->facts.settings)
    wire::append_parameter_status(greeting, name, value);
  wire::append_backend_key_data(greeting, pooled_->facts.process_id, pooled_->facts.cancel_key);
  wire::append_ready_for_query(greeting, wire::TransactionStatus::kIdle);
  relay_server_login();
}

// Nothing asked, nothing open, nothing half said: another client may have it, once it is reset.
bool ClientSession::server_is_reusable() const {
  return pooled_ && pooled_->acquired && pooled_->reusable && !login_ && tracker_.idle() &&
         tracker_.server_at_boundary() && tracker_.client_at_boundary() && !tracker_.fatal_seen() &&
         tracker_.settings_known() && !server_write_failed_ && server_.reusable();
}

// The client of a pooled server has left. What the server answers by itself is waited for; where it waits for
// more of the client it is told, as without a proxy, and ends.
void ClientSession::finish_pooled() {
  const bool whole = tracker_.client_at_boundary() && !tracker_.pipeline_open();
  if (whole && state() == SessionState::kReady) {
    if (failover_ && failover_->continuity.is_asking()) return;  // its answer is not for the next client
    return close(CloseReason::kClientLeft, {});
  }
  const bool wants_more =
      !whole || tracker_.awaits_sync() || tracker_.awaits_copy_data() || tracker_.streams_replication();
  if (!wants_more || pooled_->told) return;
  pooled_->told = true;
  pooled_->reusable = false;
  server_.endpoint().finish_writing();
}

// With the client's Terminate in it, which is not for a server that will serve another.
void ClientSession::take_last(ByteView bytes) {
  static constexpr Byte kTerminate[] = {wire::frontend::kTerminate, 0, 0, 0, 4};
  ByteView requests = bytes;
  if (bytes.size() >= sizeof kTerminate &&
      std::equal(std::begin(kTerminate), std::end(kTerminate), bytes.end() - sizeof kTerminate)) {
    requests = bytes.first(bytes.size() - sizeof kTerminate);
  } else {
    pooled_->reusable = false;  // part of it was sent before, or something follows it: the server ends
  }
  if (!requests.empty()) send_client_bytes(requests);
  client_ended();
}

void ClientSession::leave_server(bool reusable) {
  if (!pooled_) return;
  const std::unique_ptr<PoolMembership> pooled = std::move(pooled_);
  ServerPool& pool = context_.shared.pool;
  if (!pooled->acquired) {
    const ServerPool::Ticket ticket = login_ ? login_->own->ticket : failover_->ticket;
    if (ticket != 0) pool.abandon(pooled->key, ticket, now_ns());
    return;
  }
  if (!reusable) return pool.gone(pooled->key, now_ns());
  PooledServer server = server_.release();
  server.facts = std::move(pooled->facts);
  if (failover_) {
    server.facts.settings = failover_->continuity.settings();
  } else {
    for (const auto& [name, value] : tracker_.settings()) server.facts.settings.set(name, value);
  }
  server.epoch = pooled->epoch;
  server.connected_at = pooled->connected_at;
  give_back(pooled->key, std::move(server));
}

void ClientSession::give_back(const std::string& key, PooledServer server) {
  auto reset = std::make_unique<ServerReset>(context_, context_.shared.pool, key, std::move(server));
  ServerReset& started = *reset;
  context_.owner.keep(std::move(reset));
  started.start();
}

}  // namespace understudy::proxy
