#include "replayer/session_messages.h"

namespace understudy::replayer {

SessionMessages::SessionMessages(const Recording& recording, const SessionSummary& summary,
                                 std::size_t cap_bytes)
    : cursor_(recording, summary.descriptor.id, summary.opened_in), client_(cap_bytes), server_(cap_bytes) {}

const SessionItem* SessionMessages::next() {
  while (next_message_ == messages_.size()) {
    const auto event = cursor_.next();
    if (hole_.empty() && cursor_.damaged_chunks() > 0) hole_ = "a damaged chunk";
    if (!event) return nullptr;
    item_.time = event->time;
    if (event->kind == EventKind::kClientBytes || event->kind == EventKind::kServerBytes) {
      take_piece(*event);
      continue;
    }
    if (event->kind == EventKind::kGap && hole_.empty()) hole_ = "a gap";
    item_.is_message = false;
    item_.event = *event;
    return &item_;
  }
  item_.is_message = true;
  item_.message = messages_[next_message_++];
  return &item_;
}

std::optional<TimeNs> SessionMessages::next_time_lower_bound() {
  if (next_message_ < messages_.size()) return item_.time;
  return cursor_.next_time_lower_bound();
}

void SessionMessages::take_piece(const Event& event) {
  messages_.clear();
  next_message_ = 0;
  if (!hole_.empty()) {
    bytes_behind_hole_ += event.data.size();
    return;
  }
  item_.direction = event.kind == EventKind::kClientBytes ? Direction::kFromClient : Direction::kFromServer;
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
  hole_ = std::string(item_.direction == Direction::kFromClient ? "the client's" : "the server's") +
          " bytes are no messages: " + std::string(side.error().text) + " (byte " +
          std::to_string(side.error().offset) + ")";
}

}  // namespace understudy::replayer
