// What must have begun before a transaction may end. A statement sees what was committed before it began
// (READ COMMITTED, chapter 13.2.1 of the manual), and that is soon after it was sent: so what it overlapped,
// it did not see. Where the end of such a transaction is sent before the statement is, it would.
//
// Owned by Replay; its thread.
#pragma once

#include <memory>
#include <vector>

#include "formats/transcript/event.h"
#include "replayer/footprint.h"

namespace understudy::replayer {

struct Step;

// Of a request that was sent, or that others wait for before they end a transaction.
struct Beginning {
  SessionId session;
  TimeNs recorded_at = 0;                  // it was sent
  std::uint64_t answered_as = UINT64_MAX;  // the number of its reply; past all numbers while not known
  TimeNs sent_at = 0;                      // at the target; 0: not yet
  Footprint footprint;                     // once it was sent, while it is not answered on record
  std::vector<SessionId> waiting;          // for it to be sent
};
using Beginnings = std::vector<std::shared_ptr<Beginning>>;

// Of a session, what it asked on record and what was read does not answer.
class Unanswered {
 public:
  explicit Unanswered(SessionId session) : session_(session) {}

 private:
  friend class SnapshotOrder;
  struct Request {
    Step* step;                            // null once it was sent at the target
    std::shared_ptr<Beginning> beginning;  // null while nobody waits for it and it was not sent
    [[nodiscard]] TimeNs recorded_at() const;
    [[nodiscard]] const Footprint& footprint() const;
    const std::shared_ptr<Beginning>& begin(SessionId session);
  };
  SessionId session_;
  std::vector<Request> requests_;
  std::size_t place_ = 0;  // among those with requests
};

class SnapshotOrder {
 public:
  // A request was read, and is where it will be until it is sent. What must begin before it is noted in it.
  void read(Unanswered& session, Step& request);
  // It was sent at the target, or never will be.
  void sent(Unanswered& session, Step& request, TimeNs sent_at);
  // All that the session asked was answered on record, by the reply of this number, or never was.
  void answered(Unanswered& session, std::uint64_t number);

 private:
  [[nodiscard]] Beginnings before(const Unanswered& session, const Step& request);

  std::vector<Unanswered*> sessions_;  // that have requests
};

}  // namespace understudy::replayer
