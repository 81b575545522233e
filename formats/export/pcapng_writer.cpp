#include "formats/export/pcapng_writer.h"

#include <algorithm>

namespace understudy::capture {
namespace {

constexpr std::uint32_t kSectionHeader = 0x0A0D0D0A;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrder = 0x1A2B3C4D;
constexpr std::uint16_t kLinkRawIp = 101;
constexpr std::uint16_t kComment = 1;
constexpr std::uint16_t kApplication = 4;
constexpr std::uint16_t kTimeResolution = 9;
constexpr Byte kNanoseconds = 9;  // the exponent of ten
constexpr std::size_t kMostOptionBytes = 0xFFFC;

void append_le16(ByteBuffer& out, std::uint16_t value) {
  out.push_back(static_cast<Byte>(value));
  out.push_back(static_cast<Byte>(value >> 8));
}

void pad(ByteBuffer& out, std::size_t begin) {
  while ((out.size() - begin) % 4 != 0) out.push_back(0);
}

void append_option(ByteBuffer& out, std::uint16_t code, ByteView value) {
  value = value.first(std::min(value.size(), kMostOptionBytes));
  append_le16(out, code);
  append_le16(out, static_cast<std::uint16_t>(value.size()));
  const std::size_t begin = out.size();
  append_bytes(out, value);
  pad(out, begin);
}

void end_options(ByteBuffer& out) { append_le32(out, 0); }

// A block's length stands at both of its ends, and is known at the second.
std::size_t begin_block(ByteBuffer& out, std::uint32_t type) {
  const std::size_t begin = out.size();
  append_le32(out, type);
  append_le32(out, 0);
  return begin;
}

void end_block(ByteBuffer& out, std::size_t begin) {
  const auto length = static_cast<std::uint32_t>(out.size() - begin + 4);
  append_le32(out, length);
  for (unsigned i = 0; i < 4; ++i) out[begin + 4 + i] = static_cast<Byte>(length >> (8 * i));
}

}  // namespace

void append_pcapng_head(ByteBuffer& out, std::string_view application) {
  const std::size_t section = begin_block(out, kSectionHeader);
  append_le32(out, kByteOrder);
  append_le16(out, 1);  // version 1.0
  append_le16(out, 0);
  append_le64(out, UINT64_MAX);  // of a length that is not known
  append_option(out, kApplication, as_bytes(application));
  end_options(out);
  end_block(out, section);

  const std::size_t interface = begin_block(out, kInterface);
  append_le16(out, kLinkRawIp);
  append_le16(out, 0);
  append_le32(out, 0);  // packets are never cut
  append_option(out, kTimeResolution, {&kNanoseconds, 1});
  end_options(out);
  end_block(out, interface);
}

void append_pcapng_packet(ByteBuffer& out, TimeNs time, ByteView ip_packet, std::string_view comment) {
  const std::size_t block = begin_block(out, kEnhancedPacket);
  const auto stamp = static_cast<std::uint64_t>(std::max<TimeNs>(time, 0));
  append_le32(out, 0);  // the interface
  append_le32(out, static_cast<std::uint32_t>(stamp >> 32));
  append_le32(out, static_cast<std::uint32_t>(stamp));
  append_le32(out, static_cast<std::uint32_t>(ip_packet.size()));
  append_le32(out, static_cast<std::uint32_t>(ip_packet.size()));
  const std::size_t begin = out.size();
  append_bytes(out, ip_packet);
  pad(out, begin);
  if (!comment.empty()) {
    append_option(out, kComment, as_bytes(comment));
    end_options(out);
  }
  end_block(out, block);
}

}  // namespace understudy::capture
