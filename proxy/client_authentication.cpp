#include "proxy/client_authentication.h"

#include <array>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_messages.h"
#include "proxy/authentication.h"
#include "proxy/randomness.h"

namespace understudy::proxy {
namespace {

using Code = wire::AuthenticationCode;

ByteBuffer random_bytes(std::size_t count) {
  ByteBuffer bytes(count);
  if (!fill_random(bytes)) bytes.clear();
  return bytes;
}

ClientAuthentication::Step refuse(std::string why) { return {{}, false, std::move(why)}; }

constexpr const char* kNoMd5 = "OpenSSL has md5 switched off (FIPS)";

// md5(password + user), as PostgreSQL stores it behind "md5". Empty where there is no md5.
std::string inner_md5(const UserSecret& secret, const std::string& user) {
  return secret.md5.empty() ? hex_md5(secret.password, as_bytes(user)) : secret.md5.substr(3);
}

}  // namespace

ClientAuthentication::ClientAuthentication(AuthenticationMethod method, std::string user,
                                           const UserSecret* secret, ByteBuffer binding)
    : method_(method), user_(std::move(user)), known_(secret != nullptr && !secret->empty()) {
  if (secret != nullptr) secret_ = *secret;
  // A SCRAM secret cannot answer an md5 challenge: as the server does, SCRAM is asked for instead.
  if (method_ == AuthenticationMethod::kMd5 && secret_.scram) method_ = AuthenticationMethod::kScram;
  if (method_ != AuthenticationMethod::kScram) return;
  // An md5 hash is of no use to SCRAM.
  const std::optional<ScramSecret>& stored = secret_.scram ? secret_.scram : secret_.scram_of_password;
  scram_ = std::make_unique<ScramServer>(stored ? *stored : ScramSecret::for_nobody(user_),
                                         stored.has_value(), make_scram_nonce(), std::move(binding));
}

ClientAuthentication::Step ClientAuthentication::begin() {
  Step step;
  switch (method_) {
    case AuthenticationMethod::kReject:
      return refuse("rejected by rule");
    case AuthenticationMethod::kTrust:
      known_password_ = secret_.password;
      return let_in();
    case AuthenticationMethod::kPassword:
      wire::append_authentication(step.message, Code::kCleartextPassword);
      return step;
    case AuthenticationMethod::kMd5:
      salt_ = random_bytes(4);
      if (salt_.empty()) return refuse("the system has no random bytes to give");
      wire::append_authentication(step.message, Code::kMd5Password, salt_);
      return step;
    case AuthenticationMethod::kScram:
      break;
  }
  constexpr std::array<std::string_view, 2> kMechanisms = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"};
  const std::span<const std::string_view> all(kMechanisms);
  wire::append_authentication_sasl(step.message, scram_->offers_binding() ? all : all.subspan(1));
  return step;
}

ClientAuthentication::Step ClientAuthentication::answer(ByteView payload) {
  switch (method_) {
    case AuthenticationMethod::kPassword:
      return check_password(payload);
    case AuthenticationMethod::kMd5:
      return check_md5(payload);
    case AuthenticationMethod::kScram:
      return continue_scram(payload);
    default:
      return refuse("an authentication message that nothing asked for");
  }
}

ClientAuthentication::Step ClientAuthentication::let_in() const {
  Step step;
  step.done = true;
  return step;
}

ClientAuthentication::Step ClientAuthentication::check_password(ByteView payload) {
  const auto message = wire::PasswordMessage::decode(payload);
  if (!message) return refuse("a malformed password message");
  const std::string given(message->password);
  bool right = false;
  // Whatever is known of the user, and if nothing is, the answer takes as long as with a SCRAM secret.
  const ScramSecret compared = secret_.scram ? *secret_.scram : ScramSecret::for_nobody(user_);
  const ScramSecret tried = ScramSecret::from_password(given, compared.salt, compared.iterations);
  if (secret_.scram) {
    right = same_secret(tried.stored_key, secret_.scram->stored_key);
  } else if (!secret_.md5.empty()) {
    const std::string hashed = hex_md5(given, as_bytes(user_));
    if (hashed.empty()) return refuse(kNoMd5);
    right = same_secret(as_bytes(hashed), as_bytes(inner_md5(secret_, user_)));
  } else {
    // Hashes are compared first, so that the time taken does not tell how much was right; alone they would
    // take any password where OpenSSL makes none.
    right =
        same_secret(sha256(as_bytes(given)), sha256(as_bytes(secret_.password))) && given == secret_.password;
  }
  if (!known_ || !right) return refuse(known_ ? "the wrong password" : "no such user");
  known_password_ = given;
  return let_in();
}

ClientAuthentication::Step ClientAuthentication::check_md5(ByteView payload) {
  const auto message = wire::PasswordMessage::decode(payload);
  if (!message) return refuse("a malformed password message");
  const std::string inner = inner_md5(secret_, user_);
  const std::string wanted = hex_md5(inner, salt_);
  if (inner.empty() || wanted.empty()) return refuse(kNoMd5);
  if (!same_secret(as_bytes(message->password), as_bytes("md5" + wanted)) || !known_)
    return refuse(known_ ? "the wrong password" : "no such user");
  known_password_ = secret_.password;
  return let_in();
}

ClientAuthentication::Step ClientAuthentication::continue_scram(ByteView payload) {
  ScramServer::Step said;
  if (!scram_begun_) {
    const auto message = wire::SaslInitialResponse::decode(payload);
    if (!message) return refuse("a malformed SASL message");
    scram_begun_ = true;
    said = scram_->first(message->mechanism, message->response.text());
  } else {
    said = scram_->final(as_text(payload));
  }
  if (!said.error.empty()) return refuse(said.error);
  Step step;
  wire::append_authentication(step.message, scram_->proven() ? Code::kSaslFinal : Code::kSaslContinue,
                              as_bytes(said.message));
  if (!scram_->proven()) return step;
  keys_ = scram_->keys();
  known_password_ = secret_.password;
  step.done = true;
  return step;
}

}  // namespace understudy::proxy
