#include "proxy/server_reset.h"

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

namespace backend = wire::backend;

constexpr TimeNs kTimeout =
    30'000'000'000;  // DISCARD ALL takes milliseconds; a server that hangs is given up
constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kMaxAnswerBytes = 64U << 10;

}  // namespace

ServerReset::ServerReset(SessionContext& context, ServerPool& pool, std::string key, PooledServer server)
    : context_(context),
      pool_(pool),
      key_(std::move(key)),
      server_(std::move(server)),
      endpoint_(context.loop, *this, Slot::kServer) {}

void ServerReset::start() {
  endpoint_.attach(std::move(server_.connection));
  timeout_ = context_.loop.call_at(now_ns() + kTimeout, [this] { finish(false); });
  ByteBuffer query;
  wire::append_query(query, "DISCARD ALL");
  if (!endpoint_.send(query)) return finish(false);
  endpoint_.set_interest(true, endpoint_.backlogged());
}

void ServerReset::run(std::uint32_t /*client_events*/, std::uint32_t server_events) {
  if (!endpoint_.attached()) return;
  if ((server_events & EPOLLOUT) != 0 && !endpoint_.flush()) return finish(false);
  bool more = endpoint_.ready_to_read(server_events);
  while (more) {
    const ReadResult result = endpoint_.read(context_.scratch);
    if (result.status == IoStatus::kClosed || result.status == IoStatus::kError) return finish(false);
    if (result.status == IoStatus::kOk && !take(result.bytes)) return finish(false);
    if (completed_) return finish(answer_.empty() && !endpoint_.connection().holds_bytes());
    more = result.status == IoStatus::kOk && (result.more || endpoint_.connection().holds_bytes());
  }
  endpoint_.set_interest(true, endpoint_.backlogged());
}

// Settings go back to their beginnings, which the server reports; anything but that and success ends it.
bool ServerReset::take(ByteView bytes) {
  append_bytes(answer_, bytes);
  while (!completed_ && answer_.size() >= kHeaderBytes) {
    const std::size_t size = std::size_t{load_be32(answer_.data() + 1)} + 1;
    if (size < kHeaderBytes || size > kMaxAnswerBytes) return false;
    if (answer_.size() < size) return true;
    const char type = static_cast<char>(answer_.front());
    const ByteView payload = ByteView(answer_).subspan(kHeaderBytes, size - kHeaderBytes);
    if (type == backend::kErrorResponse) return false;
    if (type == backend::kParameterStatus) {
      const auto status = wire::ParameterStatus::decode(payload);
      if (status) server_.facts.settings.set(status->name, status->value);
    }
    if (type == backend::kReadyForQuery) {
      completed_ = !payload.empty() && static_cast<char>(payload.front()) == 'I';
      if (!completed_) return false;
    }
    answer_.erase(answer_.begin(), answer_.begin() + static_cast<std::ptrdiff_t>(size));
  }
  return true;
}

void ServerReset::finish(bool usable) {
  if (!endpoint_.attached()) return;
  context_.loop.cancel(timeout_);
  if (usable) {
    server_.connection = endpoint_.release();
    pool_.release(key_, std::move(server_), now_ns());
  } else {
    log_event(LogLevel::kWarning, "server_reset_failed",
              {{"backend", server_.address_text}, {"pid", std::to_string(server_.facts.process_id)}});
    endpoint_.close();
    pool_.gone(key_, now_ns());
  }
  context_.owner.ended(*this);
}

}  // namespace understudy::proxy
