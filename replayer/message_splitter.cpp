#include "replayer/message_splitter.h"

#include "formats/wire/message_types.h"

namespace understudy::replayer {

bool is_whole_messages(Direction direction, ByteView piece) {
  wire::FrameScanner scanner;
  const bool known = scanner.feed(piece, [direction](const wire::FrameHeader& frame) {
    return wire::is_message_type(direction, frame.type);
  });
  return known && scanner.at_boundary();
}

void MessageSplitter::take(const Event& event) {
  if (!begun_) {
    begun_ = true;
    client_awaited_ = server_awaited_ = event.kind != EventKind::kOpened;
  }
  if (first_ && first_->take(event)) {
    first_.reset();
    client_awaited_ = server_awaited_ = false;
  }
  item_.time = event.time;
  messages_.clear();
  next_message_ = 0;
  if (event.kind == EventKind::kClientBytes || event.kind == EventKind::kServerBytes) {
    take_piece(event);
    return;
  }
  if (event.kind == EventKind::kGap) take_gap(event);
  item_.event = event;
  event_waiting_ = true;
}

void MessageSplitter::take_gap(const Event& event) {
  Gap gap;
  const bool goes_on =
      goes_on_ && hole_.empty() && decode(event.data, gap) && gap.reason == GapReason::kCaptureLoss;
  if (!goes_on) return lose("a gap");
  client_ = wire::MessageAssembler(cap_bytes_);
  server_ = wire::MessageAssembler(cap_bytes_);
  client_awaited_ = server_awaited_ = first_.has_value();
}

const SessionItem* MessageSplitter::next() {
  item_.is_message = !event_waiting_;
  if (event_waiting_) {
    event_waiting_ = false;
    return &item_;
  }
  if (next_message_ == messages_.size()) return nullptr;
  item_.message = messages_[next_message_++];
  return &item_;
}

void MessageSplitter::release() {
  constexpr std::size_t kKeptMessages = 256;
  constexpr std::size_t kKeptBytes = std::size_t{16} << 10;
  messages_.clear();
  next_message_ = 0;
  if (messages_.capacity() > kKeptMessages) std::vector<wire::Message>().swap(messages_);
  if (spanning_.capacity() > kKeptBytes) ByteBuffer().swap(spanning_);
}

bool MessageSplitter::joined(const Event& event) {
  bool& awaited = event.kind == EventKind::kClientBytes ? client_awaited_ : server_awaited_;
  if (awaited && !first_) awaited = !is_whole_messages(item_.direction, event.data);
  if (awaited) bytes_before_joining_ += event.data.size();
  return !awaited;
}

void MessageSplitter::take_piece(const Event& event) {
  item_.direction = event.kind == EventKind::kClientBytes ? Direction::kFromClient : Direction::kFromServer;
  if (!hole_.empty()) {
    bytes_behind_hole_ += event.data.size();
    return;
  }
  if (!joined(event)) return;
  wire::MessageAssembler& side = item_.direction == Direction::kFromClient ? client_ : server_;
  const bool spans = !side.at_boundary();
  const bool whole = side.feed(event.data, [&](const wire::Message& message) {
    messages_.push_back(message);
    // Only the first message of a piece can have begun before it; the assembler lets go of it after this
    // call.
    if (!spans || messages_.size() > 1) return;
    spanning_.assign(message.payload.begin(), message.payload.end());
    messages_.back().payload = spanning_;
  });
  if (whole) return;
  lose(std::string(item_.direction == Direction::kFromClient ? "the client's" : "the server's") +
       " bytes are no messages: " + std::string(side.error().text) + " (byte " +
       std::to_string(side.error().offset) + ")");
}

}  // namespace understudy::replayer
