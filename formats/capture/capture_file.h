// Reads capture files as they arrive, in pieces of any size: pcap (microseconds and nanoseconds, either byte
// order) and pcapng (sections, interfaces and their clocks, packets in three kinds of blocks, drop counters,
// secrets). Says what it cannot read, and where. (IETF drafts draft-ietf-opsawg-pcap and -pcapng.)
//
//     pcap     header(24)  ( record header(16)  packet )*
//     pcapng   ( type(4) length(4) body length(4) )*      beginning with a section header, which may come
//     again
//
// Not libpcap: that wants a seekable or at least its own FILE, and does not show secrets. Memory: one record,
// for which room is taken as it arrives. One thread at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "formats/capture/packet.h"

namespace understudy::capture {

using PacketHandler = std::function<void(const CapturedPacket&)>;
// A pcapng decryption secrets block: what kind ("TLSK" as a number: a key log file) and the secrets' bytes.
using SecretsHandler = std::function<void(std::uint32_t type, ByteView secrets)>;

class CaptureFileParser {
 public:
  // A packet that claims more is a damaged record: loopback's largest are half a megabyte.
  static constexpr std::size_t kMaxPacketBytes = std::size_t{4} << 20;
  static constexpr std::size_t kMaxInterfaces = 65'536;
  static constexpr std::uint32_t kTlsKeyLog = 0x544C534B;

  explicit CaptureFileParser(SecretsHandler on_secrets = {}) : on_secrets_(std::move(on_secrets)) {}

  // Hands out the packets that end in `piece`. False once the file cannot be read on; error() says why, and
  // whatever is fed later is counted and passed over.
  bool feed(ByteView piece, const PacketHandler& on_packet);
  // The file has no more bytes. False when it ended inside a record, or before its first: error() says so.
  bool finish();

  [[nodiscard]] const std::string& error() const { return error_; }
  // Of the record that could not be read, in the (decompressed) file.
  [[nodiscard]] std::uint64_t error_offset() const { return offset_; }
  // Bytes from there on, so far.
  [[nodiscard]] std::uint64_t bytes_not_read() const { return bytes_not_read_; }
  [[nodiscard]] std::uint64_t packets() const { return packets_; }
  [[nodiscard]] bool is_pcapng() const { return format_ == Format::kPcapng; }
  // As the file's interface statistics say; all interfaces together.
  [[nodiscard]] CaptureDrops drops() const;

 private:
  enum class Format : std::uint8_t { kUnknown, kPcap, kPcapng };
  // The record at the front of some bytes: its size; or how many bytes of it must be there; or neither (an
  // error).
  struct Step {
    std::size_t consumed = 0;
    std::size_t needed = 0;
  };
  struct Interface {
    std::uint32_t link_type = 0;
    std::uint64_t ticks_per_second = 1'000'000;
    std::int64_t offset_seconds = 0;
    CaptureDrops drops;
  };

  Step step(ByteView bytes, const PacketHandler& on_packet);
  Step begin(ByteView bytes);
  Step pcap_header(ByteView bytes);
  Step pcap_record(ByteView bytes, const PacketHandler& on_packet);
  Step pcapng_block(ByteView bytes, const PacketHandler& on_packet);
  bool section_header(ByteView body);
  bool block(std::uint32_t type, ByteView body, const PacketHandler& on_packet);
  bool interface_description(ByteView body);
  bool enhanced_packet(ByteView body, bool obsolete, const PacketHandler& on_packet);
  bool simple_packet(ByteView body, const PacketHandler& on_packet);
  bool secrets(ByteView body);
  bool interface_statistics(ByteView body);
  void hand_out(const CapturedPacket& packet, const PacketHandler& on_packet);
  Step fail(std::string why);
  bool refuse(std::string why);

  [[nodiscard]] std::uint16_t u16(const Byte* p) const;
  [[nodiscard]] std::uint32_t u32(const Byte* p) const;
  [[nodiscard]] std::uint64_t u64(const Byte* p) const;
  // Calls visit(code, value) for each option; false when they are no options.
  template <typename Visit>
  bool for_each_option(ByteView options, Visit visit) const;

  SecretsHandler on_secrets_;
  Format format_ = Format::kUnknown;
  bool swapped_ = false;               // numbers are in the other byte order than ours
  std::uint32_t link_type_ = 0;        // pcap
  std::uint64_t tick_ns_ = 1'000;      // pcap
  std::vector<Interface> interfaces_;  // pcapng, of the section at hand
  CaptureDrops earlier_drops_;         // of sections before it
  TimeNs last_time_ = 0;               // simple packets have none of their own

  ByteBuffer held_;           // the beginning of a record that goes on in the next piece
  std::size_t needed_ = 0;    // of it, before another look makes sense
  std::uint64_t skip_ = 0;    // of a block that is of no interest and too large to hold
  std::uint64_t offset_ = 0;  // of the next record
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_not_read_ = 0;
  std::string error_;
};

}  // namespace understudy::capture
