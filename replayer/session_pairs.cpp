#include "replayer/session_pairs.h"

namespace understudy::replayer {

SessionPairs::SessionPairs(const Recording& a, const Recording& b)
    : id_a_(a.id()), id_b_(b.id()), a_(a), b_(b), by_(choose()) {}

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

std::string SessionPairs::key(Queue& queue, const SessionDirectory::Entry& entry, bool by_origin) {
  const SessionDescriptor& descriptor = entry.summary.descriptor;
  if (by_origin) return descriptor.attribute("origin");
  if (by_ != By::kName) return descriptor.id.to_string();
  std::string name = descriptor.user();
  name += '\0';
  name += descriptor.database();
  name += '\0';
  name += descriptor.parameter("application_name");
  name += '\0';
  return name + std::to_string(++queue.name_counts[name]);
}

std::optional<SessionPair> SessionPairs::next() {
  while (true) {
    const SessionDirectory::Entry* const a = a_.directory.peek();
    const SessionDirectory::Entry* const b = b_.directory.peek();
    if (a == nullptr && b == nullptr) return oldest_single(0);
    // The side with fewer waiting has its next session more likely awaited by the other.
    const bool from_a = b == nullptr || (a != nullptr && a_.waiting.size() <= b_.waiting.size());
    if (auto pair = take(from_a)) return pair;
    if (auto single = oldest_single(kMaxWaiting)) return single;
  }
}

std::optional<SessionPair> SessionPairs::take(bool from_a) {
  Queue& mine = from_a ? a_ : b_;
  Queue& other = from_a ? b_ : a_;
  SessionDirectory::Entry entry = mine.directory.take();
  const bool by_origin = by_ == By::kBothReplay || by_ == (from_a ? By::kAReplaysB : By::kBReplaysA);
  std::string name = key(mine, entry, by_origin);
  const auto found = other.waiting.find(name);
  if (found == other.waiting.end()) {
    // A session that replays none, or one already replayed, finds nobody: it is told apart by its own id.
    if (name.empty() || mine.waiting.contains(name)) name += '#' + entry.summary.descriptor.id.to_string();
    // Keys of sessions long paired stay behind one that nobody asks for.
    if (mine.order.size() > 2 * kMaxWaiting)
      std::erase_if(mine.order, [&mine](const std::string& key) { return !mine.waiting.contains(key); });
    mine.order.push_back(name);
    mine.waiting.emplace(std::move(name), std::move(entry));
    return std::nullopt;
  }
  SessionPair pair;
  (from_a ? pair.a : pair.b) = std::move(entry);
  (from_a ? pair.b : pair.a) = std::move(found->second);
  other.waiting.erase(found);
  return pair;
}

std::optional<SessionPair> SessionPairs::oldest_single(std::size_t most_waiting) {
  for (Queue* const queue : {&a_, &b_}) {
    while (!queue->order.empty() && !queue->waiting.contains(queue->order.front())) queue->order.pop_front();
    if (queue->waiting.size() <= most_waiting) continue;
    const auto found = queue->waiting.find(queue->order.front());
    SessionPair single;
    (queue == &a_ ? single.a : single.b) = std::move(found->second);
    queue->waiting.erase(found);
    return single;
  }
  return std::nullopt;
}

}  // namespace understudy::replayer
