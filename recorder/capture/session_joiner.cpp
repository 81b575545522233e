#include "recorder/capture/session_joiner.h"

#include <algorithm>

#include "formats/wire/message_types.h"

namespace understudy::recorder {
namespace {

using proxy::SessionEvent;
using proxy::SessionState;

// What is kept while it is not proven yet; larger answers are passed over, and the boundary moves behind
// them.
constexpr std::size_t kMostKept = std::size_t{1} << 20;
constexpr std::size_t kReadyBytes = 6;

// The status in a ReadyForQuery at the end of `bytes`; 0 when there is none.
char ready_at_end(ByteView bytes) {
  if (bytes.size() < kReadyBytes) return 0;
  const Byte* const at = bytes.data() + bytes.size() - kReadyBytes;
  if (static_cast<char>(at[0]) != wire::backend::kReadyForQuery || load_be32(at + 1) != 5) return 0;
  const char status = static_cast<char>(at[5]);
  return status == 'I' || status == 'T' || status == 'E' ? status : '\0';
}

// Nothing but TLS records of application data, the last perhaps cut.
bool is_tls(ByteView bytes) {
  constexpr std::size_t kHeader = 5;
  if (bytes.size() < kHeader) return false;
  while (bytes.size() >= kHeader) {
    const std::size_t length = load_be16(bytes.data() + 3);
    if (bytes[0] < 0x14 || bytes[0] > 0x17 || bytes[1] != 3 || bytes[2] > 4) return false;
    bytes = bytes.subspan(std::min(kHeader + length, bytes.size()));
  }
  return true;
}

}  // namespace

SessionJoiner::Candidate::Candidate() {
  (void)tracker.advance(SessionEvent::kStartupReceived);
  (void)tracker.advance(SessionEvent::kReady);
}

bool SessionJoiner::ends_ready(ByteView bytes) { return ready_at_end(bytes) != 0; }

bool SessionJoiner::take(Direction from, TimeNs time, ByteView bytes, bool informed) {
  if (candidate_ == nullptr && is_tls(bytes)) ++tls_pieces_[static_cast<int>(from)];
  const bool from_client = from == Direction::kFromClient;
  const bool fits = candidate_ != nullptr &&
                    (from_client ? follow_client(bytes, informed) : follow_server(bytes, informed));
  if (!fits) {
    abandon();
    pass_over(from, bytes.size());
    if (!from_client) look_for_boundary(time, bytes);
    return false;
  }
  keep(from, time, bytes);
  const char status = from_client ? '\0' : ready_at_end(bytes);
  if (status != 0 && !candidate_->asked && !keeping_) set_boundary(time, status);
  return keeping_ && is_proven();
}

bool SessionJoiner::follow_client(ByteView bytes, bool informed) {
  Candidate& candidate = *candidate_;
  if (!candidate.asked && !informed) return false;
  candidate.asked = true;
  const bool fits = candidate.client.feed(
      bytes, [&](const wire::FrameHeader& frame) { return candidate.shape.asked(frame.type); });
  return fits && candidate.tracker.client_bytes(bytes);
}

bool SessionJoiner::follow_server(ByteView bytes, bool informed) {
  Candidate& candidate = *candidate_;
  if (candidate.asked && !candidate.answered && !informed) return false;
  candidate.answered = candidate.asked;
  const bool fits = candidate.server.feed(bytes, [&](const wire::FrameHeader& frame) {
    return wire::is_message_type(Direction::kFromServer, frame.type) && candidate.shape.answered(frame.type);
  });
  if (!fits || !candidate.tracker.server_bytes(bytes)) return false;
  const bool at_rest = candidate.tracker.state() == SessionState::kReady && candidate.client.at_boundary() &&
                       candidate.server.at_boundary() && ready_at_end(bytes) != 0;
  if (!candidate.asked || !at_rest) return true;
  candidate.asked = candidate.answered = false;
  ++candidate.cycles;
  return true;
}

bool SessionJoiner::is_proven() const {
  if (candidate_->cycles >= 2 && !candidate_->asked) return true;
  return candidate_->cycles >= 1 && candidate_->tracker.terminate_seen() && candidate_->client.at_boundary();
}

void SessionJoiner::look_for_boundary(TimeNs time, ByteView bytes) {
  const char status = ready_at_end(bytes);
  if (status == 0) return;
  candidate_ = std::make_unique<Candidate>();
  candidate_->tracker.set_transaction_status(status);
  set_boundary(time, status);
}

// The candidate is at rest here. What is recorded could begin here, unless a transaction is open that must
// not be.
void SessionJoiner::set_boundary(TimeNs time, char status) {
  drop_kept();
  if (outside_transactions_ && status != 'I') return;
  keeping_ = true;
  boundary_time_ = time;
}

void SessionJoiner::keep(Direction from, TimeNs time, ByteView bytes) {
  if (keeping_ && kept_bytes_ + bytes.size() > kMostKept) drop_kept();
  if (!keeping_) return pass_over(from, bytes.size());
  kept_.push_back({from, time, ByteBuffer(bytes.begin(), bytes.end())});
  kept_bytes_ += bytes.size() + sizeof(Piece);
}

void SessionJoiner::pass_over(Direction from, std::size_t bytes) {
  passed_over_[static_cast<int>(from)] += bytes;
  ++pieces_passed_over_;
}

void SessionJoiner::drop_kept() {
  for (const Piece& piece : kept_) pass_over(piece.direction, piece.bytes.size());
  kept_.clear();
  kept_bytes_ = 0;
  keeping_ = false;
}

void SessionJoiner::abandon() {
  drop_kept();
  candidate_.reset();
}

}  // namespace understudy::recorder
