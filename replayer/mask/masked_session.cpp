#include "replayer/mask/masked_session.h"

#include "formats/wire/message_types.h"
#include "replayer/message_splitter.h"

namespace understudy::replayer {
namespace {

// A message longer than this is not read.
constexpr std::size_t kMaxMessageBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxWaitingBytes = 2 * kMaxMessageBytes;
constexpr std::size_t kHeadBytes = 5;

}  // namespace

void MaskedSession::take(const Event& event, const Emit& emit) {
  if (event.kind == EventKind::kClientBytes || event.kind == EventKind::kServerBytes) {
    take_bytes(event, emit);
  } else {
    take_other(event, emit);
  }
  begun_ = true;
}

void MaskedSession::take_bytes(const Event& event, const Emit& emit) {
  const bool from_client = event.kind == EventKind::kClientBytes;
  // A session that was open before may be met inside of a message.
  if (!begun_ &&
      !is_whole_messages(from_client ? Direction::kFromClient : Direction::kFromServer, event.data))
    cut(event.time, emit);
  if (cut_) {
    if (left_out_.from == 0) left_out_.from = event.time;
    (from_client ? left_out_.client_bytes : left_out_.server_bytes) += event.data.size();
    ++left_out_.events;
    masker_.counts().bytes_cut += event.data.size();
    return;
  }
  Side& own = side(event.kind);
  append_bytes(own.bytes, event.data);
  waiting_.push_back({.time = event.time, .kind = event.kind, .data = {}, .length = event.data.size()});
  const bool readable = mask_messages(own, from_client);
  release(emit);
  if (!readable || client_.bytes.size() + server_.bytes.size() > kMaxWaitingBytes) cut(event.time, emit);
}

// False when what follows cannot be read.
bool MaskedSession::mask_messages(Side& side, bool from_client) {
  while (side.bytes.size() - side.masked >= kHeadBytes) {
    const Byte* const head = side.bytes.data() + side.masked;
    const auto type = static_cast<char>(head[0]);
    const std::uint32_t length = load_be32(head + 1);
    if (length < 4 || length > kMaxMessageBytes) return false;
    if (!wire::is_message_type(from_client ? Direction::kFromClient : Direction::kFromServer, type))
      return false;
    if (side.bytes.size() - side.masked < 1 + std::size_t{length}) return true;
    const std::span<Byte> payload = std::span(side.bytes).subspan(side.masked + kHeadBytes, length - 4);
    if (!(from_client ? mask_.client(type, payload) : mask_.server(type, payload))) return false;
    side.masked += 1 + std::size_t{length};
  }
  return true;
}

void MaskedSession::release(const Emit& emit) {
  std::size_t client_at = 0;
  std::size_t server_at = 0;
  while (!waiting_.empty()) {
    const Waiting& next = waiting_.front();
    const bool is_bytes = next.kind == EventKind::kClientBytes || next.kind == EventKind::kServerBytes;
    if (is_bytes) {
      const Side& own = side(next.kind);
      std::size_t& at = next.kind == EventKind::kClientBytes ? client_at : server_at;
      if (own.masked - at < next.length) break;
      emit(next.time, next.kind, ByteView(own.bytes).subspan(at, next.length));
      at += next.length;
    } else {
      emit(next.time, next.kind, next.data);
    }
    waiting_.pop_front();
  }
  for (auto [side, at] : {std::pair(&client_, client_at), std::pair(&server_, server_at)}) {
    side->bytes.erase(side->bytes.begin(), side->bytes.begin() + static_cast<std::ptrdiff_t>(at));
    side->masked -= at;
  }
}

void MaskedSession::take_other(const Event& event, const Emit& emit) {
  if (event.kind == EventKind::kClosed) {
    finish(event.time, emit);
    emit(event.time, event.kind, event.data);
    return;
  }
  if (event.kind == EventKind::kGap) {
    // What was missing is told as it was; what is behind it is left out.
    if (!cut_) cut(event.time, emit);
    Gap gap;
    if (decode(event.data, gap)) emit(event.time, event.kind, event.data);
    return;
  }
  if (cut_ || waiting_.empty()) return emit(event.time, event.kind, event.data);
  waiting_.push_back(
      {.time = event.time, .kind = event.kind, .data = ByteBuffer(event.data.begin(), event.data.end())});
}

void MaskedSession::cut(TimeNs now, const Emit& emit) {
  if (cut_) return;
  cut_ = true;
  ++masker_.counts().sessions_cut;
  for (const Waiting& waiting : waiting_) {
    if (left_out_.from == 0) left_out_.from = waiting.time;
    if (waiting.kind == EventKind::kClientBytes) left_out_.client_bytes += waiting.length;
    if (waiting.kind == EventKind::kServerBytes) left_out_.server_bytes += waiting.length;
    masker_.counts().bytes_cut += waiting.length;
    ++left_out_.events;
  }
  waiting_.clear();
  client_ = {};
  server_ = {};
  if (left_out_.from == 0) left_out_.from = now;
  tell_rest(now, emit);
}

// A gap as after an overload: nothing follows but another of its kind and the session's closing.
void MaskedSession::tell_rest(TimeNs now, const Emit& emit) {
  left_out_.reason = GapReason::kOverload;
  left_out_.to = now;
  ByteBuffer encoded;
  encode(left_out_, encoded);
  emit(now, EventKind::kGap, encoded);
  left_out_ = {};
}

void MaskedSession::finish(TimeNs now, const Emit& emit) {
  if (!waiting_.empty()) cut(now, emit);  // it ends inside of a message
  if (left_out_.events > 0) tell_rest(now, emit);
}

}  // namespace understudy::replayer
