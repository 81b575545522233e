#include "formats/capture/tcp_connection.h"

#include <algorithm>

namespace understudy::capture {
namespace {

// The largest window there is (RFC 7323): nothing of a connection is farther ahead of where it was.
constexpr TcpStream::Position kWindow = TcpStream::Position{1} << 30;
// And what is sent again is not farther behind.
constexpr TcpStream::Position kBehind = TcpStream::Position{1} << 26;
// So many segments in a row that are: another connection of the same ports, whose handshake was not captured.
constexpr std::uint32_t kMaxAstray = 16;

}  // namespace

void TcpConnection::take(Side from, const TcpSegment& segment, TimeNs now) {
  if (closed_) return;
  if (segment.rst && !segment.syn) {
    if (take_reset(from, segment, now)) return;
    ++counts_.out_of_place;
    return;
  }
  begin_streams(from, segment);
  TcpStream& own = stream(from);
  TcpStream& peer = stream(other(from));
  const Position at = own.position_of(segment.sequence + (segment.syn ? 1U : 0U));
  Position informed_to = 0;
  if (segment.ack) informed_to = peer.position_of(segment.acknowledged);
  if (!take_place(from, at, informed_to, now)) return;
  if (segment.ack) peer.acknowledged(informed_to);
  if (segment.payload_length > 0) take_payload(from, at, segment, informed_to, now);
  if (segment.fin && at + static_cast<Position>(segment.payload_length) >= own.passed()) {
    own.end_at(at + static_cast<Position>(segment.payload_length));
  }
  advance(now);
}

// Whether a segment is where it can belong to this connection.
bool TcpConnection::take_place(Side from, Position at, Position informed_to, TimeNs now) {
  const Position passed = stream(from).passed();
  const bool astray =
      at > passed + kWindow || at < passed - kBehind || informed_to > stream(other(from)).passed() + kWindow;
  if (!astray) {
    astray_ = 0;
    return true;
  }
  ++counts_.out_of_place;
  if (++astray_ > kMaxAstray) close(ConversationEnd::kReplaced, std::nullopt, now);
  return false;
}

bool TcpConnection::is_late(Side from, const TcpSegment& segment) const {
  const TcpStream& own = streams_[index_of(from)];
  if (!own.begun()) return false;
  const Position away = own.position_of(segment.sequence) - own.passed();
  return away <= 0 && away >= -kBehind;
}

bool TcpConnection::contradicts(Side from, const TcpSegment& syn) const {
  const TcpStream& own = streams_[index_of(from)];
  return own.begun() && own.first_sequence() != syn.sequence + 1;
}

void TcpConnection::begin_streams(Side from, const TcpSegment& segment) {
  TcpStream& own = stream(from);
  TcpStream& peer = stream(other(from));
  if (!own.begun()) own.begin(segment.sequence + (segment.syn ? 1U : 0U), segment.syn);
  // Who answers a SYN acknowledges the byte before the stream's first.
  if (segment.ack && !peer.begun()) peer.begin(segment.acknowledged, segment.syn);
}

void TcpConnection::take_payload(Side from, Position at, const TcpSegment& segment, Position informed_to,
                                 TimeNs now) {
  has_data_ = true;
  TcpStream& own = stream(from);
  own.anchor(at);
  const ByteView bytes = segment.payload;
  const Position end = at + static_cast<Position>(bytes.size());
  // The usual case copies nothing.
  if (!own.holds_any() && at <= own.passed() && end > own.passed() && may_pass(from, informed_to)) {
    const auto old = static_cast<std::size_t>(own.passed() - at);
    counts_.resent_bytes += old;
    pass_on(from, bytes.subspan(old), informed_to, now);
    return;
  }
  account(own.hold(at, bytes, informed_to, now, options_.overlap, counts_));
}

// A reset is believed when it is where its sender's stream is, or when nothing is known of it.
bool TcpConnection::take_reset(Side from, const TcpSegment& segment, TimeNs now) {
  const TcpStream& own = stream(from);
  if (own.begun()) {
    const Position away = own.position_of(segment.sequence) - own.passed();
    if (away > kWindow || away < -kWindow) return false;
  }
  close(ConversationEnd::kReset, from, now);
  return true;
}

bool TcpConnection::may_pass(Side from, Position informed_to) {
  const TcpStream& peer = stream(other(from));
  return !peer.begun() || peer.without_end(informed_to) <= peer.passed();
}

void TcpConnection::pass_on(Side from, ByteView bytes, Position informed_to, TimeNs now) {
  const TcpStream& peer = stream(other(from));
  stream(from).pass(static_cast<Position>(bytes.size()));
  listener_.data(from, now, bytes, informed_to >= peer.passed());
}

void TcpConnection::pass_front(Side from, TimeNs now) {
  std::int64_t memory = 0;
  const TcpStream::Held piece = stream(from).take_front(memory);
  account(-memory);
  pass_on(from, piece.bytes, piece.informed_to, now);
}

// True when something was passed on.
bool TcpConnection::pass_what_may(TimeNs now) {
  bool moved = false;
  for (bool again = true; again;) {
    again = false;
    for (const Side side : {Side::kA, Side::kB}) {
      while (stream(side).holds_any() && stream(side).front_position() == stream(side).passed() &&
             may_pass(side, stream(side).front().informed_to)) {
        pass_front(side, now);
        again = moved = true;
      }
    }
  }
  return moved;
}

void TcpConnection::advance(TimeNs now) {
  note_stall(pass_what_may(now), now);
  check_patience(now);
  if (tell_ends(now)) close(ConversationEnd::kClosed, std::nullopt, now);
}

void TcpConnection::note_stall(bool moved, TimeNs now) {
  if (!waits(Side::kA) && !waits(Side::kB)) {
    stalled_since_ = 0;
    return;
  }
  if (stalled_since_ == 0 || moved) {
    stalled_since_ = std::max<TimeNs>(now, 1);
    stalled_packets_ = 0;
  } else {
    ++stalled_packets_;
  }
}

void TcpConnection::check_patience(TimeNs now) {
  while (stalled_since_ != 0) {
    const auto hole = first_hole();
    if (!hole) return;
    const bool too_much = held_ > static_cast<std::int64_t>(options_.connection_bytes) ||
                          memory_.held > static_cast<std::int64_t>(options_.total_bytes);
    const TimeNs waited = now - stalled_since_;
    const bool late =
        hole->received && (waited > options_.late_patience || stalled_packets_ > options_.late_packets);
    if (!too_much && !late && waited <= options_.resend_patience) return;
    give_up(*hole, now);
    (void)pass_what_may(now);
    // What waits now waits for another hole, from now on; but a connection that holds too much goes on
    // giving.
    note_stall(true, now);
  }
}

// A piece of it, or its end, waits for what comes before.
bool TcpConnection::waits(Side side) const {
  const TcpStream& own = streams_[index_of(side)];
  return own.holds_any() || (own.end() && own.passed() < *own.end());
}

std::optional<TcpConnection::Hole> TcpConnection::first_hole() {
  std::optional<Hole> mutual;
  for (const Side side : {Side::kA, Side::kB}) {
    TcpStream& own = stream(side);
    if (!waits(side)) continue;
    if (!own.holds_any()) {
      return Hole{side, *own.end() - own.passed(), 0, own.acknowledged() > own.passed()};
    }
    if (own.front_position() > own.passed()) {
      return Hole{side, own.front_position() - own.passed(), 0, own.acknowledged() > own.passed()};
    }
    // Its front waits for the other stream.
    TcpStream& peer = stream(other(side));
    const Position needed = peer.without_end(own.front().informed_to);
    if (needed <= peer.passed()) continue;
    if (!peer.holds_any() || peer.front_position() > peer.passed()) {
      const Position until = peer.holds_any() ? std::min(needed, peer.front_position()) : needed;
      return Hole{other(side), until - peer.passed(), 0, true};
    }
    // Both have what comes next, and each waits for the other: one was sent again, with an acknowledgement of
    // later, and its first sending not captured. That is the one that came later; and how much of it was
    // there before, the other tells.
    if (own.front().time <= peer.front().time) mutual = Hole{other(side), 0, needed, true};
  }
  return mutual;
}

void TcpConnection::give_up(const Hole& hole, TimeNs now) {
  if (hole.length > 0) return lose(hole.side, hole.length, now);
  account(stream(hole.side).split(hole.known_to));
  pass_front(hole.side, now);
}

void TcpConnection::lose(Side side, Position count, TimeNs now) {
  ++counts_.holes;
  counts_.lost_bytes += static_cast<std::uint64_t>(count);
  stream(side).pass(count);
  listener_.lost(side, now, static_cast<std::uint64_t>(count));
}

// True when both sides have ended.
bool TcpConnection::tell_ends(TimeNs now) {
  for (const Side side : {Side::kA, Side::kB}) {
    const TcpStream& own = stream(side);
    if (end_told_[index_of(side)] || !own.end() || own.passed() < *own.end()) continue;
    end_told_[index_of(side)] = true;
    listener_.finished(side, now);
  }
  return end_told_[0] && end_told_[1];
}

void TcpConnection::close(ConversationEnd end, std::optional<Side> by, TimeNs now) {
  if (closed_) return;
  while (waits(Side::kA) || waits(Side::kB)) {
    if (const auto hole = first_hole()) give_up(*hole, now);
    (void)pass_what_may(now);
  }
  // What the receiver said it has and nobody saw.
  for (const Side side : {Side::kA, Side::kB}) {
    const TcpStream& own = stream(side);
    if (!own.anchored()) continue;
    const Position missing = own.without_end(own.acknowledged()) - own.passed();
    // One byte may be the end of the stream, which counts as one.
    if (missing > (own.end() ? 0 : 1)) lose(side, missing, now);
  }
  stalled_since_ = 0;
  closed_ = true;
  if (tell_ends(now)) end = ConversationEnd::kClosed;
  listener_.closed(end, by, now);
}

void TcpConnection::account(std::int64_t change) {
  held_ += change;
  memory_.held += change;
  counts_.held_peak_bytes = std::max(counts_.held_peak_bytes, static_cast<std::uint64_t>(memory_.held));
}

}  // namespace understudy::capture
