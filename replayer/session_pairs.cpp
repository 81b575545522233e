#include "replayer/session_pairs.h"

namespace understudy::replayer {

void SessionPairs::Queue::wait(std::string key, SessionDirectory::Entry entry) {
  waiting.push_back({std::move(key), std::move(entry)});
  by_key[waiting.back().key].push_back(std::prev(waiting.end()));
}

std::optional<SessionDirectory::Entry> SessionPairs::Queue::take(const std::string& key) {
  const auto found = by_key.find(key);
  if (found == by_key.end()) return std::nullopt;
  const auto longest = found->second.front();
  SessionDirectory::Entry entry = std::move(longest->entry);
  found->second.pop_front();
  if (found->second.empty()) by_key.erase(found);
  waiting.erase(longest);
  return entry;
}

SessionDirectory::Entry SessionPairs::Queue::take_oldest() {
  const std::string key = waiting.front().key;
  return *take(key);  // with its key, too, it has waited longest
}

SessionPairs::SessionPairs(const Recording& a, const Recording& b, std::size_t max_waiting)
    : id_a_(a.id()), id_b_(b.id()), max_waiting_(max_waiting), a_(a), b_(b), by_(choose()) {}

SessionPairs::By SessionPairs::choose() {
  const auto replayed = [](Queue& queue) -> std::string {
    const SessionDirectory::Entry* const first = queue.directory.peek();
    return first == nullptr ? std::string() : first->summary.descriptor.attribute("recording");
  };
  const std::string a = replayed(a_);
  const std::string b = replayed(b_);
  if (!b.empty() && b == id_a_) return By::kBReplaysA;
  if (!a.empty() && a == id_b_) return By::kAReplaysB;
  return !a.empty() && a == b ? By::kBothReplay : By::kName;
}

// Empty: there can be no counterpart, for it replays nothing.
std::string SessionPairs::key(const SessionDescriptor& descriptor, bool from_a) const {
  if (by_ == By::kBothReplay || by_ == (from_a ? By::kAReplaysB : By::kBReplaysA))
    return descriptor.attribute("origin");
  if (by_ != By::kName) return descriptor.id.to_string();
  std::string name = descriptor.user();
  name += '\0';
  name += descriptor.database();
  name += '\0';
  return name + descriptor.parameter("application_name");
}

std::optional<SessionPair> SessionPairs::next() {
  while (true) {
    const SessionDirectory::Entry* const a = a_.directory.peek();
    const SessionDirectory::Entry* const b = b_.directory.peek();
    if (a == nullptr && b == nullptr) return oldest_single(0);
    // The side with fewer waiting has its next session more likely awaited by the other.
    const bool from_a = b == nullptr || (a != nullptr && a_.waiting.size() <= b_.waiting.size());
    if (auto pair = take(from_a)) return pair;
    if (auto single = oldest_single(max_waiting_)) return single;
  }
}

// The next session of one recording, with its counterpart; nothing while that has not come.
std::optional<SessionPair> SessionPairs::take(bool from_a) {
  Queue& mine = from_a ? a_ : b_;
  Queue& other = from_a ? b_ : a_;
  SessionDirectory::Entry entry = mine.directory.take();
  std::string name = key(entry.summary.descriptor, from_a);
  auto counterpart = other.take(name);
  if (!counterpart && !name.empty()) {
    mine.wait(std::move(name), std::move(entry));
    return std::nullopt;
  }
  SessionPair pair;
  (from_a ? pair.a : pair.b) = std::move(entry);
  (from_a ? pair.b : pair.a) = std::move(counterpart);
  return pair;
}

std::optional<SessionPair> SessionPairs::oldest_single(std::size_t most_waiting) {
  for (Queue* const queue : {&a_, &b_}) {
    if (queue->waiting.size() <= most_waiting) continue;
    SessionPair single;
    (queue == &a_ ? single.a : single.b) = queue->take_oldest();
    return single;
  }
  return std::nullopt;
}

}  // namespace understudy::replayer
