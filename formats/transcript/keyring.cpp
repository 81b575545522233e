#include "formats/transcript/keyring.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace understudy {
namespace {

constexpr std::size_t kMaxKeyFileBytes = std::size_t{64} << 10;
constexpr std::size_t kDerivationsKept = 1000;  // one a run of the recorder

SecretKey derive(std::string_view passphrase, const ScryptParameters& parameters) {
  constexpr std::uint64_t kMemory = std::uint64_t{320} << 20;  // more than plausible parameters need
  std::array<Byte, kKeyBytes> bytes{};
  if (EVP_PBE_scrypt(passphrase.data(), passphrase.size(), parameters.salt.data(), parameters.salt.size(),
                     std::uint64_t{1} << parameters.log_n, parameters.r, parameters.p, kMemory, bytes.data(),
                     bytes.size()) != 1) {
    throw std::runtime_error("scrypt cannot make a key of the passphrase: no memory?");
  }
  SecretKey key(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

KeyId id_of(const SecretKey& key) {
  Sha256 hash;
  hash.add(as_bytes("understudy key id"));
  hash.add(key.bytes());
  const Sha256Value value = hash.value();
  KeyId id{};
  std::copy_n(value.begin(), id.size(), id.begin());
  return id;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<SecretKey> parse_key(std::string_view digits) {
  std::array<Byte, kKeyBytes> bytes{};
  if (digits.size() != 2 * bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = digit(digits[2 * i]);
    const int low = digit(digits[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<Byte>(high << 4 | low);
  }
  SecretKey key(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

std::string read_small(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in.is_open()) throw std::runtime_error(path + ": cannot be read: " + std::strerror(errno));
  std::string text(kMaxKeyFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad()) throw std::runtime_error(path + ": cannot be read");
  if (text.size() > kMaxKeyFileBytes) throw std::runtime_error(path + ": is too large for a file of keys");
  return text;
}

}  // namespace

RecordingKey RecordingKey::of_passphrase(std::string_view passphrase) {
  ScryptParameters parameters;
  random_bytes(parameters.salt);
  return {derive(passphrase, parameters), parameters};
}

WrappedKey RecordingKey::begin() const {
  WrappedKey wrapped{.scrypt = scrypt_, .key_id = id_of(key_)};
  random_bytes(wrapped.nonce);
  return wrapped;
}

void RecordingKey::wrap(const SecretKey& file_key, ByteView bound, WrappedKey& out) const {
  ByteBuffer sealed;
  gcm_seal(key_, out.nonce, bound, file_key.bytes(), sealed);
  std::copy(sealed.begin(), sealed.end(), out.sealed.begin());
}

void Keyring::add_key(const SecretKey& key) { keys_.emplace(id_of(key), key); }

std::optional<SecretKey> Keyring::find(const WrappedKey& wrapped) const {
  const auto look_up = [&](const std::map<KeyId, SecretKey>& keys) {
    const auto found = keys.find(wrapped.key_id);
    return found == keys.end() ? std::nullopt : std::optional(found->second);
  };
  if (!wrapped.scrypt) return look_up(keys_);
  if (passphrases_.empty() || !wrapped.scrypt->plausible()) return std::nullopt;
  const std::lock_guard lock(derived_mutex_);
  if (derived_.size() > kDerivationsKept) derived_.clear();
  const auto [derived, fresh] = derived_.try_emplace(*wrapped.scrypt);
  if (fresh) {
    for (const std::string& passphrase : passphrases_) {
      const SecretKey key = derive(passphrase, *wrapped.scrypt);
      derived->second.emplace(id_of(key), key);
    }
  }
  return look_up(derived->second);
}

std::string Keyring::why_not(const WrappedKey& wrapped) const {
  if (wrapped.scrypt) {
    if (!wrapped.scrypt->plausible()) return "its header asks for more of scrypt than any writer does";
    return passphrases_.empty() ? key_needed(wrapped)
                                : "wrong passphrase: it was encrypted with another one, or its header was "
                                  "changed";
  }
  if (keys_.empty()) return key_needed(wrapped);
  std::string given;
  for (const auto& [id, key] : keys_) given += (given.empty() ? "" : ", ") + hexadecimal(id);
  return "wrong key: it was encrypted with the key named " + hexadecimal(wrapped.key_id) +
         ", and given was " + given;
}

Keyring::Opened Keyring::open(const WrappedKey& wrapped, ByteView bound) const {
  const std::optional<SecretKey> key = find(wrapped);
  if (!key) return {.problem = why_not(wrapped), .wrong_key = true};
  ByteBuffer bytes;
  if (!gcm_open(*key, wrapped.nonce, bound, wrapped.sealed, bytes) || bytes.size() != kKeyBytes) {
    return {.problem =
                "its header was changed since it was written, and nothing in the file can be decrypted "
                "without it: take the file from a copy"};
  }
  Opened opened{.key = SecretKey(bytes)};
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return opened;
}

std::string key_needed(const WrappedKey& wrapped) {
  if (wrapped.scrypt) {
    return "is encrypted with a passphrase: give --passphrase-file FILE, or set UNDERSTUDY_PASSPHRASE";
  }
  return "is encrypted with the key named " + hexadecimal(wrapped.key_id) +
         ": give --key-file FILE, or set UNDERSTUDY_KEY_FILE";
}

std::string parse_keys(std::string_view text, std::vector<SecretKey>& out) {
  for (unsigned number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
      line.remove_suffix(1);
    }
    if (line.empty() || line.front() == '#') continue;
    const std::optional<SecretKey> key = parse_key(line);
    if (!key) {
      return "line " + std::to_string(number) +
             ": expected a key of 64 hexadecimal digits, as openssl rand -hex 32 makes one";
    }
    out.push_back(*key);
  }
  return out.empty() ? "holds no key: expected 64 hexadecimal digits, as openssl rand -hex 32 makes them"
                     : "";
}

std::vector<SecretKey> read_key_file(const std::string& path) {
  std::string text = read_small(path);
  std::vector<SecretKey> keys;
  const std::string wrong = parse_keys(text, keys);
  OPENSSL_cleanse(text.data(), text.size());
  if (!wrong.empty()) throw std::runtime_error(path + ": " + wrong);
  return keys;
}

std::string read_passphrase_file(const std::string& path) {
  std::string text = read_small(path);
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  if (text.empty()) throw std::runtime_error(path + ": its first line, the passphrase, is empty");
  return text;
}

}  // namespace understudy
