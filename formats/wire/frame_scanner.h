// Finds message boundaries in one direction of a session's byte stream without copying it. A message after
// start-up is a type byte, a big-endian length that counts itself but not the type, and the payload
// (PostgreSQL documentation, "Message Flow", "Message Formats"):
//
//     'D' | 00 00 00 0B | 7 payload bytes
//
// Bytes may be fed in pieces of any size; the scanner keeps at most the five header bytes between calls.
#pragma once

#include <cstdint>

#include "formats/bytes.h"

namespace understudy::wire {

struct FrameHeader {
  char type = 0;
  std::uint32_t payload_length = 0;  // bytes, without type and length
  // The part of the payload that is in the view just fed; shorter than payload_length when the rest is to
  // come.
  ByteView payload_here;
};

class FrameScanner {
 public:
  // A length field below 4 or above this is no PostgreSQL message. The largest payload a server can build is
  // MaxAllocSize - 1 bytes (its StringInfo), and the length counts its own four; it refuses longer ones from
  // clients itself (PQ_LARGE_MESSAGE_LIMIT).
  static constexpr std::uint32_t kMaxLengthField = 0x3FFFFFFE + 4;

  // Calls `on_frame(const FrameHeader&)` once for every message whose header completes in `bytes`; on_frame
  // returns false to stop there. Returns false if it did, or on a broken length: then broken() holds, and
  // whatever is fed later is refused, for there is no telling where the next message would begin.
  template <typename OnFrame>
  bool feed(ByteView bytes, OnFrame&& on_frame) {
    if (broken_) return false;
    std::size_t at = 0;
    while (at < bytes.size()) {
      if (payload_left_ > 0) {
        const std::size_t step = payload_left_ < bytes.size() - at ? payload_left_ : bytes.size() - at;
        payload_left_ -= static_cast<std::uint32_t>(step);
        at += step;
        continue;
      }
      const Byte* header = bytes.data() + at;
      if (header_have_ > 0 || bytes.size() - at < kHeaderBytes) {
        while (header_have_ < kHeaderBytes && at < bytes.size()) header_[header_have_++] = bytes[at++];
        if (header_have_ < kHeaderBytes) return true;
        header = header_;
        header_have_ = 0;
      } else {
        at += kHeaderBytes;
      }
      const std::uint32_t length = load_be32(header + 1);
      if (length < 4 || length > kMaxLengthField) {
        broken_type_ = static_cast<char>(header[0]);
        broken_length_ = length;
        broken_ = true;
        return false;
      }
      payload_left_ = length - 4;
      const std::size_t here = payload_left_ < bytes.size() - at ? payload_left_ : bytes.size() - at;
      if (!on_frame(FrameHeader{static_cast<char>(header[0]), length - 4, bytes.subspan(at, here)}))
        return false;
    }
    return true;
  }

  // True between messages: no header or payload is half read.
  [[nodiscard]] bool at_boundary() const { return payload_left_ == 0 && header_have_ == 0; }
  // So many bytes belong to the message, or to the header, that is half read; 0 at a boundary. Reading no
  // more than that, time and again, ends at a boundary.
  [[nodiscard]] std::size_t left() const {
    return header_have_ > 0 ? kHeaderBytes - header_have_ : std::size_t{payload_left_};
  }
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] char broken_type() const { return broken_type_; }
  [[nodiscard]] std::uint32_t broken_length() const { return broken_length_; }

 private:
  static constexpr std::size_t kHeaderBytes = 5;
  Byte header_[kHeaderBytes] = {};
  std::uint8_t header_have_ = 0;
  std::uint32_t payload_left_ = 0;
  bool broken_ = false;
  char broken_type_ = 0;
  std::uint32_t broken_length_ = 0;
};

}  // namespace understudy::wire
