#include "formats/export/tcp_conversation.h"

#include <algorithm>

namespace understudy::capture {
namespace {

constexpr Byte kFin = 0x01;
constexpr Byte kSyn = 0x02;
constexpr Byte kPush = 0x08;
constexpr Byte kAck = 0x10;

constexpr std::size_t kIpv4HeaderBytes = 20;
constexpr std::size_t kTcpHeaderBytes = 20;
constexpr Byte kTcp = 6;
constexpr Byte kHops = 64;

// Largest segment 1400, windows counted in 128 bytes.
constexpr Byte kSynOptions[] = {2, 4, 1400 >> 8, 1400 & 0xFF, 1, 3, 3, 7};

// RFC 1071, of parts that begin at even offsets.
class InternetChecksum {
 public:
  void add(ByteView bytes) {
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum_ += load_be16(bytes.data() + i);
    if (bytes.size() % 2 != 0) sum_ += static_cast<std::uint64_t>(bytes.back()) << 8;
  }
  void add(std::uint64_t value) { sum_ += value; }
  [[nodiscard]] std::uint16_t value() const {
    std::uint64_t sum = sum_;
    while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }

 private:
  std::uint64_t sum_ = 0;
};

ByteView address_bytes(const IpAddress& address) {
  return address.v6 ? ByteView(address.bytes) : ByteView(address.bytes).subspan(12);
}

void store_be16(Byte* at, std::uint16_t value) {
  at[0] = static_cast<Byte>(value >> 8);
  at[1] = static_cast<Byte>(value);
}

}  // namespace

TcpConversation::TcpConversation(const Endpoint& client, const Endpoint& server, Packet packet)
    : ends_{{client, 1'000'000, 1'000'000}, {server, 2'000'000, 2'000'000}}, packet_(std::move(packet)) {}

void TcpConversation::comment(std::string_view text) {
  comment_ += (comment_.empty() ? "" : "\n") + std::string(text);
}

void TcpConversation::open(TimeNs time) {
  send(Direction::kFromClient, time, kSyn, {});
  send(Direction::kFromServer, time, kSyn | kAck, {});
  send(Direction::kFromClient, time, kAck, {});
}

void TcpConversation::data(Direction from, TimeNs time, ByteView bytes) {
  while (!bytes.empty()) {
    const ByteView part = bytes.first(std::min(bytes.size(), kSegmentBytes));
    bytes = bytes.subspan(part.size());
    send(from, time, bytes.empty() ? kAck | kPush : kAck, part);
    const End& sender = ends_[index(from)];
    if (sender.next - sender.acknowledged > kMostUnacknowledged) acknowledge(opposite(from), time);
  }
}

void TcpConversation::skip(Direction from, TimeNs time, std::uint64_t bytes) {
  if (bytes == 0) return;
  ends_[index(from)].next += static_cast<std::uint32_t>(bytes);
  acknowledge(opposite(from), time);
}

void TcpConversation::acknowledge(Direction from, TimeNs time) { send(from, time, kAck, {}); }

void TcpConversation::close(Direction by, TimeNs time) {
  send(by, time, kFin | kAck, {});
  send(opposite(by), time, kFin | kAck, {});
  send(by, time, kAck, {});
}

void TcpConversation::send(Direction from, TimeNs time, Byte flags, ByteView data) {
  End& sender = ends_[index(from)];
  End& receiver = ends_[index(opposite(from))];
  const bool opens = (flags & kSyn) != 0;
  const ByteView options = opens ? ByteView(kSynOptions) : ByteView();
  const std::size_t tcp_bytes = kTcpHeaderBytes + options.size() + data.size();

  bytes_.clear();
  append_ip_header(sender, receiver, tcp_bytes);
  const std::size_t tcp_at = bytes_.size();
  append_be16(bytes_, sender.endpoint.port);
  append_be16(bytes_, receiver.endpoint.port);
  append_be32(bytes_, sender.next);
  append_be32(bytes_, (flags & kAck) != 0 ? receiver.next : 0);
  bytes_.push_back(static_cast<Byte>((kTcpHeaderBytes + options.size()) / 4 << 4));
  bytes_.push_back(flags);
  append_be16(bytes_, 0xFFFF);  // the window
  append_be16(bytes_, 0);       // the checksum, below
  append_be16(bytes_, 0);       // nothing is urgent
  append_bytes(bytes_, options);
  append_bytes(bytes_, data);

  InternetChecksum checksum;
  checksum.add(address_bytes(sender.endpoint.address));
  checksum.add(address_bytes(receiver.endpoint.address));
  checksum.add(std::uint64_t{kTcp});
  checksum.add(std::uint64_t{tcp_bytes});
  checksum.add(ByteView(bytes_).subspan(tcp_at));
  store_be16(bytes_.data() + tcp_at + 16, checksum.value());

  sender.next += static_cast<std::uint32_t>(data.size()) + ((flags & (kSyn | kFin)) != 0 ? 1 : 0);
  if ((flags & kAck) != 0) receiver.acknowledged = receiver.next;
  packet_(time, bytes_, comment_);
  comment_.clear();
}

void TcpConversation::append_ip_header(const End& from, const End& to, std::size_t payload_bytes) {
  if (from.endpoint.address.v6) {
    append_be32(bytes_, 0x60000000);
    append_be16(bytes_, static_cast<std::uint16_t>(payload_bytes));
    bytes_.push_back(kTcp);
    bytes_.push_back(kHops);
  } else {
    append_be16(bytes_, 0x4500);
    append_be16(bytes_, static_cast<std::uint16_t>(kIpv4HeaderBytes + payload_bytes));
    append_be16(bytes_, ++number_);
    append_be16(bytes_, 0x4000);  // not to be fragmented
    bytes_.push_back(kHops);
    bytes_.push_back(kTcp);
    append_be16(bytes_, 0);  // the checksum, below
  }
  append_bytes(bytes_, address_bytes(from.endpoint.address));
  append_bytes(bytes_, address_bytes(to.endpoint.address));
  if (from.endpoint.address.v6) return;
  InternetChecksum checksum;
  checksum.add(ByteView(bytes_).first(kIpv4HeaderBytes));
  store_be16(bytes_.data() + 10, checksum.value());
}

}  // namespace understudy::capture
