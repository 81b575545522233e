// Conversations put on the wire as a network would: cut into segments, resent, reordered, fragmented, on
// every link, in every kind of capture file; and what reassembly makes of them, as plain values.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "formats/capture/capture_file.h"
#include "formats/capture/reassembler.h"

namespace understudy::capture {

// The client is side A: its address comes first.
inline constexpr Side kClient = Side::kA;
inline constexpr Side kServer = Side::kB;
inline constexpr TimeNs kCaptureBegins = 1'780'000'000'123'456'789;

struct Said {
  Side from = kClient;
  std::string text;
  bool operator==(const Said&) const = default;
};
using Talk = std::vector<Said>;

struct Segment {
  Side from = kClient;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledged = 0;
  bool syn = false;
  bool ack = true;
  bool fin = false;
  bool rst = false;
  std::string payload;
};

inline std::string be(std::uint64_t value, int bytes) {
  std::string text;
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

// ---- TCP

struct Wiring {
  std::uint32_t client_isn = 1000;
  std::uint32_t server_isn = 9000;
  std::size_t longest_segment = 1448;
  bool handshake = true;
  bool ends = true;
};

// The talk as segments in the order in which they were sent, each by somebody who had received all before it.
inline std::vector<Segment> put_on_wire(const Talk& talk, const Wiring& wiring, std::mt19937& random) {
  std::vector<Segment> segments;
  std::uint32_t next[2] = {wiring.client_isn, wiring.server_isn};
  const auto add = [&](Side from, bool syn, bool ack, bool fin, std::string payload) {
    Segment segment{from, next[index_of(from)], ack ? next[index_of(other(from))] : 0, syn, ack, fin, false,
                    {}};
    next[index_of(from)] += static_cast<std::uint32_t>(payload.size()) + (syn || fin ? 1U : 0U);
    segment.payload = std::move(payload);
    segments.push_back(std::move(segment));
  };
  if (wiring.handshake) {
    add(kClient, true, false, false, "");
    add(kServer, true, true, false, "");
    add(kClient, false, true, false, "");
  } else {
    ++next[0], ++next[1];
  }
  for (const Said& said : talk) {
    for (std::size_t at = 0; at < said.text.size();) {
      const std::size_t size =
          std::min<std::size_t>(1 + random() % wiring.longest_segment, said.text.size() - at);
      add(said.from, false, true, false, said.text.substr(at, size));
      at += size;
    }
    add(other(said.from), false, true, false, "");  // an acknowledgement of its own
  }
  if (wiring.ends) {
    add(kClient, false, true, true, "");
    add(kServer, false, true, true, "");
    add(kClient, false, true, false, "");
  }
  return segments;
}

// What networks do to segments and TCP mends. The handshake stays first.
inline void resend_some(std::vector<Segment>& segments, std::mt19937& random) {
  for (std::size_t at = 3; at < segments.size(); ++at) {
    if (random() % 4 != 0 || segments[at].payload.empty()) continue;
    Segment again = segments[at];
    // Resent with something before or behind it, as a sender that packs anew does.
    for (std::size_t before = at; before-- > 3 && random() % 2 == 0;) {
      const Segment& earlier = segments[before];
      const std::uint32_t end = earlier.sequence + static_cast<std::uint32_t>(earlier.payload.size());
      if (earlier.from != again.from || earlier.payload.empty() || end != again.sequence) continue;
      again.sequence = earlier.sequence;
      again.payload = earlier.payload + again.payload;
    }
    const std::size_t place = std::min(at + 1 + random() % 6, segments.size());
    segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(place), again);
  }
}

inline void reorder(std::vector<Segment>& segments, std::size_t window, std::mt19937& random) {
  for (std::size_t at = 3; at + window < segments.size(); at += window) {
    const auto first = segments.begin() + static_cast<std::ptrdiff_t>(at);
    std::shuffle(first, first + static_cast<std::ptrdiff_t>(window), random);
  }
}

// ---- IP and links

inline std::string address_of(Side side, bool v6) {
  const char last = side == kClient ? 1 : 2;
  if (!v6) return std::string("\x0a\0\0", 3) + last;
  return std::string("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15) + last;
}

inline std::string tcp_bytes(const Segment& segment) {
  const bool from_client = segment.from == kClient;
  const unsigned flags =
      (segment.fin ? 1U : 0U) | (segment.syn ? 2U : 0U) | (segment.rst ? 4U : 0U) | (segment.ack ? 16U : 0U);
  // With the padding and time stamps that real ones have: three words of options.
  return be(from_client ? 40'000 : 5432, 2) + be(from_client ? 5432 : 40'000, 2) + be(segment.sequence, 4) +
         be(segment.acknowledged, 4) + be(8 << 4, 1) + be(flags, 1) + be(501, 2) + be(0, 4) +
         std::string("\1\1\x08\x0a\0\0\0\1\0\0\0\2", 12) + segment.payload;
}

inline std::string ipv4(Side from, const std::string& payload, unsigned id, std::size_t offset, bool more) {
  return be(0x4500, 2) + be(20 + payload.size(), 2) + be(id, 2) +
         be((more ? 0x2000U : 0U) | (offset / 8), 2) + be(64, 1) + be(6, 1) + be(0, 2) +
         address_of(from, false) + address_of(other(from), false) + payload;
}

inline std::string ipv6(Side from, const std::string& payload, std::uint8_t next) {
  return be(0x60000000, 4) + be(payload.size(), 2) + be(next, 1) + be(64, 1) + address_of(from, true) +
         address_of(other(from), true) + payload;
}

// The segment as one packet, or as fragments of so many bytes (a multiple of eight), the last of them first.
inline std::vector<std::string> ip_packets(const Segment& segment, bool v6, unsigned id,
                                           std::size_t fragment) {
  const std::string tcp = tcp_bytes(segment);
  if (fragment == 0 || tcp.size() <= fragment) {
    if (!v6) return {ipv4(segment.from, tcp, id, 0, false)};
    // Behind an extension header of options, as some hosts send.
    return {ipv6(segment.from, be(6, 1) + be(0, 1) + std::string("\1\4\0\0\0\0", 6) + tcp, 60)};
  }
  std::vector<std::string> packets;
  for (std::size_t at = 0; at < tcp.size(); at += fragment) {
    const std::string part = tcp.substr(at, fragment);
    const bool more = at + part.size() < tcp.size();
    packets.push_back(
        v6 ? ipv6(segment.from, be(6, 1) + be(0, 1) + be(at | (more ? 1U : 0U), 2) + be(id, 4) + part, 44)
           : ipv4(segment.from, part, id, at, more));
  }
  std::reverse(packets.begin(), packets.end());
  return packets;
}

struct Link {
  std::uint32_t type = link_type::kEthernet;
  int vlan_tags = 0;
  bool v6 = false;
};

inline std::string on_link(const Link& link, const std::string& packet) {
  const unsigned ether_type = link.v6 ? 0x86DD : 0x0800;
  switch (link.type) {
    case link_type::kEthernet: {
      std::string frame(12, '\x02');
      for (int tag = 0; tag < link.vlan_tags; ++tag)
        frame += be(tag == 0 ? 0x88A8 : 0x8100, 2) + be(100 + tag, 2);
      frame += be(ether_type, 2) + packet;
      if (frame.size() < 60) frame.resize(60);  // padded, as on a cable
      return frame;
    }
    case link_type::kLinuxCooked:
      return be(0, 2) + be(1, 2) + be(6, 2) + std::string(8, '\x03') + be(ether_type, 2) + packet;
    case link_type::kLinuxCooked2:
      return be(ether_type, 2) + be(0, 2) + be(7, 4) + be(1, 2) + be(0, 1) + be(6, 1) +
             std::string(8, '\x03') + packet;
    case link_type::kNull:
      return std::string(1, link.v6 ? '\x1e' : '\x02') + std::string(3, '\0') + packet;
    case link_type::kLoop:
      return be(link.v6 ? 24 : 2, 4) + packet;
    default:
      return packet;
  }
}

inline std::vector<Link> all_links() {
  std::vector<Link> links;
  for (const bool v6 : {false, true}) {
    for (const int tags : {0, 1, 2}) links.push_back({link_type::kEthernet, tags, v6});
    for (const std::uint32_t type : {link_type::kLinuxCooked, link_type::kLinuxCooked2, link_type::kNull,
                                     link_type::kLoop, link_type::kRaw, link_type::kRawOfBsd}) {
      links.push_back({type, 0, v6});
    }
    links.push_back({v6 ? link_type::kIpv6 : link_type::kIpv4, 0, v6});
  }
  return links;
}

// ---- Files

struct Frame {
  TimeNs time = 0;
  std::string bytes;
};

// A millisecond apart.
inline std::vector<Frame> frames_of(const std::vector<Segment>& segments, const Link& link,
                                    std::size_t fragment = 0, TimeNs begins = kCaptureBegins) {
  std::vector<Frame> frames;
  unsigned id = 0;
  for (const Segment& segment : segments) {
    begins += 1'000'000;
    for (const std::string& packet : ip_packets(segment, link.v6, ++id, fragment)) {
      frames.push_back({begins, on_link(link, packet)});
    }
  }
  return frames;
}

// Numbers in either byte order.
class Numbers {
 public:
  explicit Numbers(bool big_endian) : big_endian_(big_endian) {}
  [[nodiscard]] std::string operator()(std::uint64_t value, int bytes) const {
    std::string text = be(value, bytes);
    if (!big_endian_) std::reverse(text.begin(), text.end());
    return text;
  }

 private:
  bool big_endian_;
};

inline std::string pcap_file(const std::vector<Frame>& frames, std::uint32_t link, bool nanoseconds = true,
                             bool big_endian = false) {
  const Numbers number(big_endian);
  std::string file = number(nanoseconds ? 0xA1B23C4D : 0xA1B2C3D4, 4) + number(2, 2) + number(4, 2) +
                     number(0, 4) + number(0, 4) + number(262'144, 4) + number(link, 4);
  for (const Frame& frame : frames) {
    const auto part = static_cast<std::uint64_t>(frame.time % 1'000'000'000) / (nanoseconds ? 1U : 1000U);
    file += number(static_cast<std::uint64_t>(frame.time / 1'000'000'000), 4) + number(part, 4) +
            number(frame.bytes.size(), 4) + number(frame.bytes.size(), 4) + frame.bytes;
  }
  return file;
}

class PcapngWriter {
 public:
  explicit PcapngWriter(bool big_endian = false) : number_(big_endian) {}

  void section() {
    block(0x0A0D0D0A, number_(0x1A2B3C4D, 4) + number_(1, 2) + number_(0, 2) + number_(UINT64_MAX, 8));
  }
  // resolution: of if_tsresol; offset: seconds of if_tsoffset.
  void interface(std::uint32_t link, std::uint8_t resolution, std::int64_t offset = 0) {
    std::string options = option(2, "eth0") + option(9, std::string(1, static_cast<char>(resolution)));
    if (offset != 0) options += option(14, number_(static_cast<std::uint64_t>(offset), 8));
    block(1, number_(link, 2) + number_(0, 2) + number_(0, 4) + options + option(0, ""));
  }
  void packet(std::uint32_t interface, std::uint64_t ticks, const std::string& bytes) {
    block(6, number_(interface, 4) + number_(ticks >> 32, 4) + number_(ticks & 0xFFFFFFFF, 4) +
                 number_(bytes.size(), 4) + number_(bytes.size(), 4) + padded(bytes) +
                 option(1, "a comment") + option(0, ""));
  }
  void simple_packet(const std::string& bytes) { block(3, number_(bytes.size(), 4) + padded(bytes)); }
  void statistics(std::uint32_t interface, std::uint64_t interface_drops, std::uint64_t os_drops) {
    block(5, number_(interface, 4) + number_(0, 8) + option(5, number_(interface_drops, 8)) +
                 option(7, number_(os_drops, 8)) + option(0, ""));
  }
  void secrets(const std::string& text) {
    block(10, number_(CaptureFileParser::kTlsKeyLog, 4) + number_(text.size(), 4) + padded(text));
  }
  void block(std::uint32_t type, const std::string& body) {
    const std::string size = number_(body.size() + 12, 4);
    file_ += number_(type, 4) + size + body + size;
  }
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  [[nodiscard]] static std::string padded(std::string text) {
    text.resize((text.size() + 3) & ~std::size_t{3});
    return text;
  }
  [[nodiscard]] std::string option(unsigned code, const std::string& value) const {
    return number_(code, 2) + number_(value.size(), 2) + padded(value);
  }

  Numbers number_;
  std::string file_;
};

inline std::string pcapng_file(const std::vector<Frame>& frames, std::uint32_t link,
                               bool big_endian = false) {
  PcapngWriter writer(big_endian);
  writer.section();
  writer.interface(link, 9);
  for (const Frame& frame : frames) writer.packet(0, static_cast<std::uint64_t>(frame.time), frame.bytes);
  return writer.file();
}

// ---- What reassembly says

// What was said, and holes as "<n>"; what one side says in a row is one.
class Heard final : public ConversationFactory {
 public:
  struct One {
    ConversationOpening opening;
    Talk talk;               // without holes
    std::string streams[2];  // with "<n>" for holes
    std::uint64_t lost[2] = {};
    bool finished[2] = {};
    std::optional<ConversationEnd> end;
    bool times_ran_back = false;
    TimeNs last = 0;
  };
  std::vector<std::unique_ptr<One>> conversations;

  [[nodiscard]] std::unique_ptr<ConversationListener> conversation(
      const ConversationOpening& opening) override {
    conversations.push_back(std::make_unique<One>());
    conversations.back()->opening = opening;
    return std::make_unique<Ear>(*conversations.back());
  }

 private:
  class Ear final : public ConversationListener {
   public:
    explicit Ear(One& one) : one_(one) {}
    void data(Side from, TimeNs time, ByteView bytes, bool /*informed*/) override {
      tell_hole(from);
      note(time);
      one_.streams[index_of(from)] += as_text(bytes);
      if (one_.talk.empty() || one_.talk.back().from != from) one_.talk.push_back({from, {}});
      one_.talk.back().text += as_text(bytes);
    }
    void lost(Side from, TimeNs time, std::uint64_t bytes) override {
      note(time);
      one_.lost[index_of(from)] += bytes;
      hole_[index_of(from)] += bytes;
    }
    void finished(Side from, TimeNs time) override {
      note(time);
      one_.finished[index_of(from)] = true;
    }
    void closed(ConversationEnd end, std::optional<Side> /*by*/, TimeNs time) override {
      for (const Side side : {Side::kA, Side::kB}) tell_hole(side);
      note(time);
      one_.end = end;
    }

   private:
    void tell_hole(Side side) {
      std::uint64_t& hole = hole_[index_of(side)];
      if (hole > 0) one_.streams[index_of(side)] += "<" + std::to_string(hole) + ">";
      hole = 0;
    }
    void note(TimeNs time) {
      one_.times_ran_back = one_.times_ran_back || time < one_.last;
      one_.last = time;
    }
    One& one_;
    std::uint64_t hole_[2] = {};
  };
};

// Feeds a file in pieces of random sizes.
inline bool feed(CaptureFileParser& parser, const std::string& file, std::mt19937& random,
                 const PacketHandler& handler) {
  for (std::size_t at = 0; at < file.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random() % 5000, file.size() - at);
    if (!parser.feed(as_bytes(std::string_view(file).substr(at, size)), handler)) return false;
    at += size;
  }
  return parser.finish();
}

}  // namespace understudy::capture
