#include "recorder/capture/captured_connection.h"

#include <algorithm>
#include <utility>

namespace understudy::recorder {
namespace {

using capture::ConversationEnd;
using capture::Side;
using proxy::SessionEvent;
using Verdict = SessionOpening::Verdict;

constexpr std::uint16_t kUsualPort = 5432;
constexpr const char* kNoBeginning = "open before the capture, and nowhere to join it";
constexpr const char* kTlsNoKey = "TLS, no key";

}  // namespace

CapturedConnection::CapturedConnection(CaptureSessions& sessions, const capture::ConversationOpening& opening)
    : sessions_(sessions), flow_(opening.flow), from_beginning_(opening.from_beginning) {
  const bool a = sessions_.is_server_port(flow_.a.port);
  const bool b = sessions_.is_server_port(flow_.b.port);
  if (a != b) {
    server_ = a ? Side::kA : Side::kB;
  } else if (opening.initiator) {
    server_ = other(*opening.initiator);
  }
}

CapturedConnection::~CapturedConnection() { forget_cancel_key(); }

// ---- What comes

void CapturedConnection::data(Side from, TimeNs time, ByteView bytes, bool informed) {
  bytes_ += bytes.size();
  if (state_ == State::kIgnored) {
    if (unread_ != nullptr) unread_->bytes += bytes.size();
    return;
  }
  if (state_ == State::kSide) {
    if (!find_server(from, bytes)) return;
    state_ = State::kOpening;
    opening_ = std::make_unique<SessionOpening>(from_beginning_);
  }
  const Direction direction = direction_of(from);
  if (tls_ != nullptr || sealed_) return take_sealed(direction, time, bytes, informed);
  handle(direction, time, bytes, informed);
}

void CapturedConnection::handle(Direction from, TimeNs time, ByteView bytes, bool informed) {
  switch (state_) {
    case State::kOpening:
      return open(from, time, bytes, informed);
    case State::kLogin:
      return log_in(from, time, bytes);
    case State::kFollowing:
      return follow(from, time, bytes);
    case State::kSeeking:
      return seek(from, time, bytes, informed);
    case State::kSide:
    case State::kIgnored:
      return;
  }
}

// Of a connection met in its middle between ports nobody named: the usual one, or else by what is said.
bool CapturedConnection::find_server(Side from, ByteView bytes) {
  if (server_) return true;
  if ((flow_.a.port == kUsualPort) != (flow_.b.port == kUsualPort)) {
    server_ = flow_.a.port == kUsualPort ? Side::kA : Side::kB;
    return true;
  }
  if (wire::decode_startup(bytes).packet() != nullptr) {
    server_ = other(from);
  } else if (SessionJoiner::ends_ready(bytes)) {
    server_ = from;
  }
  return server_.has_value();
}

void CapturedConnection::open(Direction from, TimeNs time, ByteView bytes, bool informed) {
  const bool from_client = from == Direction::kFromClient;
  switch (from_client ? opening_->client(bytes) : opening_->server(bytes)) {
    case Verdict::kUndecided:
      return;
    case Verdict::kSession:
      return begin_session(time);
    case Verdict::kCancel:
      return cancel(time);
    case Verdict::kTls:
      return begin_tls(from, time, bytes, informed);
    case Verdict::kUnreadable:
      return ignore(sessions_.counts_.unreadable, opening_->reason());
    case Verdict::kForeign:
      return ignore(sessions_.counts_.foreign, opening_->reason());
    case Verdict::kRefused:
      state_ = State::kIgnored;
      ++sessions_.counts_.silent;
      return;
    case Verdict::kMidStream:
      begin_seeking(time);
      return seek(from, time, bytes, informed);
  }
}

void CapturedConnection::begin_tls(Direction from, TimeNs time, ByteView bytes, bool informed) {
  if (sessions_.keys_ == nullptr || !sessions_.keys_->in_use()) {
    return ignore(sessions_.counts_.unreadable, kTlsNoKey);
  }
  const ByteBuffer rest(opening_->rest().begin(), opening_->rest().end());
  tls_ = std::make_unique<TlsConversation>(*sessions_.keys_);
  opening_ = std::make_unique<SessionOpening>(true, true);
  if (!rest.empty()) take_sealed(Direction::kFromClient, time, rest, informed);
  // A server's "S" is no part of it; its first words to a client that did not ask are.
  const bool first_words = from == Direction::kFromServer && !(bytes.size() == 1 && bytes.front() == 'S');
  if (first_words && tls_ != nullptr) take_sealed(from, time, bytes, informed);
}

void CapturedConnection::take_sealed(Direction from, TimeNs time, ByteView bytes, bool informed) {
  if (sealed_) {
    sessions_.counts_.passed_over_bytes += bytes.size();
    (from == Direction::kFromClient ? gap_->client_bytes : gap_->server_bytes) += bytes.size();
    return;
  }
  const bool going =
      tls_->take(from, bytes, [&](Direction whose, ByteView data) { handle(whose, time, data, informed); });
  if (!going) give_up_tls(time, tls_->reason());
}

// What follows cannot be opened: of a session on record it is missing, to its end.
void CapturedConnection::give_up_tls(TimeNs time, const std::string& reason) {
  if (state_ == State::kIgnored) return;
  if (observer_ == nullptr) {
    ignore(sessions_.counts_.unreadable, reason);
  } else {
    login_.reset();
    if (state_ != State::kSeeking) begin_seeking(time);
    sealed_ = true;
  }
  tls_.reset();
}

void CapturedConnection::begin_session(TimeNs time) {
  const std::unique_ptr<SessionOpening> opening = std::move(opening_);
  const wire::StartupMessage& startup = opening->startup();
  SessionDescriptor descriptor;
  descriptor.protocol_version = startup.protocol_version;
  descriptor.startup_parameters = startup.parameters;
  open_observer(time, std::move(descriptor));
  (void)tracker_.advance(SessionEvent::kStartupReceived);
  login_ = std::make_unique<CapturedLogin>();
  state_ = State::kLogin;
  if (!opening->rest().empty()) log_in(Direction::kFromClient, time, opening->rest());
}

void CapturedConnection::open_observer(TimeNs time, SessionDescriptor descriptor) {
  descriptor.id.number = sessions_.next_number();
  descriptor.opened_at = time;
  descriptor.peer = flow_.end(other(*server_)).to_string();
  descriptor.backend = server_end().to_string();
  descriptor.client_tls = descriptor.server_tls = tls_ != nullptr;
  observer_ = sessions_.observer_.open_session(0, descriptor);
}

void CapturedConnection::log_in(Direction from, TimeNs time, ByteView bytes) {
  const bool from_client = from == Direction::kFromClient;
  const bool fits =
      from_client ? login_->client(time, bytes, *observer_) : login_->server(time, bytes, *observer_);
  if (!fits) {
    login_.reset();
    return fall_out_of_step(from, time, bytes);
  }
  sessions_.counts_.session_bytes += bytes.size();
  if (login_->done()) finish_login(time);
}

void CapturedConnection::finish_login(TimeNs time) {
  const std::unique_ptr<CapturedLogin> login = std::move(login_);
  const CapturedLogin::CancelKey& key = login->cancel_key();
  if (!key.key.empty()) {
    sessions_.cancellable_[{server_end(), key.process_id}] = this;
    cancellable_as_ = key.process_id;
    cancel_key_ = key.key;
  }
  tracker_.set_transaction_status(login->status());
  (void)tracker_.advance(SessionEvent::kReady);
  state_ = State::kFollowing;
  if (!login->server_rest().empty()) follow(Direction::kFromServer, time, login->server_rest());
  if (login->client_rest().empty()) return;
  if (state_ == State::kFollowing) {
    follow(Direction::kFromClient, time, login->client_rest());
  } else {
    seek(Direction::kFromClient, time, login->client_rest(), false);
  }
}

void CapturedConnection::follow(Direction from, TimeNs time, ByteView bytes) {
  const bool fits =
      from == Direction::kFromClient ? tracker_.client_bytes(bytes) : tracker_.server_bytes(bytes);
  if (!fits) return fall_out_of_step(from, time, bytes);
  relay(from, time, bytes);
}

void CapturedConnection::relay(Direction from, TimeNs time, ByteView bytes) {
  sessions_.counts_.session_bytes += bytes.size();
  observer_->relayed(from, in_order(time), bytes);
}

// ---- What is missing

void CapturedConnection::lost(Side from, TimeNs time, std::uint64_t bytes) {
  bytes_ += bytes;
  if (state_ == State::kSide || state_ == State::kIgnored) return;
  if (tls_ != nullptr) give_up_tls(time, "TLS, with packets missing");
  if (state_ == State::kIgnored) return;
  opening_.reset();
  login_.reset();
  if (state_ != State::kSeeking) begin_seeking(time);
  joiner_->lost();
  if (!gap_) return;
  sessions_.counts_.lost_bytes += bytes;
  const bool from_client = direction_of(from) == Direction::kFromClient;
  (from_client ? gap_->client_bytes : gap_->server_bytes) += bytes;
}

void CapturedConnection::begin_seeking(TimeNs time) {
  opening_.reset();
  state_ = State::kSeeking;
  joiner_ = std::make_unique<SessionJoiner>(observer_ == nullptr);
  if (observer_ == nullptr) return;
  has_gap_ = true;
  gap_ = Gap{.reason = GapReason::kCaptureLoss, .from = time, .to = time};
}

// What was captured contradicts the protocol: something was missed that nobody knows of.
void CapturedConnection::fall_out_of_step(Direction from, TimeNs time, ByteView bytes) {
  ++sessions_.counts_.out_of_step;
  begin_seeking(time);
  seek(from, time, bytes, false);
}

void CapturedConnection::seek(Direction from, TimeNs time, ByteView bytes, bool informed) {
  if (joiner_->take(from, time, bytes, informed)) join();
}

void CapturedConnection::join() {
  const std::unique_ptr<SessionJoiner> joiner = std::move(joiner_);
  count_passed_over(*joiner);
  if (observer_ == nullptr) {
    joined_ = true;
    SessionDescriptor descriptor;
    descriptor.attributes = {{std::string(kJoinedAttribute), "mid-stream"}};
    open_observer(joiner->boundary_time(), std::move(descriptor));
  } else {
    tell_gap(joiner->boundary_time());
  }
  tracker_ = joiner->take_tracker();
  state_ = State::kFollowing;
  for (const SessionJoiner::Piece& piece : joiner->pieces()) relay(piece.direction, piece.time, piece.bytes);
}

void CapturedConnection::count_passed_over(const SessionJoiner& joiner) {
  const std::uint64_t client = joiner.passed_over(Direction::kFromClient);
  const std::uint64_t server = joiner.passed_over(Direction::kFromServer);
  sessions_.counts_.passed_over_bytes += client + server;
  if (!gap_) return;
  gap_->client_bytes += client;
  gap_->server_bytes += server;
  gap_->events += joiner.pieces_passed_over();
}

void CapturedConnection::tell_gap(TimeNs time) {
  gap_->to = in_order(std::max(gap_->from, time));
  observer_->missing(*gap_, gap_->to);
  gap_.reset();
}

// ---- Ends

void CapturedConnection::finished(Side from, TimeNs /*time*/) {
  if (!server_ || first_finished_) return;
  first_finished_ = direction_of(from);
}

void CapturedConnection::closed(ConversationEnd end, std::optional<Side> by, TimeNs time) {
  const bool finished = end == ConversationEnd::kClosed || end == ConversationEnd::kReset;
  if (observer_ == nullptr) return count_connection();
  if (state_ == State::kSeeking) {
    joiner_->lost();  // what it kept is not proven any more
    count_passed_over(*joiner_);
    tell_gap(time);
  }
  count_session(finished);
  // What goes on is closed by the recorder, as when a proxy's recording ends.
  if (end != ConversationEnd::kCaptureEnded) observer_->closed(close_detail(end, by), in_order(time));
  observer_.reset();
  forget_cancel_key();
}

CloseDetail CapturedConnection::close_detail(ConversationEnd end, std::optional<Side> by) const {
  // The same judgement as the proxy's: whoever said good-bye left, and who ended first.
  const bool expected = tracker_.terminate_seen() || first_finished_ == Direction::kFromClient;
  switch (end) {
    case ConversationEnd::kReplaced:
      return {CloseReason::kRecordingEnded, "its end was not captured; its ports were used again"};
    case ConversationEnd::kEvicted:
      return {CloseReason::kRecordingEnded, "its end was not captured; too many connections at once"};
    case ConversationEnd::kReset:
      if (by && direction_of(*by) == Direction::kFromClient) {
        return {CloseReason::kClientLeft, expected ? "" : "the client reset the connection"};
      }
      return {expected ? CloseReason::kClientLeft : CloseReason::kServerLeft,
              expected ? "" : "the server reset the connection"};
    case ConversationEnd::kClosed:
    case ConversationEnd::kCaptureEnded:
      break;
  }
  return {expected ? CloseReason::kClientLeft : CloseReason::kServerLeft, ""};
}

void CapturedConnection::count_session(bool finished) {
  CaptureCounts& counts = sessions_.counts_;
  ++(has_gap_ ? counts.partial : joined_ ? counts.joined : counts.whole);
  if (!finished) ++counts.unfinished;
}

// It ends without having become a session.
void CapturedConnection::count_connection() {
  if (state_ == State::kIgnored) return;
  if (tls_ != nullptr) return ignore(sessions_.counts_.unreadable, kTlsNoKey);
  const bool seeking = state_ == State::kSeeking || state_ == State::kSide;
  if (bytes_ == 0 || !seeking) {
    ++sessions_.counts_.silent;
    return;
  }
  const bool tls = joiner_ != nullptr && joiner_->looks_like_tls();
  ignore(sessions_.counts_.unreadable, tls ? kTlsNoKey : kNoBeginning);
}

void CapturedConnection::ignore(std::map<std::string, Unread>& kind, const std::string& reason) {
  state_ = State::kIgnored;
  unread_ = &kind[reason];
  ++unread_->connections;
  unread_->bytes += bytes_;
  opening_.reset();  // the reason may be its
  joiner_.reset();
}

// ---- Cancel requests

void CapturedConnection::cancel(TimeNs time) {
  state_ = State::kIgnored;
  const wire::CancelRequest& request = opening_->cancel();
  const auto target = sessions_.cancellable_.find({server_end(), request.process_id});
  if (target != sessions_.cancellable_.end() && target->second->cancel_key_ == request.secret_key) {
    ++sessions_.counts_.cancels;
    target->second->observer_->cancelled(target->second->in_order(time));
  } else {
    ++sessions_.counts_.cancels_unmatched;
  }
  opening_.reset();
}

void CapturedConnection::forget_cancel_key() {
  if (!cancellable_as_) return;
  const auto mine = sessions_.cancellable_.find({server_end(), *cancellable_as_});
  if (mine != sessions_.cancellable_.end() && mine->second == this) sessions_.cancellable_.erase(mine);
  cancellable_as_.reset();
}

}  // namespace understudy::recorder
