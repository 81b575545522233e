#include "formats/capture/tcp_stream.h"

#include <algorithm>
#include <utility>

namespace understudy::capture {

std::int64_t TcpStream::hold(Position at, ByteView bytes, Position informed_to, TimeNs time,
                             OverlapPolicy policy, ReassemblyCounts& counts) {
  if (at < passed_) {
    const auto old =
        static_cast<std::size_t>(std::min<Position>(passed_ - at, static_cast<Position>(bytes.size())));
    counts.resent_bytes += old;
    bytes = bytes.subspan(old);
    at = passed_;
  }
  std::int64_t added = 0;
  auto next = held_.upper_bound(at);
  // The piece before may reach into the new one.
  if (next != held_.begin()) {
    const auto before = std::prev(next);
    if (before->first + static_cast<Position>(before->second.bytes.size()) > at) next = before;
  }
  while (!bytes.empty()) {
    if (next == held_.end() || next->first > at) {
      // Free room up to the next piece.
      std::size_t room = bytes.size();
      if (next != held_.end())
        room = static_cast<std::size_t>(std::min<Position>(next->first - at, static_cast<Position>(room)));
      Held piece{ByteBuffer(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(room)), informed_to,
                 time};
      added += memory_of(piece);
      held_.emplace_hint(next, at, std::move(piece));
      bytes = bytes.subspan(room);
      at += static_cast<Position>(room);
      continue;
    }
    const auto inside = static_cast<std::size_t>(at - next->first);
    ByteBuffer& present = next->second.bytes;
    const std::size_t shared = std::min(present.size() - inside, bytes.size());
    for (std::size_t n = 0; n < shared; ++n) {
      if (present[inside + n] == bytes[n]) continue;
      ++counts.conflicting_bytes;
      if (policy == OverlapPolicy::kKeepLast) present[inside + n] = bytes[n];
    }
    counts.resent_bytes += shared;
    bytes = bytes.subspan(shared);
    at += static_cast<Position>(shared);
    ++next;
  }
  return added;
}

TcpStream::Held TcpStream::take_front(std::int64_t& memory) {
  Held taken = std::move(held_.begin()->second);
  memory = memory_of(taken);
  held_.erase(held_.begin());
  return taken;
}

}  // namespace understudy::capture
