// The keys an operator has: one that wraps the keys of new files (RecordingKey), and those that open files
// written before (Keyring). A key is 32 bytes of a key file, or comes of a passphrase by scrypt.
// Any thread.
#pragma once

#include <array>
#include <compare>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/transcript/encryption.h"

namespace understudy {

// How a passphrase becomes a key (RFC 7914). The defaults take 32 MiB and about a tenth of a second.
struct ScryptParameters {
  std::uint8_t log_n = 15;
  std::uint8_t r = 8;
  std::uint8_t p = 1;
  std::array<Byte, 16> salt{};
  auto operator<=>(const ScryptParameters&) const = default;
  // A file may not ask for more memory or time than a writer would.
  [[nodiscard]] bool plausible() const {
    return log_n >= 10 && log_n <= 18 && r >= 1 && r <= 8 && p >= 1 && p <= 4;
  }
};

using KeyId = std::array<Byte, 8>;

// The part of a header that opens the file to whoever has the key.
struct WrappedKey {
  std::optional<ScryptParameters> scrypt = std::nullopt;  // none: a key of a key file
  KeyId key_id{};                                         // names the wrapping key, and tells nothing of it
  Nonce nonce{};
  std::array<Byte, kWrappedKeyBytes> sealed{};
  bool operator==(const WrappedKey&) const = default;
};

class RecordingKey {
 public:
  [[nodiscard]] static RecordingKey of_key(const SecretKey& key) { return {key, std::nullopt}; }
  // With a salt of its own.
  [[nodiscard]] static RecordingKey of_passphrase(std::string_view passphrase);

  // All but `sealed`, with a fresh nonce.
  [[nodiscard]] WrappedKey begin() const;
  // Sets out.sealed. `bound`: the header up to there.
  void wrap(const SecretKey& file_key, ByteView bound, WrappedKey& out) const;

 private:
  RecordingKey(const SecretKey& key, const std::optional<ScryptParameters>& scrypt)
      : key_(key), scrypt_(scrypt) {}

  SecretKey key_;
  std::optional<ScryptParameters> scrypt_;
};

class Keyring {
 public:
  void add_key(const SecretKey& key);
  void add_passphrase(std::string passphrase) { passphrases_.push_back(std::move(passphrase)); }

  // The file's key, or why not: what to do about it is part of `problem`.
  struct Opened {
    std::optional<SecretKey> key = std::nullopt;
    std::string problem = {};
    bool wrong_key = false;  // the problem is who asks, as far as can be told, and not the file
  };
  [[nodiscard]] Opened open(const WrappedKey& wrapped, ByteView bound) const;

 private:
  [[nodiscard]] std::optional<SecretKey> find(const WrappedKey& wrapped) const;
  [[nodiscard]] std::string why_not(const WrappedKey& wrapped) const;

  std::map<KeyId, SecretKey> keys_;
  std::vector<std::string> passphrases_;
  mutable std::mutex derived_mutex_;
  mutable std::map<ScryptParameters, std::map<KeyId, SecretKey>> derived_;  // guarded; scrypt is slow
};

// What to say of an encrypted file to who gave no key.
[[nodiscard]] std::string key_needed(const WrappedKey& wrapped);

// The keys in a key file's text: 64 hexadecimal digits a line; empty lines and those that begin with '#' are
// passed over. Returns what is wrong, never showing what was read; or an empty text.
[[nodiscard]] std::string parse_keys(std::string_view text, std::vector<SecretKey>& out);
// Throw std::runtime_error naming the file. The first key of a file is the one to record with.
[[nodiscard]] std::vector<SecretKey> read_key_file(const std::string& path);
[[nodiscard]] std::string read_passphrase_file(const std::string& path);

}  // namespace understudy
