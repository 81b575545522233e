// Reading a recording in time order: a merge of the chunks that overlap.
#include <algorithm>
#include <numeric>

#include "formats/transcript/recording.h"

namespace understudy {
namespace {

// A chunk being merged: its events in time order, from `at` on.
struct OpenChunk {
  ChunkPosition position;
  std::shared_ptr<const Chunk> chunk;
  std::vector<std::uint32_t> order;  // only when the events were not appended in time order
  std::size_t at = 0;

  [[nodiscard]] std::size_t index() const { return order.empty() ? at : order[at]; }
  [[nodiscard]] TimeNs time() const { return chunk->time(index()); }
};

std::vector<std::uint32_t> sorted_by_time(const Chunk& chunk) {
  std::vector<std::uint32_t> order(chunk.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return chunk.time(a) < chunk.time(b); });
  return order;
}

// Puts the chunk with the earliest event, and of those the first appended, on top of a heap.
bool later(const OpenChunk& a, const OpenChunk& b) {
  return a.time() != b.time() ? a.time() > b.time() : a.position > b.position;
}
bool later_owned(const std::unique_ptr<OpenChunk>& a, const std::unique_ptr<OpenChunk>& b) {
  return later(*a, *b);
}

}  // namespace

struct EventStream::State {
  const Recording& recording;
  TimeNs from;
  std::size_t next_chunk = 0;          // in chunks_by_time
  std::unique_ptr<OpenChunk> current;  // gave out the last event; apart from the heap while it leads
  std::vector<std::unique_ptr<OpenChunk>> heap;  // the other chunks that overlap it
  std::vector<ChunkPosition> damaged;

  void open_chunk(ChunkPosition position);
  void open_needed();
  void choose();
};

void EventStream::State::open_chunk(ChunkPosition position) {
  auto opened = std::make_unique<OpenChunk>();
  opened->position = position;
  opened->chunk = recording.load(position);
  if (!opened->chunk) {
    damaged.push_back(position);
    return;
  }
  const std::size_t size = opened->chunk->size();
  for (std::size_t i = 1; i < size && opened->order.empty(); ++i) {
    if (opened->chunk->time(i) < opened->chunk->time(i - 1)) opened->order = sorted_by_time(*opened->chunk);
  }
  while (opened->at < size && opened->time() < from) ++opened->at;
  if (opened->at == size) return;
  heap.push_back(std::move(opened));
  std::push_heap(heap.begin(), heap.end(), later_owned);
}

// Opens every chunk that may hold an event not later than the earliest one at hand.
void EventStream::State::open_needed() {
  const auto& chunks = recording.chunks_by_time();
  for (; next_chunk < chunks.size(); ++next_chunk) {
    const Recording::ChunkTimes& next = chunks[next_chunk];
    const bool anything = current || !heap.empty();
    if (anything) {
      const TimeNs earliest = current && (heap.empty() || later(*heap.front(), *current))
                                  ? current->time()
                                  : heap.front()->time();
      if (next.first_time > earliest) return;
    }
    if (next.last_time >= from) open_chunk(next.position);
  }
}

// Makes the chunk with the earliest event current.
void EventStream::State::choose() {
  if (heap.empty() || (current && !later(*current, *heap.front()))) return;
  std::pop_heap(heap.begin(), heap.end(), later_owned);
  std::swap(current, heap.back());
  if (heap.back()) {
    std::push_heap(heap.begin(), heap.end(), later_owned);
  } else {
    heap.pop_back();
  }
}

EventStream::EventStream(const Recording& recording, TimeNs from)
    : state_(new State{.recording = recording, .from = from, .current = nullptr, .heap = {}, .damaged = {}}) {
}

EventStream::~EventStream() = default;

const std::vector<ChunkPosition>& EventStream::damaged() const { return state_->damaged; }

std::optional<Event> EventStream::next() {
  State& state = *state_;
  if (state.current && ++state.current->at == state.current->chunk->size()) state.current.reset();
  state.open_needed();
  state.choose();
  if (!state.current) return std::nullopt;
  return state.current->chunk->event(state.current->index());
}

}  // namespace understudy
