// ClientSession's part in TLS: who is offered it, who is refused without it, and what it means for an
// authentication that is relayed. (PostgreSQL documentation, "SSL Session Encryption".)
#include <sys/socket.h>

#include <algorithm>

#include "formats/wire/message_types.h"
#include "proxy/channel_binding.h"
#include "proxy/client_session.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/log_limit.h"

namespace understudy::proxy {
namespace {

constexpr Byte kTlsHandshakeRecord = 0x16;  // RFC 8446, 5.1; no start-up packet is long enough to begin so
constexpr std::size_t kHeaderBytes = 5;

// Unix sockets never are encrypted, as in the server; nor is a client inside this process.
bool comes_by_network(const Connection& connection) {
  if (connection.descriptor() < 0) return false;
  int domain = AF_UNIX;
  socklen_t length = sizeof domain;
  getsockopt(connection.descriptor(), SOL_SOCKET, SO_DOMAIN, &domain, &length);
  return domain != AF_UNIX;
}

// Named once or more often: the server takes the last, others the first, so all must be the certificate's.
bool is_named(const SessionDescriptor& descriptor, const std::string& name) {
  return !name.empty() && std::all_of(descriptor.startup_parameters.begin(),
                                      descriptor.startup_parameters.end(), [&](const auto& parameter) {
                                        return parameter.first != "user" || parameter.second == name;
                                      });
}

}  // namespace

void ClientSession::look_for_direct_tls() {
  const auto tls = context_.shared.tls.get().clients;
  if (!tls || !comes_by_network(client_.connection())) {
    login_->direct_tls_decided = true;
    return;
  }
  Byte first = 0;
  if (recv(client_.connection().descriptor(), &first, 1, MSG_PEEK) != 1) return;
  login_->direct_tls_decided = true;
  if (first == kTlsHandshakeRecord) begin_tls(*tls, true);
}

// Answers an SSLRequest with yes, if that is the answer.
bool ClientSession::offer_tls() {
  const auto tls = context_.shared.tls.get().clients;
  if (!tls || login_->ssl_answered || !comes_by_network(client_.connection())) return false;
  login_->client_bytes.clear();
  deliver(as_bytes("S"));
  if (client_.backlogged()) {
    protocol_error(true, "an encryption request from a client that takes no answer");
  } else if (state() != SessionState::kClosed) {
    begin_tls(*tls, false);
  }
  return true;
}

void ClientSession::begin_tls(const ClientTls& tls, bool direct) {
  login_->ssl_answered = login_->gss_answered = true;  // no encryption inside an encryption
  auto secured = tls.accept(client_.release(), direct);
  if (!secured) return close(CloseReason::kClientLeft, "out of memory");
  client_.attach(std::move(secured));
}

bool ClientSession::admits_client(const SessionDescriptor& descriptor) {
  const auto tls = context_.shared.tls.get().clients;
  if (!tls || !comes_by_network(client_.connection())) return true;
  const TlsConnection* const connection = client_.connection().tls();
  std::string refusal;
  if (tls->required() && connection == nullptr) {
    refusal = "TLS is required: this proxy accepts only encrypted connections";
  } else if (tls->names_users() &&
             !is_named(descriptor, tls->by_common_name() ? connection->peer_common_name()
                                                         : connection->peer_distinguished_name())) {
    refusal = "certificate authentication failed for user \"" + descriptor.user() + "\"";
  }
  if (refusal.empty()) return true;
  count(context_.shared.statistics.tls_failures);
  log_limited(LogLevel::kWarning, "tls_refused",
              {{"session", std::to_string(number_)}, {"peer", descriptor.peer}, {"error", refusal}},
              now_ns());
  terminate(CloseReason::kProtocolError, "28000", refusal,
            connection == nullptr   ? "Connect with sslmode=require, or a stricter one."
            : tls->by_common_name() ? "The common name of the client's certificate must be the user's name."
                                    : "The subject of the client's certificate (RFC 2253) must be the user's "
                                      "name.");
  return false;
}

void ClientSession::note_tls_failure() {
  const TlsConnection* const tls = client_.connection().tls();
  if (tls == nullptr || (tls->established() && !tls->forged())) return;
  count(context_.shared.statistics.tls_failures);
  log_limited(LogLevel::kWarning, "tls_failed",
              {{"session", std::to_string(number_)}, {"peer", tls->peer()}, {"error", tls->error_text()}},
              now_ns());
}

// A client that sees another certificate than the server's cannot bind the server's channel; one that sees
// none must not be asked to.
std::size_t ClientSession::adapt_mechanisms(std::span<Byte> message) {
  const TlsConnection* const to_server = server_.endpoint().connection().tls();
  if (to_server == nullptr) return message.size();
  const TlsConnection* const to_client = client_.connection().tls();
  if (to_client != nullptr) {
    const ByteBuffer shown = to_client->server_end_point();
    if (!shown.empty() && shown == to_server->server_end_point()) return message.size();
  }
  const std::size_t size = take_out_channel_binding(message);
  login_->binding_taken_out = login_->binding_taken_out || size < message.size();
  return size;
}

// The client's belief is part of what it signs, so it cannot be put right on the way.
bool ClientSession::scram_can_pass(ByteView message) {
  if (!login_->binding_taken_out || !believes_server_cannot_bind(message.subspan(kHeaderBytes))) return true;
  const std::string what =
      "SCRAM authentication cannot be relayed between two TLS connections to a client that wants channel "
      "binding";
  log_event(LogLevel::kWarning, "channel_binding_refused",
            {{"session", std::to_string(number_)}, {"peer", client_.connection().peer()}});
  terminate(CloseReason::kProtocolError, "28000", what,
            "Connect with channel_binding=disable; or let the proxy use the server's own certificate and key "
            "(client_tls_cert_file), or no TLS to the server (server_tls_sslmode=disable).");
  return false;
}

}  // namespace understudy::proxy
