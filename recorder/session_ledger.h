// What the file knows of sessions: which are open as of the last chunk written (a new segment repeats their
// descriptors) and which have a hole because a chunk could not be written (a gap event must say so).
//
// Owned by the SegmentAppender; the recorder thread's.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "formats/transcript/segment_writer.h"
#include "formats/transcript/slab.h"

namespace understudy::recorder {

class SessionLedger {
 public:
  // A new segment: what is written from now on is lost with it, should it vanish.
  void segment_begun() { in_segment_.clear(); }
  // The slab's events are in the file.
  void written(const Slab& slab);
  // The slab's events are not, and will not be. `why` is told by the loss record.
  void lost(const Slab& slab, const std::string& why);
  // What was in the file is not any more: all sessions open have a hole from `from` to `to`.
  void lost_segment(const LossRecord& loss);

  // Sessions open as far as the file knows or must be told, by number.
  [[nodiscard]] std::vector<SessionDescriptor> open() const;
  [[nodiscard]] std::size_t open_count() const { return open_.size(); }

  // What was lost and is not in the file yet; null when nothing.
  [[nodiscard]] const LossRecord* loss() const { return loss_ ? &*loss_ : nullptr; }
  void told_loss() { loss_.reset(); }
  // Appends the events that tell of the holes: a gap for each session, the closing of those that closed
  // meanwhile.
  void tell_holes(Slab& out) const;
  void told_holes();

 private:
  struct Hole {
    Gap gap;
    bool opening_lost = false;  // the file has never heard of this session
    std::optional<TimeNs> closed_at;
    ByteBuffer closing;
  };
  Hole& hole(SessionId session, TimeNs time);
  void lose(const Slab::Head& head, ByteView data);

  std::map<SessionId, SessionDescriptor> open_;
  std::map<SessionId, Hole> holes_;
  std::unordered_map<SessionId, Gap> in_segment_;  // what each session would miss without the present segment
  std::optional<LossRecord> loss_;
};

}  // namespace understudy::recorder
