// Hazards of overload, without a disk or a thread: nobody takes from the queue unless the test does.
#include "recorder/lane.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/recorder/support.h"

namespace understudy::recorder {
namespace {

constexpr std::size_t kSlabBytes = 1024;

class LaneTest : public ::testing::Test {
 protected:
  LaneSession& open(std::uint32_t number) {
    sessions_.push_back(std::make_unique<LaneSession>());
    sessions_.back()->id = {1, number};
    lane_.open(*sessions_.back(), ++time_, as_bytes("opening"));
    return *sessions_.back();
  }
  void show(LaneSession& session, std::size_t bytes, EventKind kind = EventKind::kServerBytes) {
    lane_.record(session, ++time_, kind, ByteBuffer(bytes, 'x'));
  }
  void close(LaneSession& session) { lane_.close(session, ++time_, as_bytes("closing")); }
  // What a recorder thread would write now, partly filled slab included.
  void write() {
    do {
      while (std::unique_ptr<Slab> slab = queue_.pop()) {
        std::size_t offset = 0;
        for (const Slab::Head& head : slab->heads()) {
          const ByteView data = slab->data().subspan(offset, head.length_bytes);
          written_[head.session].push_back({head.time, head.kind, std::string(as_text(data))});
          offset += head.length_bytes;
        }
        queue_.recycle(std::move(slab));
      }
      lane_.hand_over();
    } while (queue_.size_bytes() != 0);
  }
  // Fills queue and slab until `session` is shed.
  void overload(LaneSession& session, std::size_t event_bytes = 100) {
    while (!session.shed) show(session, event_bytes);
  }
  Statistics statistics() const {
    Statistics total;
    lane_.add_to(total);
    return total;
  }

