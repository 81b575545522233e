// How readers of transcripts speak of what they cannot use: at all (RecordingError), or in part (Damage).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace understudy {

// A recording that cannot be used at all: foreign file, newer version, unreadable. what() names the file, the
// offset and what to do.
class RecordingError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // "<file>: <what> (at byte <offset>)"
  RecordingError(const std::string& file, std::uint64_t offset, const std::string& what)
      : std::runtime_error(file + ": " + what + " (at byte " + std::to_string(offset) + ")") {}
};

// A file that is encrypted, and none of the keys at hand is its own: it may be whole.
class WrongKeyError : public RecordingError {
 public:
  using RecordingError::RecordingError;
};

// Something in a file that could not be used, while the rest could.
struct Damage {
  std::string file;
  std::uint64_t offset = 0;  // in the file, bytes
  std::uint64_t bytes = 0;   // how many were passed over
  std::string what;          // "chunk body: checksum mismatch", "file ends inside a chunk", ...
  bool operator==(const Damage&) const = default;
};

}  // namespace understudy
