// ClientSession and recordings that begin or end while it is open (recording_join.h).
#include "proxy/client_session.h"
#include "proxy/clock.h"

namespace understudy::proxy {

void ClientSession::begin_recording_join(Login& login, ByteView greeting) {
  const std::shared_ptr<JoinTally> tally = std::move(login.joining);
  const bool follows = context_.shared.joins_recordings && options_.observed &&
                       login.descriptor.parameter("replication").empty();
  if (follows) {
    join_ = std::make_unique<RecordingJoin>(login.descriptor, reported_in(greeting), context_.traits,
                                            failover_ == nullptr);
  }
  if (tally != nullptr) recording_began(tally);
}

void ClientSession::recording_began(std::shared_ptr<JoinTally> tally) {
  if (state() == SessionState::kClosed || !client_.attached() || observer_) return;
  if (login_) {
    login_->joining = std::move(tally);  // it may be shown from its login on, or be taken in after it
    return;
  }
  if (!join_ || join_->gave_up()) return count(tally->untracked);
  join_->wait(std::move(tally));
  context_.loop.make_runnable(*this);  // settle() takes it in, if it is idle now
}

void ClientSession::recording_ended() {
  if (observer_ && observer_->over()) observer_.reset();  // or of the next one, which has begun already
  if (login_) login_->joining.reset();
  if (join_) join_->forget();
  if (failover_ && failover_->shadow != nullptr) failover_->shadow->unobserve();
}

// Where nothing is outstanding and no transaction is open; later, where that is not so now.
void ClientSession::join_recording() {
  if (join_->gave_up()) return count(join_->done()->untracked);
  const Continuity& continuity = failover_ ? failover_->continuity : *join_->followed();
  const bool idle = tracker_.idle() && !tracker_.pipeline_open() && !moving() && continuity.quiet() &&
                    !(failover_ && failover_->split && !failover_->split->waiting.empty());
  if (!idle || client_eof_ || tracker_.terminate_seen()) return;
  const std::shared_ptr<JoinTally> tally = join_->done();
  const std::string holds = continuity.cannot_move();
  if (!holds.empty()) return count(holds == kChangedUnseen ? tally->unseen : tally->pinned);
  SessionDescriptor descriptor = join_->descriptor();
  descriptor.opened_at = now_ns();
  descriptor.backend = server_.address_text();
  descriptor.server_tls = server_.tls() != nullptr;
  ByteBuffer made_by;
  continuity.append_state(made_by);
  const std::vector<StateExchange> exchanges =
      state_exchanges(made_by, context_.traits, join_->at_login(), continuity.settings());
  descriptor.attributes.emplace_back(kJoinedAttribute, "state restored");
  descriptor.attributes.emplace_back(kRestoredAttribute, std::to_string(exchanges.size()));
  observer_ = context_.shared.observer->open_session(context_.worker_index, descriptor);
  if (!observer_) return count(tally->passed_over);
  for (const StateExchange& exchange : exchanges) {
    observer_->relayed(Direction::kFromClient, now_ns(), exchange.request);
    observer_->relayed(Direction::kFromServer, now_ns(), exchange.answer);
  }
  count(tally->joined);
}

}  // namespace understudy::proxy
