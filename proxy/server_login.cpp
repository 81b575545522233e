#include "proxy/server_login.h"

#include <algorithm>

#include "formats/wire/backend_messages.h"
#include "formats/wire/message_types.h"

namespace understudy::proxy {
namespace {

namespace backend = wire::backend;

constexpr std::size_t kHeaderBytes = 5;
constexpr std::uint32_t kMaxMessageBytes = 64U << 10;  // messages of a login are small

}  // namespace

ServerLogin::Progress ServerLogin::take(ByteBuffer& bytes, ByteBuffer& reply) {
  std::size_t taken = 0;
  Progress progress = Progress::kGoesOn;
  while (progress == Progress::kGoesOn && bytes.size() - taken >= kHeaderBytes) {
    const std::uint32_t length = load_be32(bytes.data() + taken + 1);
    if (length < 4 || length > kMaxMessageBytes) {
      failure_ = "the server sent a message of impossible length during login";
      return Progress::kFailed;
    }
    if (bytes.size() - taken < std::size_t{length} + 1) break;
    const ByteView whole = ByteView(bytes).subspan(taken, std::size_t{length} + 1);
    progress = message(static_cast<char>(whole.front()), whole, reply);
    taken += whole.size();
  }
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
  return progress;
}

ServerLogin::Progress ServerLogin::message(char type, ByteView whole, ByteBuffer& reply) {
  const ByteView payload = whole.subspan(kHeaderBytes);
  switch (type) {
    case backend::kAuthentication: {
      asked_ = true;
      const auto step = authenticator_.answer(payload);
      append_bytes(reply, step.reply);
      failure_ = step.error;
      return failure_.empty() ? Progress::kGoesOn : Progress::kFailed;
    }
    case backend::kParameterStatus: {
      const auto status = wire::ParameterStatus::decode(payload);
      if (status) facts_.settings.set(status->name, status->value);
      return Progress::kGoesOn;
    }
    case backend::kBackendKeyData: {
      const auto key = wire::BackendKeyData::decode(payload);
      if (!key) break;
      facts_.process_id = key->process_id;
      facts_.cancel_key.assign(key->secret_key.begin(), key->secret_key.end());
      return Progress::kGoesOn;
    }
    case backend::kErrorResponse:
      server_error_.assign(whole.begin(), whole.end());
      return Progress::kFailed;
    case backend::kReadyForQuery:
      return Progress::kReady;
    case backend::kNoticeResponse:
    case backend::kNegotiateProtocolVersion:
      return Progress::kGoesOn;
    default:
      break;
  }
  failure_ = "the server sent an unexpected message during login";
  return Progress::kFailed;
}

}  // namespace understudy::proxy
