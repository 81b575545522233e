// A worker's end of the recorder: appends what its sessions show to the worker's slab, hands full slabs to
// the queue, and decides who is shed when the queue has no room. Nothing here touches a file or waits for
// one.
//
// The Recorder's, one a worker; shared with the observers of sessions, which may outlive it: what they show
// then is not recorded, and touches nothing but the lane. The worker's thread appends; the recorder thread
// takes partly filled slabs now and then, which is all the lock is for: it is uncontended but for a few
// nanoseconds a second.
//
// Overload. A session whose event finds no room is shed whole, because half a session cannot be replayed: its
// events are counted instead of recorded, a gap event stands where they begin, a second one before its
// closing carries the rest. Gap events and closings go past the slab's limit (they are small, and at most
// three a session), so that what is missing is known whatever happens. Sessions that begin while even that is
// too much (twice the limit) leave no trace of their own: they are counted in a loss record.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_set>

#include "formats/transcript/segment_writer.h"
#include "recorder/slab_queue.h"
#include "recorder/statistics.h"

namespace understudy::recorder {

// What a lane knows of one session. Owned by the session's observer, guarded by the lane's lock.
struct LaneSession {
  SessionId id;
  bool recorded = false;       // its opening is in a slab
  bool shed = false;           // nothing more of it is recorded
  std::uint64_t slab = 0;      // the lane's slab that slab_bytes is about
  std::size_t slab_bytes = 0;  // this session's part of it
  Gap gap;                     // not recorded, and not in a gap event yet
};

class Lane {
 public:
  explicit Lane(SlabQueue& queue)
      : queue_(queue), slab_(queue.empty_slab()), limit_bytes_(queue.slab_bytes()) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // The worker's thread, in the order things happened. `payload` is the encoded SessionDescriptor or
  // CloseDetail.
  void open(LaneSession& session, TimeNs time, ByteView payload);
  void record(LaneSession& session, TimeNs time, EventKind kind, ByteView data) {
    const std::lock_guard guard(mutex_);
    if (!session.shed && fits(session, data.size())) [[likely]] {
      slab_->append(session.id, time, kind, data);
    } else {
      miss(session, time, kind, data.size());
    }
  }
  // What is recorded next had passwords in it.
  void count_hidden() {
    const std::lock_guard guard(mutex_);
    ++passwords_hidden_;
  }
  void close(LaneSession& session, TimeNs time, ByteView payload);
  // Any thread. An operator's mark: an event of no session.
  void mark(TimeNs time, ByteView text);
  // The session goes away without a closing.
  void forget(LaneSession& session);

  // The recorder thread. Queues the partly filled slab, if the queue has room.
  void hand_over();
  // The recorder thread. Sessions lost without a trace of their own since the last call.
  [[nodiscard]] LossRecord take_loss();
  // Any thread. Queues what there is and what shed sessions still have to say, whatever room there is; what
  // is shown later is not recorded.
  void end();

  // Any thread. end() was called.
  [[nodiscard]] bool ended() const {
    const std::lock_guard guard(mutex_);
    return ended_;
  }

  void add_to(Statistics& statistics) const;

 private:
  bool fits(LaneSession& session, std::size_t data_bytes) {
    const std::size_t needed = data_bytes + sizeof(Slab::Head);
    if (session.slab != slab_number_) {
      session.slab = slab_number_;
      session.slab_bytes = 0;
    }
    session.slab_bytes += needed;
    return slab_->size_bytes() + needed <= limit_bytes_ || make_room(session);
  }
  bool make_room(LaneSession& session);
  bool queue_slab(SlabQueue::Room room);
  void miss(LaneSession& session, TimeNs time, EventKind kind, std::size_t data_bytes);
  void append_past_limit(SessionId session, TimeNs time, EventKind kind, ByteView data);
  void append_gap(LaneSession& session);
  void count_as_lost(LaneSession& session);

  SlabQueue& queue_;
  mutable std::mutex mutex_;
  std::unique_ptr<Slab> slab_;
  std::uint64_t slab_number_ = 1;
  std::size_t limit_bytes_;
  bool ended_ = false;
  std::unordered_set<LaneSession*> shed_;  // still open
  LossRecord loss_;
  std::uint64_t sessions_ = 0;
  std::uint64_t sessions_shed_ = 0;
  std::uint64_t passwords_hidden_ = 0;
  std::uint64_t events_shed_ = 0;
  std::uint64_t bytes_shed_ = 0;
  ByteBuffer scratch_;
};

}  // namespace understudy::recorder
