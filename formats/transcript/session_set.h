// A set of sessions kept as runs of consecutive ids: sessions are numbered as they open, so millions of them
// take a few bytes. A value; one thread at a time changes it.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>

#include "formats/transcript/event.h"

namespace understudy {

class SessionSet {
 public:
  // False when it was there already.
  bool insert(SessionId id) {
    const std::uint64_t key = id.packed();
    auto after = runs_.upper_bound(key);
    if (after != runs_.begin() && std::prev(after)->second >= key) return false;
    const bool joins_next = after != runs_.end() && after->first == key + 1 && key != UINT64_MAX;
    const bool joins_previous = after != runs_.begin() && std::prev(after)->second + 1 == key;
    const std::uint64_t last = joins_next ? after->second : key;
    if (joins_previous) {
      std::prev(after)->second = last;
    } else {
      runs_.emplace_hint(after, key, last);
    }
    if (joins_next) runs_.erase(after);
    return true;
  }

  void insert_all(const SessionSet& other) {
    for (const auto& [first, last] : other.runs_) {
      for (std::uint64_t key = first;; ++key) {
        insert(SessionId::unpack(key));
        if (key == last) break;
      }
    }
  }

  [[nodiscard]] std::uint64_t size() const {
    std::uint64_t count = 0;
    for (const auto& [first, last] : runs_) count += last - first + 1;
    return count;
  }

  [[nodiscard]] bool contains(SessionId id) const {
    const auto after = runs_.upper_bound(id.packed());
    return after != runs_.begin() && std::prev(after)->second >= id.packed();
  }

 private:
  std::map<std::uint64_t, std::uint64_t> runs_;  // first -> last, both in the set
};

}  // namespace understudy
