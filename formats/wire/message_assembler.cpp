#include "formats/wire/message_assembler.h"

namespace understudy::wire {

namespace {
// A buffer grown larger than this for one message is given back after it: sessions are many.
constexpr std::size_t kKeptCapacityBytes = std::size_t{64} << 10;
constexpr std::size_t kHeaderBytes = 5;
}  // namespace

DecodeError MessageAssembler::error() const {
  return {static_cast<std::size_t>(next_offset_) + 1, "a message's length is impossible"};
}

void MessageAssembler::begin(const FrameHeader& frame) {
  message_ = Message{};
  message_.type = frame.type;
  message_.payload_length = frame.payload_length;
  message_.truncated = frame.payload_length > cap_bytes_;
  message_.stream_offset = next_offset_;
  next_offset_ += kHeaderBytes + std::uint64_t{frame.payload_length};
  payload_left_ = frame.payload_length - static_cast<std::uint32_t>(frame.payload_here.size());
  collecting_ = payload_left_ > 0;
  if (message_.truncated) hash_ = ContentHash();
  if (collecting_) {
    take(frame.payload_here);
    return;
  }
  message_.payload = frame.payload_here.first(std::min(frame.payload_here.size(), cap_bytes_));
  if (message_.truncated) hash_.update(frame.payload_here);
}

// The rest of a message is always at the beginning of the next piece.
void MessageAssembler::collect(ByteView piece) {
  const std::size_t step = std::min<std::size_t>(payload_left_, piece.size());
  take(piece.first(step));
  payload_left_ -= static_cast<std::uint32_t>(step);
}

// Memory is taken as bytes arrive, never for the length a header claims.
void MessageAssembler::take(ByteView part) {
  if (message_.truncated) hash_.update(part);
  append_bytes(collected_, part.first(std::min(part.size(), cap_bytes_ - collected_.size())));
}

void MessageAssembler::release() {
  collecting_ = false;
  collected_.clear();
  if (collected_.capacity() > kKeptCapacityBytes) ByteBuffer().swap(collected_);
}

}  // namespace understudy::wire
