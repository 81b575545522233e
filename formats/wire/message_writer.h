// Appends one message to a buffer and fills in its length. For the builders of this folder.
#pragma once

#include <algorithm>
#include <span>

#include "formats/wire/lists.h"

namespace understudy::wire {

// The length is written when the writer goes out of scope. `out` is borrowed.
class MessageWriter {
 public:
  // A typed message; type 0 stands for the untyped packets of start-up.
  MessageWriter(ByteBuffer& out, char type) : out_(out) {
    if (type != 0) out_.push_back(static_cast<Byte>(type));
    length_at_ = out_.size();
    append_be32(out_, 0);
  }
  ~MessageWriter() {
    const std::uint32_t length = __builtin_bswap32(static_cast<std::uint32_t>(out_.size() - length_at_));
    std::memcpy(out_.data() + length_at_, &length, sizeof length);
  }
  MessageWriter(const MessageWriter&) = delete;
  MessageWriter& operator=(const MessageWriter&) = delete;

  void u8(std::uint8_t value) { out_.push_back(value); }
  void letter(char value) { out_.push_back(static_cast<Byte>(value)); }
  void be16(std::uint16_t value) { append_be16(out_, value); }
  void be32(std::uint32_t value) { append_be32(out_, value); }
  void bytes(ByteView value) { append_bytes(out_, value); }
  // The protocol's String. It cannot hold a NUL, so the text ends at its first one: whatever a peer managed
  // to put behind it cannot pose as the fields that follow.
  void c_string(std::string_view text) {
    bytes(as_bytes(text.substr(0, text.find('\0'))));
    u8(0);
  }
  void value(const Value& value) {
    be32(value.is_null ? 0xFFFFFFFF : static_cast<std::uint32_t>(value.bytes.size()));
    if (!value.is_null) bytes(value.bytes);
  }
  // Counted lists. A count has two bytes, so items beyond 65,535 are left out rather than miscounted.
  void values(std::span<const Value> values) {
    for (const Value& each : counted(values)) value(each);
  }
  void format_codes(std::span<const std::int16_t> codes) {
    for (const std::int16_t code : counted(codes)) be16(static_cast<std::uint16_t>(code));
  }
  void oids(std::span<const std::uint32_t> oids) {
    for (const std::uint32_t oid : counted(oids)) be32(oid);
  }
  // Writes the count and returns the items it counts.
  template <typename Item>
  std::span<const Item> counted(std::span<const Item> items) {
    const auto kept = items.first(std::min<std::size_t>(items.size(), 0xFFFF));
    be16(static_cast<std::uint16_t>(kept.size()));
    return kept;
  }

 private:
  ByteBuffer& out_;
  std::size_t length_at_ = 0;
};

}  // namespace understudy::wire
