#include "recorder/capture/captured_login.h"

#include <algorithm>

#include "formats/wire/message_types.h"

namespace understudy::recorder {
namespace {

// As the proxy: messages of a login are small, a longer one is no such message.
constexpr std::uint32_t kMaxLoginMessage = 64U << 10;
constexpr std::size_t kHeaderBytes = 5;
// What a client may send ahead of its login's end.
constexpr std::size_t kMaxEarlyBytes = std::size_t{1} << 20;

// The size of the whole message at the front of `bytes`; 0 when more must come first. False on a bad length.
bool whole_message(ByteView bytes, std::size_t& size) {
  size = 0;
  if (bytes.size() < kHeaderBytes) return true;
  const std::uint32_t length = load_be32(bytes.data() + 1);
  if (length < 4 || length > kMaxLoginMessage) return false;
  if (bytes.size() >= std::size_t{length} + 1) size = std::size_t{length} + 1;
  return true;
}

void drop_front(ByteBuffer& buffer, std::size_t count) {
  buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

bool CapturedLogin::refuse(std::string why) {
  violation_ = std::move(why);
  return false;
}

bool CapturedLogin::client(TimeNs time, ByteView bytes, proxy::SessionObserver& observer) {
  append_bytes(client_bytes_, bytes);
  std::size_t size = 0;
  while (!client_bytes_.empty() && static_cast<char>(client_bytes_.front()) == wire::frontend::kPassword) {
    if (!whole_message(client_bytes_, size)) return refuse("invalid length of an authentication message");
    if (size == 0) return true;
    observer.redacted({Direction::kFromClient, filter_.client_response()}, time);
    drop_front(client_bytes_, size);
  }
  if (client_bytes_.size() > kMaxEarlyBytes) return refuse("the client does not wait for its login");
  return true;
}

bool CapturedLogin::server(TimeNs time, ByteView bytes, proxy::SessionObserver& observer) {
  append_bytes(server_bytes_, bytes);
  std::size_t taken = 0;
  while (!done_) {
    std::size_t size = 0;
    if (!whole_message(ByteView(server_bytes_).subspan(taken), size)) {
      return refuse("invalid message length during authentication");
    }
    if (size == 0) break;
    const ByteView message = ByteView(server_bytes_).subspan(taken, size);
    if (!show(message, time, observer)) return false;
    taken += size;
    done_ = static_cast<char>(message[0]) == wire::backend::kReadyForQuery;
    if (done_ && size > kHeaderBytes) status_ = static_cast<char>(message[kHeaderBytes]);
  }
  drop_front(server_bytes_, taken);
  return true;
}

bool CapturedLogin::show(std::span<const Byte> message, TimeNs time, proxy::SessionObserver& observer) {
  const char type = static_cast<char>(message[0]);
  if (type == wire::backend::kErrorResponse) refused_ = true;
  const auto secret = filter_.server_message(type, message.subspan(kHeaderBytes));
  if (!secret) {
    observer.relayed(Direction::kFromServer, time, message);
    return true;
  }
  observer.redacted({Direction::kFromServer, *secret}, time);
  return *secret != RedactionKind::kCancelKey || show_cancel_key(message, time, observer);
}

bool CapturedLogin::show_cancel_key(std::span<const Byte> message, TimeNs time,
                                    proxy::SessionObserver& observer) {
  constexpr std::size_t kKeyAt = kHeaderBytes + 4;
  if (message.size() < kKeyAt + 4) return refuse("BackendKeyData without a key");
  cancel_key_.process_id = load_be32(message.data() + kHeaderBytes);
  cancel_key_.key.assign(message.begin() + kKeyAt, message.end());
  ByteBuffer shown(message.begin(), message.end());
  std::fill(shown.begin() + kKeyAt, shown.end(), Byte{0});
  observer.relayed(Direction::kFromServer, time, shown);
  return true;
}

}  // namespace understudy::recorder
