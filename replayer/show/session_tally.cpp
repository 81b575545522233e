#include "replayer/show/session_tally.h"

#include <algorithm>
#include <numeric>

#include "formats/wire/message_types.h"
#include "replayer/message_splitter.h"

namespace understudy::replayer {

std::uint64_t MessageCounts::total(Direction direction) const {
  const auto& counts = by_type[static_cast<std::size_t>(direction)];
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

void SessionTally::take(const Event& event, MessageCounts* counts) {
  if (events_++ == 0) {
    first_time_ = last_time_ = event.time;
    awaited_.fill(event.kind != EventKind::kOpened);
  }
  last_time_ = std::max(last_time_, event.time);
  switch (event.kind) {
    case EventKind::kClientBytes:
      return count_messages(Direction::kFromClient, event.data, counts);
    case EventKind::kServerBytes:
      return count_messages(Direction::kFromServer, event.data, counts);
    case EventKind::kGap:
      return take_gap(event);
    case EventKind::kClosed:
      closed_ = true;
      (void)decode(event.data, close_detail_);
      return;
    case EventKind::kOpened:
    case EventKind::kRedacted:
    case EventKind::kCancelled:
    case EventKind::kBackendSwitched:
    case EventKind::kMark:
      return;
  }
}

// Behind a gap of a capture both sides go on between messages, as message_splitter.h has it.
void SessionTally::take_gap(const Event& event) {
  hole_ = true;
  ++gaps_;
  Gap gap;
  const bool told = decode(event.data, gap);
  if (told) gap_bytes_ += gap.client_bytes + gap.server_bytes;
  if (!told || gap.reason != GapReason::kCaptureLoss) return lose();
  if (lost_) return;
  scanners_ = {};
  awaited_.fill(false);
}

void SessionTally::count_messages(Direction direction, ByteView piece, MessageCounts* counts) {
  bytes_[index(direction)] += piece.size();
  bool& awaited = awaited_[index(direction)];
  if (awaited) awaited = !is_whole_messages(direction, piece);
  if (awaited || lost_) {
    bytes_not_read_ += piece.size();
    return;
  }
  const bool whole = scanners_[index(direction)].feed(piece, [&](const wire::FrameHeader& frame) {
    count_message(direction, frame.type, counts);
    return true;
  });
  if (!whole) lose();
}

void SessionTally::count_message(Direction direction, char type, MessageCounts* counts) {
  ++messages_[index(direction)];
  if (counts != nullptr) ++counts->by_type[index(direction)][static_cast<unsigned char>(type)];
  if (direction == Direction::kFromServer) {
    errors_ += type == wire::backend::kErrorResponse ? 1 : 0;
  } else if (type == wire::frontend::kQuery || type == wire::frontend::kExecute ||
             type == wire::frontend::kFunctionCall) {
    ++requests_;
  }
}

}  // namespace understudy::replayer
