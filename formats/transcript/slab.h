// Where a worker appends events before they are sealed into a chunk: the hot end of recording. Appending
// copies the bytes once and does nothing else; grouping and compression happen at sealing (chunk.h).
//
// One thread at a time uses a slab; it is handed over whole.
#pragma once

#include <vector>

#include "formats/transcript/event.h"

namespace understudy {

class Slab {
 public:
  struct Head {
    SessionId session;
    TimeNs time;
    std::uint32_t length_bytes;
    EventKind kind;
  };

  // Reserves room so that appending up to `capacity_bytes` of data does not allocate.
  explicit Slab(std::size_t capacity_bytes = kDefaultCapacityBytes) { data_.reserve(capacity_bytes); }

  // Events of one session must be appended in time order. An event longer than 2^32-1 bytes is not possible:
  // callers append what one read returned.
  void append(SessionId session, TimeNs time, EventKind kind, ByteView data) {
    heads_.push_back({session, time, static_cast<std::uint32_t>(data.size()), kind});
    append_bytes(data_, data);
  }
  void clear() {
    heads_.clear();
    data_.clear();
  }

  [[nodiscard]] bool empty() const { return heads_.empty(); }
  [[nodiscard]] const std::vector<Head>& heads() const { return heads_; }
  // The data of all events, in the order of heads().
  [[nodiscard]] ByteView data() const { return data_; }
  [[nodiscard]] std::size_t size_bytes() const { return data_.size() + heads_.size() * sizeof(Head); }

  static constexpr std::size_t kDefaultCapacityBytes = std::size_t{1} << 20;

 private:
  std::vector<Head> heads_;
  ByteBuffer data_;
};

}  // namespace understudy
