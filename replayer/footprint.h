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
  bool adds = false;         // only rows that were not there before
  bool freely = false;       // and nothing of them must be unique: they wait for no other's outcome
  bool shared = false;       // locked as others may at the same time: FOR SHARE
  bool meets_added = false;  // waits for rows that others are adding, too: LOCK TABLE, ON CONFLICT
  // Of an update or a deletion, a bit for each column that it sets, and for each that tells which rows it is
  // of; two columns may have the same.
  std::uint64_t sets = 0;
  std::uint64_t where = 0;
  bool operator==(const Access&) const = default;
  [[nodiscard]] bool overlaps(const Access& other) const {
    if (table != other.table) return false;
    // Different columns may well name the same row.
    return column == 0 || other.column == 0 || column != other.column || key == other.key;
  }
};

// A point of a recording: so many replies had been recorded, and when it was. Past all by itself.
struct Moment {
  std::uint64_t replies = UINT64_MAX;
  std::int64_t time = INT64_MAX;  // TimeNs
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
// Whether the first got a lock that the second, which was answered later, had to wait for: even if they
// overlapped, it must be answered first again. For rows that are only added nobody waits who looks for rows.
[[nodiscard]] bool lock_in_conflict(const Footprint& first, const Footprint& second);
// Whether it depends on its order with the end of the other's transaction what the statement sees, even if
// they overlapped. A row that both change is none of it: who waits for it goes on with what it has become.
// But it does not find one that was added, nor one that has come to be what it looks for.
[[nodiscard]] bool snapshot_in_conflict(const Footprint& statement, const Footprint& end);
// Of two that are so: whether it is for what the end changes, not only for what it may have added, and that
// is known. Then the statement keeps its place before the end even if others get locks in another order for
// it.
[[nodiscard]] bool sees_change_by(const Footprint& statement, const Footprint& end);
// Whether both add a row with the same unique key.
[[nodiscard]] bool same_key_in(const Footprint& one, const Footprint& other);

}  // namespace understudy::replayer
