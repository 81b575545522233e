#include "replayer/precedence.h"

#include <algorithm>
#include <utility>

namespace understudy::replayer {
namespace {

// So much time passes at least between the sending of a statement and what it sees, and between what a COMMIT
// brings about and its answer. (A database on the same machine; others take longer.)
constexpr TimeNs kOnTheWay = 150'000;

}  // namespace

std::uint64_t Precedence::reply_recorded(SessionId session, Footprint footprint, const Moment& asked,
                                         TimeNs time) {
  index(recorded(), footprint);
  replies_.push_back({.session = session,
                      .arrived = false,
                      .asked_for_lock = false,
                      .footprint = std::move(footprint),
                      .asked = asked,
                      .time = time,
                      .waiters = {}});
  return recorded() - 1;
}

void Precedence::index(std::uint64_t number, const Footprint& footprint) {
  if (footprint.anything) anything_.push_back(number);
  if (footprint.login) logins_.push_back(number);
  if (footprint.closing) closings_.push_back(number);
  const auto by_table = [number](auto& of_tables, const std::vector<Access>& rows) {
    for (const Access& access : rows) {
      Numbers& numbers = of_tables[access.table];
      if (numbers.empty() || numbers.back() != number) numbers.push_back(number);
    }
  };
  by_table(writes_, footprint.writes);
  by_table(reads_, footprint.reads);
}

void Precedence::arrived(std::uint64_t number, std::vector<SessionId>& woken) {
  if (number < first_) return;
  Reply& reply = replies_[number - first_];
  reply.arrived = true;
  wake(reply, woken);
  if (!follows_.empty()) follows_.erase(number);
  if (!excused_.empty()) excused_.erase(number);
  while (!replies_.empty() && replies_.front().arrived) {
    replies_.pop_front();
    ++first_;
  }
}

void Precedence::waits_at_target(std::uint64_t number, std::vector<SessionId>& woken) {
  if (has_arrived(number)) return;
  replies_[number - first_].asked_for_lock = true;
  wake(replies_[number - first_], woken);
}

void Precedence::waits_for_session(std::uint64_t number, SessionId session, std::vector<SessionId>& woken) {
  if (has_arrived(number)) return;
  excused_[number].push_back(session);
  wake(replies_[number - first_], woken);
}

void Precedence::was_over(std::uint64_t number, const std::function<bool(SessionId, std::uint64_t)>& held) {
  const Reply& over = replies_[number - first_];
  if (!over.footprint.takes_locks || !over.footprint.ends_transaction) return;
  for (std::uint64_t sooner = std::max(first_, over.asked.replies); sooner < number; ++sooner) {
    const Reply& reply = replies_[sooner - first_];
    if (reply.arrived || reply.session == over.session || !lock_in_conflict(over.footprint, reply.footprint))
      continue;
    if (held(reply.session, sooner)) follows_[sooner] = number;
  }
}

void Precedence::wake(Reply& reply, std::vector<SessionId>& woken) {
  woken.insert(woken.end(), reply.waiters.begin(), reply.waiters.end());
  reply.waiters.clear();
}

std::optional<std::uint64_t> Precedence::in_the_way_of(SessionId session, const Footprint& footprint,
                                                       const Place& place) {
  if (footprint.empty()) return std::nullopt;
  const Request request{session, footprint, place, std::min(end_for(place), recorded())};
  if (footprint.anything) {  // of all that has not arrived, the last of another session
    for (std::uint64_t number = request.end; number > first_; --number) {
      if (waits_for(number - 1, request)) return number - 1;
    }
    return std::nullopt;
  }
  auto found = last_of(anything_, request);
  if (!found && footprint.login) found = last_of(closings_, request);
  if (!found && footprint.closing) found = last_of(logins_, request);
  if (!found) found = last_of_tables(writes_, footprint.writes, request);
  if (!found) found = last_of_tables(writes_, footprint.reads, request);
  if (!found && footprint.ends_transaction) found = last_of_tables(reads_, footprint.writes, request);
  return found;
}

// What may be in the way of a request was recorded before that.
std::uint64_t Precedence::end_for(const Place& place) const {
  if (place.key_taken) return recorded();
  return std::max({place.sent_after, place.answered_as, follows(place.answered_as) + 1});
}

std::uint64_t Precedence::follows(std::uint64_t number) const {
  if (follows_.empty()) return 0;
  const auto found = follows_.find(number);
  return found == follows_.end() ? 0 : found->second;
}

bool Precedence::is_excused(std::uint64_t number, SessionId session) const {
  if (excused_.empty()) return false;
  const auto found = excused_.find(number);
  return found != excused_.end() &&
         std::find(found->second.begin(), found->second.end(), session) != found->second.end();
}

bool Precedence::would_miss_its_place(SessionId session, const Footprint& footprint, std::uint64_t sent_after,
                                      std::uint64_t until) const {
  for (std::uint64_t number = std::max(sent_after, first_); number < std::min(until, recorded()); ++number) {
    const Reply& reply = replies_[number - first_];
    if (!reply.arrived && reply.session != session && in_conflict(reply.footprint, footprint)) return true;
  }
  return false;
}

// Of two that wanted a lock at the same time: who was answered first. Where the other must have begun sooner
// than that, it asks for the lock behind this one.
bool Precedence::goes_first(const Reply& reply, std::uint64_t number, const Place& other) {
  if (number < other.begins_before.replies) return true;
  return !reply.asked_for_lock && reply.asked.time < other.begins_before.time;
}

// It was asked sooner, and answered before the other can have begun.
bool Precedence::just_before(const Reply& reply, const Place& other) {
  return reply.asked.time < other.sent_at && reply.time < other.sent_at + kOnTheWay;
}

bool Precedence::waits_for(std::uint64_t number, const Request& request) {
  Reply& reply = replies_[number - first_];
  if (reply.arrived || reply.session == request.session) return false;
  if (is_excused(number, request.session)) return false;
  bool in_the_way = false;
  if (number < request.place.sent_after) {
    in_the_way = in_conflict(reply.footprint, request.footprint);
  } else if (number < request.place.answered_as) {
    in_the_way = (follows(number) < request.place.answered_as && goes_first(reply, number, request.place) &&
                  lock_in_conflict(reply.footprint, request.footprint)) ||
                 (just_before(reply, request.place) && reply.footprint.ends_transaction &&
                  snapshot_in_conflict(request.footprint, reply.footprint));
  } else if (reply.asked.replies <= request.place.answered_as) {
    in_the_way = (request.place.key_taken && same_key_in(reply.footprint, request.footprint)) ||
                 (number <= follows(request.place.answered_as) && reply.footprint.ends_transaction &&
                  lock_in_conflict(reply.footprint, request.footprint));
  }
  if (in_the_way) reply.waiters.push_back(request.session);
  return in_the_way;
}

std::optional<std::uint64_t> Precedence::last_of(Numbers& numbers, const Request& request) {
  while (!numbers.empty() && has_arrived(numbers.front())) numbers.pop_front();
  auto number = std::lower_bound(numbers.begin(), numbers.end(), request.end);
  while (number != numbers.begin()) {
    if (has_arrived(*--number)) continue;
    if (waits_for(*number, request)) return *number;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Precedence::last_of_tables(std::unordered_map<std::uint64_t, Numbers>& of_tables,
                                                        const std::vector<Access>& rows,
                                                        const Request& request) {
  for (const Access& access : rows) {
    const auto numbers = of_tables.find(access.table);
    if (numbers == of_tables.end()) continue;
    if (const auto found = last_of(numbers->second, request)) return found;
  }
  return std::nullopt;
}

}  // namespace understudy::replayer
