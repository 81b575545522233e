// What a decoder of the wire protocol answers: a value, or why the bytes are none. Never an exception: the
// bytes are a peer's.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "formats/bytes.h"

namespace understudy::wire {

struct DecodeError {
  std::size_t offset = 0;  // where in the payload (or start-up packet) the decoder gave up
  std::string_view text;   // a literal
  bool operator==(const DecodeError&) const = default;
};

template <typename T>
class [[nodiscard]] Decoded {
 public:
  // Implicit, so that a decoder can return either.
  Decoded(T value) : value_(std::move(value)) {}
  Decoded(DecodeError error) : error_(error) {}

  [[nodiscard]] bool has_value() const { return value_.has_value(); }
  explicit operator bool() const { return has_value(); }
  // Only when has_value().
  [[nodiscard]] const T& operator*() const { return *value_; }
  [[nodiscard]] const T* operator->() const { return &*value_; }
  // Only when not has_value().
  [[nodiscard]] const DecodeError& error() const { return error_; }

 private:
  std::optional<T> value_;
  DecodeError error_;
};

// The end of every decoder: the fields must have been there, and nothing after them.
template <typename T>
Decoded<T> finish(const ByteReader& in, T value) {
  if (in.failed()) return DecodeError{in.offset(), "the message ends inside a field"};
  if (!in.finished()) return DecodeError{in.offset(), "bytes after the last field"};
  return value;
}

}  // namespace understudy::wire