  SlabQueue queue_{8 * kSlabBytes, kSlabBytes};
  Lane lane_{queue_};
  std::vector<std::unique_ptr<LaneSession>> sessions_;
  SeenBySession written_;
  TimeNs time_ = 0;
};

TEST_F(LaneTest, KeepsOrderAcrossSlabs) {
  LaneSession& session = open(1);
  for (std::size_t size = 0; size < 60; ++size) show(session, size);
  close(session);
  write();
  const std::vector<Seen>& events = written_[session.id];
  ASSERT_EQ(events.size(), 62U);
  for (std::size_t size = 0; size < 60; ++size) EXPECT_EQ(events[size + 1].data.size(), size);
  EXPECT_EQ(events.back().kind, EventKind::kClosed);
}

TEST_F(LaneTest, EventLargerThanASlabIsKeptWhole) {
  LaneSession& session = open(1);
  show(session, 3 * kSlabBytes);
  show(session, 10);
  write();
  ASSERT_EQ(written_[session.id].size(), 3U);
  EXPECT_EQ(written_[session.id][1].data.size(), 3 * kSlabBytes);
}

TEST_F(LaneTest, EventLargerThanTheQueueShedsNobodyForEver) {
  LaneSession& session = open(1);
  show(session, 20 * kSlabBytes);
  write();
  show(session, 20 * kSlabBytes);
  close(session);
  write();
  EXPECT_EQ(count_kind(written_[session.id], EventKind::kServerBytes), 2U);
}

TEST_F(LaneTest, ShedSessionLeavesAGapWhereItBeginsAndTheRestBeforeItsClosing) {
  LaneSession& session = open(1);
  overload(session);
  const TimeNs shed_at = time_;
  show(session, 7, EventKind::kClientBytes);
  show(session, 0, EventKind::kCancelled);
  write();
  show(session, 11);  // there is room again, but half a session is of no use
  close(session);
  write();

  const std::vector<Seen>& events = written_[session.id];
  ASSERT_GE(events.size(), 4U);
  const Gap begins = gap_of(events[events.size() - 3]);
  EXPECT_EQ(begins.reason, GapReason::kOverload);
  EXPECT_EQ(begins.from, shed_at);
  EXPECT_EQ(begins.events, 1U);
  EXPECT_EQ(begins.server_bytes, 100U);
  const Gap rest = gap_of(events[events.size() - 2]);
  EXPECT_EQ(rest.from, shed_at);
  EXPECT_EQ(rest.to, shed_at + 3);
  EXPECT_EQ(rest.events, 3U);
  EXPECT_EQ(rest.client_bytes, 7U);
  EXPECT_EQ(rest.server_bytes, 11U);
  EXPECT_EQ(events.back().kind, EventKind::kClosed);
  EXPECT_EQ(statistics().sessions_shed, 1U);
  EXPECT_EQ(statistics().events_shed, 4U);
  EXPECT_EQ(statistics().bytes_shed, 118U);
}

TEST_F(LaneTest, EverythingBeforeTheGapIsThere) {
  LaneSession& session = open(1);
  std::size_t shown = 0;
  for (; !session.shed; ++shown) show(session, 50);
  write();
  EXPECT_EQ(count_kind(written_[session.id], EventKind::kServerBytes), shown - 1);
}

TEST_F(LaneTest, SessionThatFillsTheQueueIsShedAndItsNeighboursStayWhole) {
  LaneSession& small = open(1);
  LaneSession& bulk = open(2);
  std::size_t shown = 0;
  while (!bulk.shed) {
    show(bulk, 500);
    show(small, 5);
    ++shown;
  }
  // The reserve is for those who do not fill slabs by themselves.
  for (int more = 0; more < 20; ++more, ++shown) {
    show(bulk, 500);
    show(small, 5);
  }
  EXPECT_FALSE(small.shed);
  close(small);
  write();
  EXPECT_EQ(count_kind(written_[small.id], EventKind::kServerBytes), shown);
  EXPECT_EQ(count_kind(written_[small.id], EventKind::kGap), 0U);
  EXPECT_EQ(count_kind(written_[bulk.id], EventKind::kGap), 1U);
}

TEST_F(LaneTest, SmallEventsThatStillFitTheSlabAreNotShed) {
  LaneSession& bulk = open(1);
  overload(bulk, 600);
  LaneSession& other = open(2);
  show(other, 1);
  EXPECT_FALSE(other.shed);
}

TEST_F(LaneTest, SessionThatOpensDuringAnOverloadIsWholeOnceThereIsRoom) {
  LaneSession& bulk = open(1);
  overload(bulk);
  LaneSession& late = open(2);
  write();
  show(late, 300);
  close(late);
  write();
  EXPECT_EQ(written_[late.id].size(), 3U);
  EXPECT_FALSE(late.shed);
}

TEST_F(LaneTest, SessionsWithoutRoomForTheirOpeningAreCountedInALossRecord) {
  LaneSession& bulk = open(1);
  overload(bulk, 10);
  std::uint32_t number = 1;
  std::vector<LaneSession*> traceless;
  while (traceless.size() < 3) {
    LaneSession& session = open(++number);
    if (!session.recorded) traceless.push_back(&session);
  }
  show(*traceless[0], 5);
  show(*traceless[1], 6);
  for (LaneSession* session : traceless) close(*session);
  write();

  for (const LaneSession* session : traceless) EXPECT_EQ(written_.count(session->id), 0U);
  const LossRecord loss = lane_.take_loss();
  EXPECT_EQ(loss.reason, GapReason::kOverload);
  EXPECT_EQ(loss.sessions, 3U);
  EXPECT_EQ(loss.events, 2U);
  EXPECT_EQ(loss.bytes, 11U);
  EXPECT_LT(loss.from, loss.to);
  EXPECT_EQ(lane_.take_loss().sessions, 0U);
}

TEST_F(LaneTest, EndSaysWhatOpenShedSessionsStillHaveToSay) {
  LaneSession& session = open(1);
  overload(session);
  show(session, 9);
  lane_.end();
  write();
  const std::vector<Seen>& events = written_[session.id];
  EXPECT_EQ(gap_of(events.back()).server_bytes, 9U);
  EXPECT_EQ(count_kind(events, EventKind::kGap), 2U);
}

TEST_F(LaneTest, NothingIsRecordedAfterTheEnd) {
  LaneSession& session = open(1);
  lane_.end();
  show(session, 9);
  close(session);
  LaneSession& late = open(2);
  show(late, 9);
  close(late);
  lane_.end();
  write();
  EXPECT_EQ(written_[session.id].size(), 1U);
  EXPECT_EQ(written_.size(), 1U);
}

TEST_F(LaneTest, SlabsAreReused) {
  LaneSession& session = open(1);
  std::vector<const Slab*> seen;
  for (int round = 0; round < 4; ++round) {
    for (int event = 0; event < 12; ++event) show(session, 100);
    std::unique_ptr<Slab> slab = queue_.pop();
    ASSERT_NE(slab, nullptr);
    seen.push_back(slab.get());
    queue_.recycle(std::move(slab));
  }
  EXPECT_EQ(seen[0], seen[2]);
  EXPECT_EQ(seen[1], seen[3]);
}

}  // namespace
}  // namespace understudy::recorder
