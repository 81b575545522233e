#include "proxy/scram_server.h"

#include <algorithm>
#include <charconv>

#include "proxy/randomness.h"

namespace understudy::proxy {
namespace {

constexpr std::string_view kPrefix = "SCRAM-SHA-256$";
constexpr std::string_view kPlain = "SCRAM-SHA-256";
constexpr std::string_view kPlus = "SCRAM-SHA-256-PLUS";
constexpr std::string_view kBindingType = "p=tls-server-end-point";
constexpr std::size_t kSaltBytes = 16;

// Up to `separator`, which must be there; `text` goes on behind it.
std::optional<std::string_view> take(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at + 1);
  return part;
}

bool read_digest(std::string_view text, ScramDigest& out) {
  const ByteBuffer bytes = from_base64(text);
  if (bytes.size() != out.size()) return false;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return true;
}

// Of this process: what salts are made from that no file gives.
const ScramDigest& process_secret() {
  static const ScramDigest secret = [] {
    ScramDigest random{};
    [[maybe_unused]] const bool made = fill_random(random);
    return random;
  }();
  return secret;
}

}  // namespace

std::optional<ScramSecret> ScramSecret::parse(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  ScramSecret secret;
  const auto iterations = take(text, ':');
  const auto salt = take(text, '$');
  const auto stored_key = take(text, ':');
  if (!iterations || !salt || !stored_key) return std::nullopt;
  const char* const end = iterations->data() + iterations->size();
  const auto [stopped, error] = std::from_chars(iterations->data(), end, secret.iterations);
  secret.salt = from_base64(*salt);
  const bool whole = error == std::errc() && stopped == end && secret.iterations > 0 &&
                     secret.iterations <= kMaxScramIterations && !secret.salt.empty() &&
                     read_digest(*stored_key, secret.stored_key) && read_digest(text, secret.server_key);
  return whole ? std::optional(secret) : std::nullopt;
}

ScramSecret ScramSecret::from_password(std::string_view password, ByteView salt, int iterations) {
  const ScramDigest salted = salt_password(password, salt, iterations);
  ScramSecret secret;
  secret.iterations = iterations;
  secret.salt.assign(salt.begin(), salt.end());
  secret.stored_key = sha256(hmac_sha256(salted, "Client Key"));
  secret.server_key = hmac_sha256(salted, "Server Key");
  return secret;
}

ScramSecret ScramSecret::for_user(std::string_view user, std::string_view password) {
  return from_password(password, for_nobody(user).salt);
}

ScramSecret ScramSecret::for_nobody(std::string_view user) {
  const ScramDigest digest = hmac_sha256(process_secret(), user);
  ScramSecret secret;
  secret.salt.assign(digest.begin(), digest.begin() + kSaltBytes);
  return secret;
}

ScramServer::ScramServer(ScramSecret secret, bool known, std::string nonce, ByteBuffer binding)
    : secret_(std::move(secret)), known_(known), nonce_(std::move(nonce)), binding_(std::move(binding)) {}

// What is wrong with the GS2 channel binding flag, or nothing.
std::string ScramServer::check_header(std::string_view mechanism, std::string_view flag) const {
  if (mechanism == kPlus) {
    if (!offers_binding()) return "SCRAM-SHA-256-PLUS without TLS";
    return flag == kBindingType ? ""
                                : "SCRAM-SHA-256-PLUS with another channel binding than tls-server-end-point";
  }
  if (mechanism != kPlain) return "a SASL mechanism that was not offered";
  if (flag == "n") return {};
  // The client could bind and believes we could not: somebody between took the offer away (RFC 5802, 6).
  if (flag == "y") return offers_binding() ? "the client was kept from channel binding" : "";
  return "channel binding asked for with SCRAM-SHA-256";
}

ScramServer::Step ScramServer::first(std::string_view mechanism, std::string_view client_first) {
  std::string_view rest = client_first;
  const auto flag = take(rest, ',');
  const auto identity = take(rest, ',');
  if (!flag || !identity || !client_first_bare_.empty()) return {{}, "a malformed SCRAM message"};
  std::string wrong = check_header(mechanism, *flag);
  if (!wrong.empty()) return {{}, std::move(wrong)};
  if (!identity->empty()) return {{}, "a SCRAM authorization identity, which PostgreSQL does not have"};
  const std::string_view nonce = scram_attribute(rest, 'r');
  // A mandatory extension ("m=") must be refused by who does not know it.
  if (!rest.starts_with("n=") || nonce.empty() || nonce_.empty()) return {{}, "a malformed SCRAM message"};
  bound_ = mechanism == kPlus;
  header_ = std::string(*flag) + ",,";
  client_first_bare_ = std::string(rest);
  nonce_ = std::string(nonce) + nonce_;
  server_first_ =
      "r=" + nonce_ + ",s=" + to_base64(secret_.salt) + ",i=" + std::to_string(secret_.iterations);
  return {server_first_, {}};
}

ScramServer::Step ScramServer::final(std::string_view client_final) {
  const std::size_t at = client_final.rfind(",p=");
  if (client_first_bare_.empty() || at == std::string_view::npos) return {{}, "a malformed SCRAM message"};
  const std::string_view without_proof = client_final.substr(0, at);
  ByteBuffer bound = ByteBuffer(header_.begin(), header_.end());
  if (bound_) append_bytes(bound, binding_);
  if (scram_attribute(without_proof, 'r') != nonce_) return {{}, "another SCRAM exchange's nonce"};
  if (scram_attribute(without_proof, 'c') != to_base64(bound))
    return {{}, "a SCRAM channel binding that does not match"};
  ScramDigest proof{};
  if (!read_digest(client_final.substr(at + 3), proof)) return {{}, "a malformed SCRAM proof"};

  const std::string signed_text = client_first_bare_ + "," + server_first_ + "," + std::string(without_proof);
  client_key_ = exclusive_or(proof, hmac_sha256(secret_.stored_key, signed_text));
  const bool right = same_secret(sha256(client_key_), secret_.stored_key);
  if (!right || !known_) return {{}, known_ ? "the wrong password" : "no such user"};
  proven_ = true;
  return {"v=" + to_base64(hmac_sha256(secret_.server_key, signed_text)), {}};
}

}  // namespace understudy::proxy
