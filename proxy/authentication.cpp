#include "proxy/authentication.h"

#include <openssl/evp.h>

#include <array>
#include <charconv>
#include <vector>

#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"

namespace understudy::proxy {
std::string hex_md5(std::string_view text, ByteView salt) {
  ByteBuffer input(text.begin(), text.end());
  append_bytes(input, salt);
  std::array<Byte, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(input.data(), input.size(), digest.data(), &length, EVP_md5(), nullptr) != 1) return {};
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < length; ++i) {
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

ScramClient::ScramClient(std::string password, std::string nonce)
    : password_(std::move(password)), first_bare_("n=,r=" + nonce), nonce_(std::move(nonce)) {}

ScramClient::ScramClient(const ScramKeys& keys, std::string nonce)
    : keys_(keys), first_bare_("n=,r=" + nonce), nonce_(std::move(nonce)) {}

// The server takes the user from the start-up packet and ignores the one here, so it is left empty as libpq
// does.
std::string ScramClient::first_message() const { return header_ + first_bare_; }

void ScramClient::bind_to(const ByteBuffer& end_point) {
  header_ = "p=tls-server-end-point,,";
  binding_ = end_point;
}

std::string ScramClient::final_message(std::string_view server_first, std::string& error) {
  const std::string_view nonce = scram_attribute(server_first, 'r');
  const ByteBuffer salt = from_base64(scram_attribute(server_first, 's'));
  const std::string_view count = scram_attribute(server_first, 'i');
  int iterations = 0;
  std::from_chars(count.data(), count.data() + count.size(), iterations);
  if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size() || salt.empty() || iterations < 1 ||
      iterations > kMaxScramIterations) {
    error = "the server's SCRAM challenge is malformed";
    return {};
  }
  if (!keys_) {
    const ScramDigest salted = salt_password(password_, salt, iterations);
    keys_ = ScramKeys{hmac_sha256(salted, "Client Key"), hmac_sha256(salted, "Server Key")};
  }
  ByteBuffer bound(header_.begin(), header_.end());
  append_bytes(bound, binding_);
  const std::string without_proof = "c=" + to_base64(bound) + ",r=" + std::string(nonce);
  const std::string signed_text = first_bare_ + "," + std::string(server_first) + "," + without_proof;
  const ScramDigest signature = hmac_sha256(sha256(keys_->client_key), signed_text);
  server_signature_ = to_base64(hmac_sha256(keys_->server_key, signed_text));
  return without_proof + ",p=" + to_base64(exclusive_or(keys_->client_key, signature));
}

bool ScramClient::verify(std::string_view server_final) const {
  return !server_signature_.empty() && scram_attribute(server_final, 'v') == server_signature_;
}

ClientAuthenticator::Step ClientAuthenticator::answer(ByteView payload) {
  using Code = wire::AuthenticationCode;
  if (payload.size() < 4) return {{}, "the server's authentication request is malformed"};
  const std::uint32_t code = load_be32(payload.data());
  const ByteView rest = payload.subspan(4);
  switch (static_cast<Code>(code)) {
    case Code::kOk:
      return {};
    case Code::kCleartextPassword:
      return password_reply("password", password_);
    case Code::kMd5Password: {
      const std::string inner = hex_md5(password_, as_bytes(user_));
      return password_reply("md5", "md5" + hex_md5(inner, rest));
    }
    case Code::kSasl:
      return begin_scram(rest);
    case Code::kSaslContinue:
      return continue_scram(as_text(rest));
    case Code::kSaslFinal:
      return finish_scram(as_text(rest));
    default:
      return {{},
              "the server asks for authentication method " + std::to_string(code) +
                  ", which is not supported here"};
  }
}

ClientAuthenticator::Step ClientAuthenticator::password_reply(std::string_view method,
                                                              const std::string& text) {
  if (password_.empty()) {
    return {{},
            "the server asks for a password (" + std::string(method) + ") for user \"" + user_ +
                "\" and none is given"};
  }
  Step step;
  wire::append_password(step.reply, text);
  return step;
}

ClientAuthenticator::Step ClientAuthenticator::begin_scram(ByteView mechanisms) {
  if (as_text(mechanisms).find(std::string_view("SCRAM-SHA-256\0", 14)) == std::string_view::npos) {
    return {{}, "the server offers no SASL mechanism that is supported here (SCRAM-SHA-256)"};
  }
  if (keys_) {
    scram_ = std::make_unique<ScramClient>(*keys_, make_scram_nonce());
  } else if (password_.empty()) {
    return password_reply("SCRAM-SHA-256", {});
  } else {
    scram_ = std::make_unique<ScramClient>(password_, make_scram_nonce());
  }
  const bool binds =
      !end_point_.empty() &&
      as_text(mechanisms).find(std::string_view("SCRAM-SHA-256-PLUS\0", 19)) != std::string_view::npos;
  if (binds) {
    scram_->bind_to(end_point_);
  } else if (!end_point_.empty()) {
    scram_->note_no_binding();
  }
  const std::string first = scram_->first_message();
  Step step;
  wire::append_sasl_initial_response(step.reply, binds ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256",
                                     {as_bytes(first)});
  return step;
}

ClientAuthenticator::Step ClientAuthenticator::continue_scram(std::string_view server_first) {
  Step step;
  if (!scram_) return {{}, "a SCRAM challenge before its beginning"};
  const std::string final = scram_->final_message(server_first, step.error);
  if (step.error.empty()) wire::append_sasl_response(step.reply, as_bytes(final));
  return step;
}

ClientAuthenticator::Step ClientAuthenticator::finish_scram(std::string_view server_final) {
  if (scram_ && scram_->verify(server_final)) return {};
  return {{}, "the server could not prove that it knows the password"};
}

}  // namespace understudy::proxy
