#include "replayer/footprint.h"

#include <algorithm>

namespace understudy::replayer {
namespace {

bool overlap(const std::vector<Access>& some, const std::vector<Access>& others) {
  return std::any_of(some.begin(), some.end(), [&](const Access& one) {
    return std::any_of(others.begin(), others.end(),
                       [&](const Access& other) { return one.overlaps(other); });
  });
}

void merge_accesses(std::vector<Access>& into, const std::vector<Access>& from) {
  for (const Access& access : from) {
    if (std::find(into.begin(), into.end(), access) == into.end()) into.push_back(access);
  }
}

}  // namespace

void Footprint::merge(const Footprint& other) {
  only_ends = (empty() || only_ends) && (other.empty() || other.only_ends);
  anything = anything || other.anything;
  login = login || other.login;
  closing = closing || other.closing;
  ends_transaction = ends_transaction || other.ends_transaction;
  merge_accesses(writes, other.writes);
  merge_accesses(reads, other.reads);
}

bool in_conflict(const Footprint& one, const Footprint& other) {
  if (one.empty() || other.empty()) return false;
  if (one.anything || other.anything) return true;
  if ((one.login && other.closing) || (one.closing && other.login)) return true;
  if (overlap(one.writes, other.writes)) return true;
  return (one.ends_transaction && overlap(one.writes, other.reads)) ||
         (other.ends_transaction && overlap(one.reads, other.writes));
}

bool lock_in_conflict(const Footprint& one, const Footprint& other) {
  if (one.anything || other.anything || one.only_ends || other.only_ends) return false;
  return overlap(one.writes, other.writes);
}

}  // namespace understudy::replayer
