// What a server answered, in so few bytes that two answers can be compared: how many rows, which (in any
// order), command tags, the first error's SQLSTATE. No I/O; used on a session's worker.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/message_walker.h"

namespace understudy::proxy {

struct ExchangeDigest {
  std::uint64_t rows = 0;
  std::uint64_t sum = 0;  // of the rows' checksums
  std::string tags;
  std::string sqlstate;
  bool operator==(const ExchangeDigest&) const = default;
};

class ExchangeDigester {
 public:
  // An answer begins, which `readies` ReadyForQuery end.
  void begin(unsigned readies) {
    due_ = readies;
    digest_ = {};
  }
  // Returns how many of the bytes belong to the answer.
  [[nodiscard]] std::size_t feed(ByteView bytes);
  // Bytes that belong to no answer: a notice, a setting.
  void pass(ByteView bytes);
  [[nodiscard]] bool done() const { return due_ == 0; }
  [[nodiscard]] const ExchangeDigest& digest() const { return digest_; }

 private:
  struct Handler;
  MessageWalker walker_;
  unsigned due_ = 0;
  char type_ = 0;
  std::uint32_t checksum_ = 0;
  ExchangeDigest digest_;
};

}  // namespace understudy::proxy
