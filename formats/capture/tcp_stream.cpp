#include "formats/capture/tcp_stream.h"

#include <algorithm>
#include <utility>

namespace understudy::capture {

std::int64_t TcpStream::hold(Position at, ByteView bytes, Position informed_to, TimeNs time,
                             OverlapPolicy policy, ReassemblyCounts& counts) {
  if (at < passed_) {
    const std::size_t old = std::min(static_cast<std::size_t>(passed_ - at), bytes.size());
    counts.resent_bytes += old;
    bytes = bytes.subspan(old);
    at = passed_;
  }
  std::int64_t added = 0;
  while (!bytes.empty()) {
    const auto next = piece_at_or_behind(at);
    std::size_t size = bytes.size();
    if (next != held_.end() && next->first > at)
      size = std::min(size, static_cast<std::size_t>(next->first - at));
    if (next == held_.end() || next->first > at) {
      const ByteView free = bytes.first(size);
      added += put(at, {ByteBuffer(free.begin(), free.end()), informed_to, time});
    } else {
      const auto inside = static_cast<std::size_t>(at - next->first);
      size = std::min(size, next->second.bytes.size() - inside);
      overlay(std::span(next->second.bytes).subspan(inside, size), bytes.first(size), policy, counts);
      if (informed_to < next->second.informed_to) added += inform_less(at, size, informed_to);
    }
    bytes = bytes.subspan(size);
    at += static_cast<Position>(size);
  }
  return added;
}

std::map<TcpStream::Position, TcpStream::Held>::iterator TcpStream::piece_at_or_behind(Position at) {
  auto next = held_.upper_bound(at);
  if (next == held_.begin()) return next;
  const auto before = std::prev(next);
  return before->first + static_cast<Position>(before->second.bytes.size()) > at ? before : next;
}

std::int64_t TcpStream::put(Position at, Held piece) {
  const std::int64_t memory = memory_of(piece);
  held_.emplace(at, std::move(piece));
  return memory;
}

void TcpStream::overlay(std::span<Byte> present, ByteView again, OverlapPolicy policy,
                        ReassemblyCounts& counts) {
  counts.resent_bytes += again.size();
  for (std::size_t n = 0; n < again.size(); ++n) {
    if (present[n] == again[n]) continue;
    ++counts.conflicting_bytes;
    if (policy == OverlapPolicy::kKeepLast) present[n] = again[n];
  }
}

// These bytes, all in one piece, were first sent by one who knew less than who sent the piece: they get one
// of their own.
std::int64_t TcpStream::inform_less(Position at, std::size_t size, Position informed_to) {
  std::int64_t added = split(at);
  added += split(at + static_cast<Position>(size));
  held_.find(at)->second.informed_to = informed_to;
  return added;
}

std::int64_t TcpStream::split(Position at) {
  const auto piece = piece_at_or_behind(at);
  if (piece == held_.end() || piece->first >= at) return 0;
  Held& front = piece->second;
  const auto cut = static_cast<std::size_t>(at - piece->first);
  Held rest{ByteBuffer(front.bytes.begin() + static_cast<std::ptrdiff_t>(cut), front.bytes.end()),
            front.informed_to, front.time};
  front.bytes.resize(cut);
  held_.emplace(at, std::move(rest));
  return kOverheadBytes;
}

TcpStream::Held TcpStream::take_front(std::int64_t& memory) {
  Held taken = std::move(held_.begin()->second);
  memory = memory_of(taken);
  held_.erase(held_.begin());
  return taken;
}

}  // namespace understudy::capture
