#include "formats/capture/capture_file.h"

#include <algorithm>
#include <bit>

#include "formats/capture/timestamp.h"

namespace understudy::capture {
namespace {

static_assert(std::endian::native == std::endian::little, "load_le32 and its kin are plain loads");

constexpr std::uint32_t kPcapMicroseconds = 0xA1B2C3D4;
constexpr std::uint32_t kPcapNanoseconds = 0xA1B23C4D;
constexpr std::uint32_t kPcapModified = 0xA1B2CD34;  // libpcap's patched records of old: another header
constexpr std::uint32_t kSectionHeader = 0x0A0D0D0A;
constexpr std::uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kPacket = 2;  // obsolete, still found
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kInterfaceStatistics = 5;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kDecryptionSecrets = 10;

constexpr std::size_t kPcapHeaderBytes = 24;
constexpr std::size_t kPcapRecordBytes = 16;
constexpr std::size_t kBlockFrameBytes = 12;  // type, length, length again
// Options and padding around the largest packet; a key log file can be some megabytes.
constexpr std::size_t kMaxBlockBytes = CaptureFileParser::kMaxPacketBytes + (std::size_t{12} << 20);

constexpr std::size_t padded(std::size_t length) { return (length + 3) & ~std::size_t{3}; }

bool is_of_interest(std::uint32_t type) {
  return type == kInterfaceDescription || type == kPacket || type == kSimplePacket ||
         type == kInterfaceStatistics || type == kEnhancedPacket || type == kDecryptionSecrets ||
         type == kSectionHeader;
}

}  // namespace

std::uint16_t CaptureFileParser::u16(const Byte* p) const {
  const auto value = static_cast<std::uint16_t>(p[0] | (p[1] << 8));
  return swapped_ ? static_cast<std::uint16_t>((value << 8) | (value >> 8)) : value;
}
std::uint32_t CaptureFileParser::u32(const Byte* p) const {
  const std::uint32_t value = load_le32(p);
  return swapped_ ? __builtin_bswap32(value) : value;
}
std::uint64_t CaptureFileParser::u64(const Byte* p) const {
  const std::uint64_t value = load_le64(p);
  return swapped_ ? __builtin_bswap64(value) : value;
}

template <typename Visit>
bool CaptureFileParser::for_each_option(ByteView options, Visit visit) const {
  while (options.size() >= 4) {
    const std::uint16_t code = u16(options.data());
    const std::size_t length = u16(options.data() + 2);
    if (code == 0) return true;  // opt_endofopt
    if (options.size() - 4 < padded(length)) return false;
    visit(code, options.subspan(4, length));
    options = options.subspan(4 + padded(length));
  }
  return true;
}

// ---- Pieces

bool CaptureFileParser::feed(ByteView piece, const PacketHandler& on_packet) {
  while (!piece.empty() && error_.empty()) {
    if (skip_ > 0) {
      const std::size_t passed = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, piece.size()));
      skip_ -= passed;
      offset_ += passed;
      piece = piece.subspan(passed);
      continue;
    }
    const bool holding = !held_.empty();
    if (holding) {
      const std::size_t taken = std::min(needed_ - held_.size(), piece.size());
      append_bytes(held_, piece.first(taken));
      piece = piece.subspan(taken);
      if (held_.size() < needed_) return true;
    }
    const Step done = step(holding ? ByteView(held_) : piece, on_packet);
    if (!error_.empty()) break;
    if (done.consumed == 0) {
      needed_ = done.needed;
      if (holding) continue;
      held_.assign(piece.begin(), piece.end());
      return true;
    }
    offset_ += done.consumed;
    if (holding) {
      held_.clear();
    } else {
      piece = piece.subspan(done.consumed);
    }
  }
  if (error_.empty()) return true;
  bytes_not_read_ += held_.size() + piece.size();
  ByteBuffer().swap(held_);
  return false;
}

bool CaptureFileParser::finish() {
  if (!error_.empty()) return false;
  if (format_ == Format::kUnknown) {
    return refuse(held_.empty() ? "is empty" : "is too short for a capture file");
  }
  if (held_.empty() && skip_ == 0) return true;
  bytes_not_read_ += held_.size();
  return refuse("ends inside a record: it was cut off, or is still being written");
}

CaptureFileParser::Step CaptureFileParser::step(ByteView bytes, const PacketHandler& on_packet) {
  switch (format_) {
    case Format::kUnknown:
      return begin(bytes);
    case Format::kPcap:
      return pcap_record(bytes, on_packet);
    case Format::kPcapng:
      return pcapng_block(bytes, on_packet);
  }
  return {};
}

