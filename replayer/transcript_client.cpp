#include "replayer/transcript_client.h"

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "formats/wire/startup.h"

namespace understudy::replayer {

TranscriptClient::TranscriptClient(Audience& audience, SessionDescriptor recorded, const Login& login,
                                   bool continuing)
    : audience_(audience),
      recorded_as_(std::move(recorded)),
      user_(login.user),
      database_(login.database),
      authenticator_(login.user, login.password),
      ready_ahead_(continuing ? 1 : 0),
      self_(std::make_shared<TranscriptClient*>(this)) {}

TranscriptClient::~TranscriptClient() { *self_ = nullptr; }

std::unique_ptr<proxy::Connection> TranscriptClient::connect() {
  auto connection =
      std::make_unique<proxy::InProcessConnection>(*this, "replay of " + recorded_as_.id.to_string());
  connection_ = connection.get();
  started_ = true;
  return connection;
}

void TranscriptClient::start(proxy::ClientSession& session) {
  session_ = &session;
  wire::StartupMessage startup;
  startup.protocol_version = recorded_as_.protocol_version;
  bool user_said = false;  // not in one that a capture joined
  bool database_said = false;
  for (auto [name, value] : recorded_as_.startup_parameters) {
    if (name == "user") value = user_;
    if (name == "database") value = database_;
    user_said = user_said || name == "user";
    database_said = database_said || name == "database";
    startup.parameters.emplace_back(name, value);
  }
  if (!user_said) startup.parameters.emplace_back("user", user_);
  if (!database_said) startup.parameters.emplace_back("database", database_);
  ByteBuffer packet;
  wire::append_startup_message(packet, startup);
  connection_->send(packet);
}

bool TranscriptClient::quiescent() const {
  return connection_->pending_bytes() == 0 && session_->state() == proxy::SessionState::kReady;
}

bool TranscriptClient::reached(const Checkpoint& recorded) {
  // A server that is about to close answers nothing more, and this one may not be told to.
  if (!recorded.logged_in || recorded.fatal) return true;
  if (!logged_in()) return false;
  auto mark = recorded.mark;
  if (recorded.quiescent) {
    if (!quiescent()) return false;
    ready_ahead_ = static_cast<std::int64_t>(progress_.ready_count() - mark.ready_count);
    return true;
  }
  mark.ready_count = static_cast<std::uint64_t>(static_cast<std::int64_t>(mark.ready_count) + ready_ahead_);
  return progress_.reached(mark);
}

bool TranscriptClient::answered_as_much(const Checkpoint& recorded) const {
  const auto ready = static_cast<std::int64_t>(progress_.ready_count()) - ready_ahead_;
  const auto recorded_ready = static_cast<std::int64_t>(recorded.mark.ready_count);
  if (ready != recorded_ready) return ready > recorded_ready;
  return connection_->pending_bytes() == 0 && progress_.completions() >= recorded.mark.completions &&
         answer_bytes_ >= recorded.answer_bytes;
}

void TranscriptClient::send(ByteView bytes) { connection_->send(bytes); }

void TranscriptClient::cancel() {
  const bool asked = session_->request_cancel([self = self_] {
    if (*self == nullptr) return;
    TranscriptClient& client = **self;
    if (--client.cancels_under_way_ == 0 && client.open()) client.audience_.progressed(client);
  });
  if (asked) ++cancels_under_way_;
}

void TranscriptClient::hang_up() {
  hung_up_ = true;
  if (connection_ != nullptr) connection_->close();
}

void TranscriptClient::vanish() {
  hung_up_ = true;
  if (open()) session_->client_gone();
}

bool TranscriptClient::unstick() {
  if (!open() || connection_->pending_bytes() > 0 || !session_->client_at_boundary()) return false;
  ByteBuffer message;
  if (session_->awaits_copy_data()) {
    wire::append_copy_fail(message, "the recording has no more data for this COPY");
  } else if (session_->awaits_sync()) {
    wire::append_sync(message);
  } else {
    return false;
  }
  connection_->send(message);
  return true;
}

bool TranscriptClient::nudge() {
  if (!open() || !logged_in() || connection_->pending_bytes() > 0) return false;
  if (!session_->client_at_boundary() || !session_->pipeline_open()) return false;
  if (nudged_at_ == progress_.mark()) return false;
  nudged_at_ = progress_.mark();
  ByteBuffer message;
  wire::append_flush(message);
  connection_->send(message);
  return true;
}

void TranscriptClient::on_bytes(ByteView bytes) {
  received_bytes_ += bytes.size();
  if (!logged_in()) log_in(bytes);
  const std::uint64_t ready_before = progress_.ready_count();
  (void)progress_.feed(bytes);  // the session has checked the lengths
  answer_bytes_ = (progress_.ready_count() == ready_before ? answer_bytes_ : 0) + bytes.size();
  audience_.progressed(*this);
}

void TranscriptClient::log_in(ByteView bytes) {
  append_bytes(login_bytes_, bytes);
  std::size_t at = 0;
  while (login_bytes_.size() - at >= 5) {
    const std::uint32_t length = load_be32(login_bytes_.data() + at + 1);
    if (length < 4 || login_bytes_.size() - at < std::size_t{length} + 1) break;
    const char type = static_cast<char>(login_bytes_[at]);
    login_message(type, ByteView(login_bytes_).subspan(at + 5, length - 4));
    at += std::size_t{length} + 1;
    if (type == wire::backend::kReadyForQuery) at = login_bytes_.size();
  }
  login_bytes_.erase(login_bytes_.begin(), login_bytes_.begin() + static_cast<std::ptrdiff_t>(at));
}

void TranscriptClient::login_message(char type, ByteView payload) {
  if (type == wire::backend::kBackendKeyData && payload.size() >= 4) process_id_ = load_be32(payload.data());
  if (type == wire::backend::kErrorResponse) {
    const auto error = wire::ErrorResponse::decode(payload);
    if (error) login_error_ = std::string(error->sqlstate()) + " " + std::string(error->field('M'));
  }
  if (type != wire::backend::kAuthentication) return;
  const auto step = authenticator_.answer(payload);
  if (!step.error.empty()) {
    login_error_ = "28000 " + step.error;
    return hang_up();
  }
  if (!step.reply.empty()) connection_->send(step.reply);
}

void TranscriptClient::on_closed(const std::string& /*error*/) {
  connection_ = nullptr;
  session_ = nullptr;
  audience_.ended(*this);
}

}  // namespace understudy::replayer
