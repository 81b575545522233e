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
  Gap gap;
  switch (event.kind) {
    case EventKind::kClientBytes:
      return count_messages(Direction::kFromClient, event.data, counts);
    case EventKind::kServerBytes:
      return count_messages(Direction::kFromServer, event.data, counts);
    case EventKind::kGap:
      lose();
      ++gaps_;
      if (decode(event.data, gap)) gap_bytes_ += gap.client_bytes + gap.server_bytes;
      return;
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

void SessionTally::count_messages(Direction direction, ByteView piece, MessageCounts* counts) {
  bytes_[index(direction)] += piece.size();
  bool& awaited = awaited_[index(direction)];
  if (awaited) awaited = !is_whole_messages(direction, piece);
  if (awaited || hole_) return;
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