CaptureFileParser::Step CaptureFileParser::begin(ByteView bytes) {
  if (bytes.size() < 4) return {0, 4};
  const std::uint32_t magic = load_le32(bytes.data());
  if (magic == kSectionHeader) {
    format_ = Format::kPcapng;
    return pcapng_block(bytes, {});
  }
  for (const bool swapped : {false, true}) {
    swapped_ = swapped;
    const std::uint32_t read = u32(bytes.data());
    if (read == kPcapModified) {
      return fail(
          "is a capture in a variant of pcap that is not read (magic a1b2cd34): convert it with editcap");
    }
    if (read != kPcapMicroseconds && read != kPcapNanoseconds) continue;
    tick_ns_ = read == kPcapNanoseconds ? 1 : 1'000;
    return pcap_header(bytes);
  }
  return fail("is no capture file: neither pcap nor pcapng, nor one of them compressed by gzip or zstd");
}

// ---- pcap

CaptureFileParser::Step CaptureFileParser::pcap_header(ByteView bytes) {
  if (bytes.size() < kPcapHeaderBytes) return {0, kPcapHeaderBytes};
  const std::uint16_t major = u16(bytes.data() + 4);
  if (major != 2) return fail("is in version " + std::to_string(major) + " of pcap; only version 2 is known");
  link_type_ = u32(bytes.data() + 20) & 0xFFFF;  // above: the length of frame check sequences
  format_ = Format::kPcap;
  return {kPcapHeaderBytes, 0};
}

CaptureFileParser::Step CaptureFileParser::pcap_record(ByteView bytes, const PacketHandler& on_packet) {
  if (bytes.size() < kPcapRecordBytes) return {0, kPcapRecordBytes};
  const std::size_t captured = u32(bytes.data() + 8);
  if (captured > kMaxPacketBytes) {
    return fail("is damaged: a packet of " + std::to_string(captured) + " bytes");
  }
  const std::size_t size = kPcapRecordBytes + captured;
  if (bytes.size() < size) return {0, size};
  const TimeNs seconds = TimeNs{u32(bytes.data())} * kNsPerSecond;
  const TimeNs time = seconds + static_cast<TimeNs>(u32(bytes.data() + 4) * tick_ns_);
  hand_out({time, link_type_, bytes.subspan(kPcapRecordBytes, captured), u32(bytes.data() + 12)}, on_packet);
  return {size, 0};
}

// ---- pcapng

CaptureFileParser::Step CaptureFileParser::pcapng_block(ByteView bytes, const PacketHandler& on_packet) {
  if (bytes.size() < kBlockFrameBytes) return {0, kBlockFrameBytes};
  std::uint32_t type = load_le32(bytes.data());
  if (type == kSectionHeader) {  // the same in both byte orders
    const std::uint32_t magic = load_le32(bytes.data() + 8);
    swapped_ = magic == __builtin_bswap32(kByteOrderMagic);
    if (!swapped_ && magic != kByteOrderMagic) return fail("is damaged: a section without a byte order");
  } else {
    type = u32(bytes.data());
  }
  const std::size_t size = u32(bytes.data() + 4);
  if (size < kBlockFrameBytes || size % 4 != 0) {
    return fail("is damaged: a block of " + std::to_string(size) + " bytes");
  }
  if (!is_of_interest(type)) {
    const std::size_t here = std::min(size, bytes.size());
    skip_ = size - here;
    return {here, 0};
  }
  if (size > kMaxBlockBytes) return fail("is damaged: a block of " + std::to_string(size) + " bytes");
  if (bytes.size() < size) return {0, size};
  if (u32(bytes.data() + size - 4) != size) return fail("is damaged: the two lengths of a block differ");
  const ByteView body = bytes.subspan(8, size - kBlockFrameBytes);
  if (!(type == kSectionHeader ? section_header(body) : block(type, body, on_packet))) return {};
  return {size, 0};
}

bool CaptureFileParser::section_header(ByteView body) {
  if (body.size() < 16) return refuse("is damaged: a section header that is too short");
  const std::uint16_t major = u16(body.data() + 4);
  if (major != 1) {
    return refuse("has a section in version " + std::to_string(major) +
                  " of pcapng; only version 1 is known");
  }
  earlier_drops_ = drops();
  interfaces_.clear();
  return true;
}

bool CaptureFileParser::block(std::uint32_t type, ByteView body, const PacketHandler& on_packet) {
  switch (type) {
    case kInterfaceDescription:
      return interface_description(body);
    case kEnhancedPacket:
      return enhanced_packet(body, false, on_packet);
    case kPacket:
      return enhanced_packet(body, true, on_packet);
    case kSimplePacket:
      return simple_packet(body, on_packet);
    case kInterfaceStatistics:
      return interface_statistics(body);
    case kDecryptionSecrets:
      return secrets(body);
    default:
      return true;  // names, comments, other people's: nothing a conversation hangs on
  }
}

