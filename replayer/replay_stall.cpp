// Replay: cancels, and what is done when nothing moves. A lock queue that formed the other way round leaves
// its holder waiting at our gate for the session it blocks; waiting longer cannot help, and letting go by
// time-out alone would wreck the order. So the target is asked who blocks whom, and only the holder is let
// through.
#include <algorithm>

#include "formats/wire/message_types.h"
#include "proxy/clock.h"
#include "replayer/replay.h"

namespace understudy::replayer {
namespace {

constexpr TimeNs kMillisecond = 1'000'000;
constexpr TimeNs kWatchInterval = 10 * kMillisecond;
constexpr TimeNs kLongestStall = 1000 * kMillisecond;
// A cancel must find its statement running: it is sent a little after, and again until it has done its work.
constexpr TimeNs kCancelDelay = 10 * kMillisecond;
constexpr TimeNs kCancelInterval = 50 * kMillisecond;

// Whether recorded server bytes say "canceling statement" (SQLSTATE 57014 as an error's code field).
bool says_cancelled(ByteView bytes) { return as_text(bytes).find("C57014") != std::string_view::npos; }

}  // namespace

Replay::Step Replay::step_cancel(TranscriptClient& client, const Event& event) {
  if (!due(event.time, &client)) return Step::kWaitsForTime;
  client.recorded().consume();
  ++result_.cancels;
  if (client.quiescent()) return Step::kAdvanced;  // came too late in the recording, too
  const auto next = client.recorded().peek();
  const bool repeat = next && next->kind == EventKind::kServerBytes && says_cancelled(next->data);
  const SessionId session = client.recorded().descriptor().id;
  worker_.loop().call_at(proxy::now_ns() + kCancelDelay,
                         [this, session, repeat] { cancel_until_done(session, repeat); });
  return Step::kAdvanced;
}

void Replay::cancel_until_done(SessionId session, bool repeat) {
  const auto found = clients_.find(session);
  if (found == clients_.end() || found->second->ended() || found->second->quiescent()) return;
  found->second->cancel();
  if (!repeat) return;
  worker_.loop().call_at(proxy::now_ns() + kCancelInterval,
                         [this, session] { cancel_until_done(session, true); });
}

void Replay::watch_for_stall() {
  if (finished_) return;
  const TimeNs now = proxy::now_ns();
  if (!timer_set_ && now - last_progress_ >= stall_wait_) {
    ask_about_locks();
    stall_wait_ = std::min(stall_wait_ * 2, std::max(kLongestStall, kFirstStall));
  }
  // Idle sessions pin no decoded chunks; those in use come back from the recording's cache.
  for (const auto& [id, client] : clients_) client->recorded().release();
  worker_.loop().call_at(now + kWatchInterval, [this] { watch_for_stall(); });
}

void Replay::ask_about_locks() {
  std::vector<std::uint32_t> pids;
  for (const auto& [id, client] : clients_) {
    if (!client->ended() && client->process_id() != 0) pids.push_back(client->process_id());
  }
  if (pids.empty()) return;
  monitor_.ask(std::move(pids), [this](const std::vector<BackendActivity>& activities) {
    if (finished_) return;
    rescue(activities);
    end_if_stuck(activities);
  });
}

void Replay::rescue(const std::vector<BackendActivity>& activities) {
  if (options_.order != Order::kCausal) return;
  std::unordered_map<std::uint32_t, const BackendActivity*> known;
  for (const BackendActivity& activity : activities) known.emplace(activity.process_id, &activity);
  std::vector<std::uint32_t> holders;
  for (const BackendActivity& activity : activities) {
    for (const std::uint32_t pid : activity.blocked_by) {
      const auto holder = known.find(pid);
      // One that waits for a lock itself is not at our gate; whom it waits for is in the list too.
      if (holder != known.end() && holder->second->blocked_by.empty()) holders.push_back(pid);
    }
  }
  for (const auto& [id, client] : clients_) {
    const bool holds = std::find(holders.begin(), holders.end(), client->process_id()) != holders.end();
    if (!holds || client->ended() || client->schedule.ahead) continue;
    ++result_.rescues;
    progress_.rescues.store(result_.rescues, std::memory_order_relaxed);
    client->schedule.ahead = true;
    client->schedule.ahead_from = client->ready_count();
    run_ahead(*client);
  }
  advance();
}

void Replay::run_ahead(TranscriptClient& client) {
  while (client.schedule.ahead && !client.ended()) {
    const bool moved = client.ready_count() > client.schedule.ahead_from;
    if (moved && client.quiescent() && client.transaction_status() == 'I' && client.recorded().quiescent()) {
      client.schedule.ahead = false;
      return;
    }
    if (step(client) != Step::kAdvanced) return;
  }
}

// Nothing has moved for long and the target waits for us: an exchange went another way and its session waits
// for an answer that will not come.
void Replay::end_if_stuck(const std::vector<BackendActivity>& activities) {
  for (const auto& [id, client] : clients_) {
    if (client->ended() || !client->recorded().quiescent() || client->caught_up()) continue;
    if (client->unstick()) ++result_.unstuck;
  }
  if (proxy::now_ns() - last_progress_ < options_.stall_timeout) return;
  for (const BackendActivity& activity : activities) {
    if (activity.active) return;
  }
  TranscriptClient* const client = earliest();
  if (client == nullptr) return;
  ++result_.sessions_stuck;
  client->hang_up();
}

}  // namespace understudy::replayer
