#include "proxy/authentication.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <vector>

#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"

namespace understudy::proxy {
namespace {

using Digest = std::array<Byte, 32>;
// A server that asks for more than this wants to keep us busy.
constexpr int kMaxIterations = 10'000'000;

std::string base64(ByteView bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<Byte*>(out.data()), bytes.data(), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

// Empty when `text` is no base64.
ByteBuffer from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return {};
  ByteBuffer out(text.size() / 4 * 3);
  const int length =
      EVP_DecodeBlock(out.data(), reinterpret_cast<const Byte*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) return {};
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  out.resize(static_cast<std::size_t>(length) - padding);
  return out;
}

Digest hmac(ByteView key, std::string_view text) {
  Digest out{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), as_bytes(text).data(), text.size(), out.data(),
       &length);
  return out;
}

Digest sha256(ByteView bytes) {
  Digest out{};
  EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha256(), nullptr);
  return out;
}

// The value of attribute `name` in "a=...,b=...", or nothing.
std::string_view attribute(std::string_view message, char name) {
  while (!message.empty()) {
    const std::size_t comma = message.find(',');
    const std::string_view part = message.substr(0, comma);
    if (part.size() >= 2 && part[0] == name && part[1] == '=') return part.substr(2);
    if (comma == std::string_view::npos) break;
    message.remove_prefix(comma + 1);
  }
  return {};
}

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

}  // namespace

std::string make_scram_nonce() {
  std::array<Byte, 18> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) return {};
  return base64(random);
}

ScramClient::ScramClient(std::string password, std::string nonce)
    : password_(std::move(password)), first_bare_("n=,r=" + nonce), nonce_(std::move(nonce)) {}

// The server takes the user from the start-up packet and ignores the one here, so it is left empty as libpq
// does.
std::string ScramClient::first_message() const { return "n,," + first_bare_; }

std::string ScramClient::final_message(std::string_view server_first, std::string& error) {
  const std::string_view nonce = attribute(server_first, 'r');
  const ByteBuffer salt = from_base64(attribute(server_first, 's'));
  const std::string_view count = attribute(server_first, 'i');
  int iterations = 0;
  std::from_chars(count.data(), count.data() + count.size(), iterations);
  if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size() || salt.empty() || iterations < 1 ||
      iterations > kMaxIterations) {
    error = "the server's SCRAM challenge is malformed";
    return {};
  }
  Digest salted{};
  PKCS5_PBKDF2_HMAC(password_.data(), static_cast<int>(password_.size()), salt.data(),
                    static_cast<int>(salt.size()), iterations, EVP_sha256(), static_cast<int>(salted.size()),
                    salted.data());
  const std::string without_proof = "c=biws,r=" + std::string(nonce);
  const std::string signed_text = first_bare_ + "," + std::string(server_first) + "," + without_proof;
  Digest proof = hmac(salted, "Client Key");
  const Digest signature = hmac(sha256(proof), signed_text);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<Byte>(proof[i] ^ signature[i]);
  server_signature_ = base64(hmac(hmac(salted, "Server Key"), signed_text));
  return without_proof + ",p=" + base64(proof);
}

bool ScramClient::verify(std::string_view server_final) const {
  return !server_signature_.empty() && attribute(server_final, 'v') == server_signature_;
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
  if (password_.empty()) return password_reply("SCRAM-SHA-256", {});
  scram_ = std::make_unique<ScramClient>(password_, make_scram_nonce());
  const std::string first = scram_->first_message();
  Step step;
  wire::append_sasl_initial_response(step.reply, "SCRAM-SHA-256", {as_bytes(first)});
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
