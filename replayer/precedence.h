// Which recorded replies a request must wait for: those recorded before it was sent, of exchanges whose order
// matters (footprint.h). Knows nothing of clients but their ids.
//
// Replies are numbered as they were recorded. Holds those that have not arrived, and whatever stands between
// them. Owned by Replay; its thread.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "formats/transcript/event.h"
#include "replayer/footprint.h"

namespace understudy::replayer {

class Precedence {
 public:
  // Where a request was on record.
  struct Place {
    std::uint64_t sent_after;   // so many replies had been recorded
    std::uint64_t answered_as;  // its own reply's number, or later than any recorded so far
    TimeNs sent_at = 0;         // when, on record
    bool key_taken = false;     // what it adds was there already
    Moment begins_before = {};  // it is asked before what was asked then
  };

  // A reply of this session was recorded next, at this time, to what was asked then; returns its number.
  std::uint64_t reply_recorded(SessionId session, Footprint footprint, const Moment& asked, TimeNs time);
  // How many were recorded so far: a request sent now has all below this number before it.
  [[nodiscard]] std::uint64_t recorded() const { return first_ + replies_.size(); }

  [[nodiscard]] bool has_arrived(std::uint64_t number) const {
    return number < first_ || (number < recorded() && replies_[number - first_].arrived);
  }

  // Replies held: those that have not arrived and what came between them.
  [[nodiscard]] std::size_t waiting() const { return replies_.size(); }

  // It has arrived on stage. Whoever waited for it is appended to `woken`.
  void arrived(std::uint64_t number, std::vector<SessionId>& woken);

  // What this reply answers waits for a lock at the target: who is to get it next may ask for it, too. The
  // same of `woken`.
  void waits_at_target(std::uint64_t number, std::vector<SessionId>& woken);
  // What this reply answers waits for this session, which does not wait for it any more. The same of `woken`.
  void waits_for_session(std::uint64_t number, SessionId session, std::vector<SessionId>& woken);
  // What this reply answers was over with it, its transaction and all. So whoever wanted the same locks, was
  // answered sooner, and `held` them still when this was answered (of a session and a reply: it was in the
  // same transaction, whose end it had not asked for) had got them from it: only its answer was read sooner.
  void was_over(std::uint64_t number, const std::function<bool(SessionId, std::uint64_t)>& held);
  // Of a reply that has not arrived.
  [[nodiscard]] SessionId session_of(std::uint64_t number) const { return replies_[number - first_].session; }
  [[nodiscard]] TimeNs time_of(std::uint64_t number) const { return replies_[number - first_].time; }

  // A reply that a request of `session` waits for; none when it may go. The session is woken when it has
  // arrived: it is the last of those in its way, so it is likely then that all have. Whose key was taken
  // waits for who took it, also where that one's answer came a little later: the server had let go of the key
  // before it was read.
  [[nodiscard]] std::optional<std::uint64_t> in_the_way_of(SessionId session, const Footprint& footprint,
                                                           const Place& place);

  // Whether a request of `session` that was sent when `sent_after` replies had been recorded, and is kept
  // back until `until` have arrived, would meet what it had not met: one of those has not arrived, and its
  // order matters.
  [[nodiscard]] bool would_miss_its_place(SessionId session, const Footprint& footprint,
                                          std::uint64_t sent_after, std::uint64_t until) const;

 private:
  struct Reply {
    SessionId session;
    bool arrived = false;
    bool asked_for_lock = false;
    Footprint footprint;
    Moment asked;
    TimeNs time = 0;
    std::vector<SessionId> waiters;
  };
  // Of replies, ascending; some may have arrived.
  using Numbers = std::deque<std::uint64_t>;

  // A request that finds one of the replies named in its way waits for it: true.
  struct Request {
    SessionId session;
    const Footprint& footprint;
    Place place;
    std::uint64_t end;  // replies from here on do not matter
  };
  [[nodiscard]] static bool goes_first(const Reply& reply, std::uint64_t number, const Place& other);
  [[nodiscard]] static bool just_before(const Reply& reply, const Place& other);
  [[nodiscard]] std::uint64_t end_for(const Place& place) const;
  [[nodiscard]] std::uint64_t follows(std::uint64_t number) const;
  [[nodiscard]] bool is_excused(std::uint64_t number, SessionId session) const;
  static void wake(Reply& reply, std::vector<SessionId>& woken);
  bool waits_for(std::uint64_t number, const Request& request);
  std::optional<std::uint64_t> last_of(Numbers& numbers, const Request& request);
  std::optional<std::uint64_t> last_of_tables(std::unordered_map<std::uint64_t, Numbers>& of_tables,
                                              const std::vector<Access>& rows, const Request& request);
  void index(std::uint64_t number, const Footprint& footprint);

  std::deque<Reply> replies_;
  std::uint64_t first_ = 0;  // number of the front
  // What is true of few replies; of those that have not arrived.
  std::unordered_map<std::uint64_t, std::uint64_t> follows_;           // was_over()
  std::unordered_map<std::uint64_t, std::vector<SessionId>> excused_;  // waits_for_session()
  // Where conflicts are looked for, so that a request need not be compared with all that has not arrived.
  Numbers anything_;
  Numbers logins_;
  Numbers closings_;
  std::unordered_map<std::uint64_t, Numbers> writes_;  // by table
  std::unordered_map<std::uint64_t, Numbers> reads_;
};

}  // namespace understudy::replayer
