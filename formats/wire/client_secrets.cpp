#include "formats/wire/client_secrets.h"

#include <algorithm>

#include "formats/wire/message_types.h"

namespace understudy::wire {

void ClientSecrets::resume() {
  frames_ = {};
  payload_left_ = 0;
  scanning_ = false;
}

ByteView ClientSecrets::hide(ByteView bytes) {
  found_.clear();
  const std::size_t rest = std::min<std::size_t>(payload_left_, bytes.size());
  if (scanning_ && rest > 0) scanner_->scan(bytes.first(rest), 0, found_);
  payload_left_ -= static_cast<std::uint32_t>(rest);
  (void)frames_.feed(bytes, [&](const FrameHeader& frame) {
    begin_message(frame, static_cast<std::size_t>(frame.payload_here.data() - bytes.data()));
    return true;
  });
  if (found_.empty()) return bytes;
  copy_.assign(bytes.begin(), bytes.end());
  for (const SecretRange& range : found_)
    std::fill(copy_.begin() + static_cast<std::ptrdiff_t>(range.from),
              copy_.begin() + static_cast<std::ptrdiff_t>(range.to), Byte{'x'});
  return copy_;
}

void ClientSecrets::begin_message(const FrameHeader& frame, std::size_t at) {
  const ByteView here = frame.payload_here;
  payload_left_ = frame.payload_length - static_cast<std::uint32_t>(here.size());
  const bool sql = frame.type == frontend::kQuery || frame.type == frontend::kParse;
  // Of a message in pieces the first says nothing about the others.
  scanning_ = sql && (payload_left_ > 0 || may_hold_secrets(here));
  if (!scanning_) return;
  if (!scanner_) scanner_ = std::make_unique<SqlSecretScanner>();
  scanner_->restart();
  scanner_->scan(here, at, found_);
}

}  // namespace understudy::wire
