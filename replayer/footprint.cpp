#include "replayer/footprint.h"

#include <algorithm>
#include <functional>

namespace understudy::replayer {
namespace {

template <typename T, typename Meet>
bool any_pair(const std::vector<T>& some, const std::vector<T>& others, Meet meet) {
  return std::any_of(some.begin(), some.end(), [&](const T& one) {
    return std::any_of(others.begin(), others.end(), [&](const T& other) { return meet(one, other); });
  });
}

bool overlap(const std::vector<Access>& some, const std::vector<Access>& others) {
  return any_pair(some, others, [](const Access& one, const Access& other) { return one.overlaps(other); });
}

bool writes_overlap(const Footprint& one, const Footprint& other) {
  const bool both_write_now = one.takes_locks && other.takes_locks;
  return any_pair(one.writes, other.writes, [&](const Access& mine, const Access& theirs) {
    return mine.overlaps(theirs) && (both_write_now || !mine.freely || !theirs.freely);
  });
}

void merge_accesses(std::vector<Access>& into, const std::vector<Access>& from) {
  for (const Access& access : from) {
    if (std::find(into.begin(), into.end(), access) == into.end()) into.push_back(access);
  }
}

}  // namespace

void Footprint::merge(const Footprint& other) {
  anything = anything || other.anything;
  catalog = catalog || other.catalog;
  login = login || other.login;
  closing = closing || other.closing;
  takes_locks = takes_locks || other.takes_locks;
  ends_transaction = ends_transaction || other.ends_transaction;
  merge_accesses(writes, other.writes);
  merge_accesses(reads, other.reads);
  const std::size_t room = kMaxUniqueKeys - std::min(kMaxUniqueKeys, unique_keys.size());
  const auto taken = static_cast<std::ptrdiff_t>(std::min(room, other.unique_keys.size()));
  unique_keys.insert(unique_keys.end(), other.unique_keys.begin(), other.unique_keys.begin() + taken);
}

bool in_conflict(const Footprint& one, const Footprint& other) {
  if (one.empty() || other.empty()) return false;
  if (one.anything || other.anything) return true;
  if ((one.login && other.closing) || (one.closing && other.login)) return true;
  if (writes_overlap(one, other)) return true;
  return (one.ends_transaction && overlap(one.writes, other.reads)) ||
         (other.ends_transaction && overlap(one.reads, other.writes));
}

bool lock_in_conflict(const Footprint& first, const Footprint& second) {
  if (!first.takes_locks || !second.takes_locks) return false;
  return same_key_in(first, second) ||
         any_pair(first.writes, second.writes, [&](const Access& held, const Access& wanted) {
           if (held.adds && wanted.adds) return false;
           if (held.adds && !wanted.meets_added && !first.anything) return false;
           return held.overlaps(wanted) && !(held.shared && wanted.shared);
         });
}

bool snapshot_in_conflict(const Footprint& statement, const Footprint& end) {
  if (statement.anything || end.anything || sees_change_by(statement, end)) return true;
  return any_pair(statement.writes, end.writes, [](const Access& mine, const Access& theirs) {
    return !mine.adds && theirs.adds && mine.overlaps(theirs);
  });
}

bool sees_change_by(const Footprint& statement, const Footprint& end) {
  if (statement.anything || end.anything) return false;
  return overlap(statement.reads, end.writes) ||
         any_pair(statement.writes, end.writes, [](const Access& mine, const Access& theirs) {
           return !mine.adds && mine.overlaps(theirs) && (mine.where & theirs.sets) != 0;
         });
}

bool same_key_in(const Footprint& one, const Footprint& other) {
  return any_pair(one.unique_keys, other.unique_keys, std::equal_to<>());
}

}  // namespace understudy::replayer