bool CaptureFileParser::interface_description(ByteView body) {
  if (body.size() < 8) return refuse("is damaged: an interface description that is too short");
  if (interfaces_.size() == kMaxInterfaces)
    return refuse("is damaged: more than 65536 interfaces in a section");
  Interface added;
  added.link_type = u16(body.data());
  const bool whole = for_each_option(body.subspan(8), [&](std::uint16_t code, ByteView value) {
    constexpr std::uint16_t kResolution = 9;
    constexpr std::uint16_t kOffset = 14;
    if (code == kResolution && value.size() == 1) added.ticks_per_second = ticks_per_second(value[0]);
    if (code == kOffset && value.size() == 8) {
      added.offset_seconds = static_cast<std::int64_t>(u64(value.data()));
    }
  });
  if (!whole) return refuse("is damaged: an interface description whose options have no end");
  if (added.ticks_per_second == 0) return refuse("has an interface whose clock is finer than can be read");
  interfaces_.push_back(added);
  return true;
}

// Of the obsolete block only the first eight bytes differ: interface (16 bits), drops (16 bits).
bool CaptureFileParser::enhanced_packet(ByteView body, bool obsolete, const PacketHandler& on_packet) {
  constexpr std::size_t kFields = 20;
  if (body.size() < kFields) return refuse("is damaged: a packet block that is too short");
  const std::size_t index = obsolete ? u16(body.data()) : u32(body.data());
  if (index >= interfaces_.size())
    return refuse("is damaged: a packet of an interface that was not described");
  const Interface& interface = interfaces_[index];
  const std::uint64_t ticks = (std::uint64_t{u32(body.data() + 4)} << 32) | u32(body.data() + 8);
  const std::size_t captured = u32(body.data() + 12);
  if (captured > body.size() - kFields || captured > kMaxPacketBytes) {
    return refuse("is damaged: a packet that is longer than its block");
  }
  const TimeNs time = time_of_ticks(ticks, interface.ticks_per_second, interface.offset_seconds);
  hand_out({time, interface.link_type, body.subspan(kFields, captured), u32(body.data() + 16)}, on_packet);
  return true;
}

bool CaptureFileParser::simple_packet(ByteView body, const PacketHandler& on_packet) {
  if (body.size() < 4) return refuse("is damaged: a packet block that is too short");
  if (interfaces_.empty()) return refuse("is damaged: a packet of an interface that was not described");
  const std::uint32_t original = u32(body.data());
  const std::size_t captured = std::min<std::size_t>({original, body.size() - 4, kMaxPacketBytes});
  hand_out({last_time_, interfaces_.front().link_type, body.subspan(4, captured), original}, on_packet);
  return true;
}

bool CaptureFileParser::secrets(ByteView body) {
  if (body.size() < 8) return refuse("is damaged: a secrets block that is too short");
  const std::size_t length = u32(body.data() + 4);
  if (length > body.size() - 8) return refuse("is damaged: secrets that are longer than their block");
  if (on_secrets_) on_secrets_(u32(body.data()), body.subspan(8, length));
  return true;
}

bool CaptureFileParser::interface_statistics(ByteView body) {
  if (body.size() < 12) return refuse("is damaged: interface statistics that are too short");
  const std::size_t index = u32(body.data());
  if (index >= interfaces_.size()) return true;
  CaptureDrops& drops = interfaces_[index].drops;
  (void)for_each_option(body.subspan(12), [&](std::uint16_t code, ByteView value) {
    constexpr std::uint16_t kInterfaceDrops = 5;
    constexpr std::uint16_t kOsDrops = 7;
    if (value.size() != 8) return;
    if (code == kInterfaceDrops) drops.by_interface = u64(value.data());
    if (code == kOsDrops) drops.by_kernel = u64(value.data());
  });
  return true;
}

CaptureDrops CaptureFileParser::drops() const {
  CaptureDrops total = earlier_drops_;
  for (const Interface& interface : interfaces_) {
    total.by_kernel += interface.drops.by_kernel;
    total.by_interface += interface.drops.by_interface;
  }
  return total;
}

void CaptureFileParser::hand_out(const CapturedPacket& packet, const PacketHandler& on_packet) {
  ++packets_;
  last_time_ = packet.time;
  if (on_packet) on_packet(packet);
}

CaptureFileParser::Step CaptureFileParser::fail(std::string why) {
  (void)refuse(std::move(why));
  return {};
}

bool CaptureFileParser::refuse(std::string why) {
  error_ = std::move(why);
  return false;
}

}  // namespace understudy::capture
