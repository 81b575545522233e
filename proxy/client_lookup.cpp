// ClientSession that must know its user's secret before it can ask for a proof: from the file, else from the
// database, which takes a while.
#include "proxy/client_session.h"
#include "proxy/log.h"

namespace understudy::proxy {

void ClientSession::find_secret() {
  OwnLogin& own = *login_->own;
  const std::string user = login_->descriptor.user();
  const UserSecret* const known = own.policy->users.find(user);
  if (known != nullptr || !own.policy->query || own.method == AuthenticationMethod::kTrust) {
    return authenticate(known);
  }
  own.lookup = std::make_shared<PendingLookup>();
  context_.shared.users->look_up(
      own.policy, user, context_.limits.failover_timeout,
      [lookup = own.lookup, &context = context_, number = number_](const UserLookup& result) {
        lookup->result = result;
        lookup->done = true;
        context.loop.post([&context, number] { context.owner.session_called(number); });
      });
}

// Whoever cannot be asked for is told so, known or not.
void ClientSession::secret_found() {
  const UserLookup& found = login_->own->lookup->result;
  switch (found.outcome) {
    case UserLookup::Outcome::kAnswered:
      return authenticate(found.secret.get());
    case UserLookup::Outcome::kNoPrimary:
      return terminate(CloseReason::kServerLeft, "57P03", "no primary server within failover_timeout", {},
                       context_.shared.topology.get()->describe());
    case UserLookup::Outcome::kFailed:
      return terminate(CloseReason::kServerLeft, "08006",
                       "the proxy could not look up who may log in; its log says why (auth_query_failed)");
  }
}

void ClientSession::authenticate(const UserSecret* secret) {
  OwnLogin& own = *login_->own;
  const TlsConnection* const tls = client_.connection().tls();
  own.authentication = std::make_unique<ClientAuthentication>(
      own.method, login_->descriptor.user(), secret, tls != nullptr ? tls->server_end_point() : ByteBuffer());
  follow(own.authentication->begin());
}

}  // namespace understudy::proxy
