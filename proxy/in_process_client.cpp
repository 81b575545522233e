#include "proxy/in_process_client.h"

namespace understudy::proxy {

void InProcessConnection::send(ByteView bytes) {
  if (shown_ && read_offset_ == pending_.size()) {
    pending_.clear();
    read_offset_ = 0;
    shown_ = false;
  }
  append_bytes(pending_, bytes);
  if (wake_) wake_();
}

void InProcessConnection::close() {
  closed_ = true;
  if (wake_) wake_();
}

ReadResult InProcessConnection::read(std::span<Byte> /*scratch*/) {
  if (read_offset_ == pending_.size()) {
    if (shown_) {
      shown_ = false;
      pending_.clear();
      read_offset_ = 0;
      client_.on_drained();
    }
    if (read_offset_ == pending_.size()) {
      return {.status = closed_ ? IoStatus::kClosed : IoStatus::kWouldBlock, .bytes = {}, .more = false};
    }
  }
  const ByteView bytes(pending_.data() + read_offset_, pending_.size() - read_offset_);
  read_offset_ = pending_.size();
  shown_ = true;
  return {.status = IoStatus::kOk, .bytes = bytes, .more = true};
}

WriteResult InProcessConnection::write(ByteView bytes) {
  client_.on_bytes(bytes);
  return {.status = IoStatus::kOk, .written = bytes.size()};
}

}  // namespace understudy::proxy
