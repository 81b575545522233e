// Passwords in the SQL of a client's byte stream (Query and Parse messages), overwritten with 'x' so that
// every length stays what it was.
#pragma once

#include <memory>
#include <vector>

#include "formats/wire/frame_scanner.h"
#include "formats/wire/sql_secrets.h"

namespace understudy::wire {

class ClientSecrets {
 public:
  // The next bytes of the stream, which begins at a message behind the start-up packet: `bytes` itself, or,
  // when there were passwords in it, a copy without them, good until the next call.
  [[nodiscard]] ByteView hide(ByteView bytes);
  // The stream goes on at a message's beginning, after something was missing.
  void resume();

 private:
  void begin_message(const FrameHeader& frame, std::size_t at);

  FrameScanner frames_;
  std::uint32_t payload_left_ = 0;  // of the message at hand
  bool scanning_ = false;           // it
  std::unique_ptr<SqlSecretScanner> scanner_;
  std::vector<SecretRange> found_;  // of the last call
  ByteBuffer copy_;
};

}  // namespace understudy::wire
