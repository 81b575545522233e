// What an exchange may touch, and so which exchanges must keep their recorded order. A value; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace understudy::replayer {

// A table, or the rows of it in which one column has one value. Names are hashes: two names with the same
// hash only make for an order that was not needed.
struct Access {
  std::uint64_t table = 0;
  std::uint64_t column = 0;  // 0: any row
  std::int64_t key = 0;
  bool adds = false;    // only rows that were not there before
  bool freely = false;  // and nothing of them must be unique: they wait for no other's outcome
  bool shared = false;  // locked as others may at the same time: FOR SHARE
  bool some = false;    // of these rows, those that meet another condition as well
  bool operator==(const Access&) const = default;
  [[nodiscard]] bool overlaps(const Access& other) const {
    if (table != other.table) return false;
    // Different columns may well name the same row.
    return column == 0 || other.column == 0 || column != other.column || key == other.key;
  }
};

// Of an exchange that adds more rows, the first keys are kept.
constexpr std::size_t kMaxUniqueKeys = 64;

struct Footprint {
  bool anything = false;          // not all is known: it is ordered with everything
  bool catalog = false;           // depends on what tables there are, and the like
  bool login = false;             // opens a session
  bool closing = false;           // ends one: a slot of the server's becomes free
  bool ends_transaction = false;  // what it and its transaction wrote becomes visible, or vanishes
  bool takes_locks = false;       // on what it writes; COMMIT lets go of those its transaction had
  std::vector<Access> writes;     // locked until the transaction ends; of `anything`, those that are known
  std::vector<Access> reads;
  // Of rows that are added: hashes of what must be unique of them. Of two that add the same the later waits
  // for the outcome of the earlier's transaction.
  std::vector<std::uint64_t> unique_keys;

  [[nodiscard]] bool empty() const {
    return !anything && !catalog && !login && !closing && writes.empty() && reads.empty();
  }
  void merge(const Footprint& other);
};

// Whether the recorded order of the two must be kept. Reads see what has ended, so they are ordered with ends
// of transactions that wrote what they read; writes are ordered with writes of the same rows, for their
// locks. Rows added freely are ordered among themselves for what a sequence gives them and for their places
// in the table, both of which they have once they are written, whatever becomes of their transaction.
[[nodiscard]] bool in_conflict(const Footprint& one, const Footprint& other);
// Whether one of the two gets a lock that the other waits for: even if they overlapped, the one that was
// answered first must be answered first again.
[[nodiscard]] bool lock_in_conflict(const Footprint& one, const Footprint& other);
// Whether it depends on its order with the end of the other's transaction what the statement sees, even if
// they overlapped. A row that both change is none of it: who waits for it goes on with what it has become.
[[nodiscard]] bool snapshot_in_conflict(const Footprint& statement, const Footprint& end);
// Whether both add a row with the same unique key.
[[nodiscard]] bool same_key_in(const Footprint& one, const Footprint& other);

}  // namespace understudy::replayer
