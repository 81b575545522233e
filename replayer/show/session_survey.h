// Every session of a recording with what it amounts to, in one pass over the chunks: sessions come in order
// of opening, each once it is over. Held are the sessions that are open, and up to 100,000 that wait for an
// earlier one to end; beyond that they come without waiting for it. One thread at a time.
#pragma once

#include <functional>
#include <list>
#include <unordered_map>

#include "formats/transcript/recording.h"
#include "formats/transcript/session_set.h"
#include "replayer/show/session_filter.h"
#include "replayer/show/session_tally.h"

namespace understudy::replayer {

struct SurveyedSession {
  SessionDescriptor descriptor;
  bool continuing = false;  // open before the recording began, or its opening is gone with a segment
  SessionTally tally;
};

class SessionSurvey {
 public:
  // Returns false to stop.
  using Visit = std::function<bool(const SurveyedSession&)>;

  SessionSurvey(const Recording& recording, SessionFilter filter, Visit visit);

  // Returns the sessions whose opening is lost to damage: they are not visited.
  std::vector<SessionId> run();

  static constexpr std::size_t kMostHeld = 100'000;

 private:
  struct Held {
    SurveyedSession session;
    bool over = false;
  };
  struct Stopped {};

  void admit(const SessionSummary& summary);
  void read_before(TimeNs time);
  void read_chunk(ChunkPosition position);
  void end(SessionId session);
  void visit_in_order();
  void visit_one(std::list<Held>::iterator held);

  const Recording& recording_;
  const SessionFilter filter_;
  const Visit visit_;
  SessionSet continuing_;
  std::size_t next_chunk_ = 0;  // in chunks_by_time
  std::uint32_t segment_ = 0;   // of the last one that was read
  std::list<Held> held_;        // in order of opening
  std::unordered_map<SessionId, std::list<Held>::iterator> open_;
  std::size_t most_held_ = kMostHeld;
};

}  // namespace understudy::replayer
