// Which session of one recording is compared with which of the other? When one recording replays the other,
// or both replay the same, by the recorded session each one replays; else by user, database, application name
// and how many like it came before. Reads both as streams; of sessions whose counterpart has not come yet, a
// bounded number waits. One thread at a time.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "replayer/session_directory.h"

namespace understudy::replayer {

struct SessionPair {
  std::optional<SessionDirectory::Entry> a;
  std::optional<SessionDirectory::Entry> b;
};

class SessionPairs {
 public:
  static constexpr std::size_t kMaxWaiting = 20'000;

  // How sessions find each other.
  enum class By : std::uint8_t { kBReplaysA, kAReplaysB, kBothReplay, kName };

  SessionPairs(const Recording& a, const Recording& b);

  // Both sides of a pair, or a session that has no counterpart; none at the end.
  [[nodiscard]] std::optional<SessionPair> next();
  [[nodiscard]] By by() const { return by_; }
  // Sessions whose opening is damaged, known at the end.
  [[nodiscard]] std::uint64_t lost() const { return a_.directory.lost() + b_.directory.lost(); }

 private:
  struct Queue {
    explicit Queue(const Recording& recording) : directory(recording) {}
    SessionDirectory directory;
    std::unordered_map<std::string, SessionDirectory::Entry> waiting;
    std::deque<std::string> order;  // of waiting, by arrival; keys that left are passed over
    std::map<std::string, std::uint64_t> name_counts;  // of By::kName
  };

  [[nodiscard]] By choose();
  [[nodiscard]] std::string key(Queue& queue, const SessionDirectory::Entry& entry, bool by_origin);
  [[nodiscard]] std::optional<SessionPair> take(bool from_a);
  [[nodiscard]] std::optional<SessionPair> oldest_single(std::size_t most_waiting);

  const std::string id_a_;
  const std::string id_b_;
  Queue a_;
  Queue b_;
  By by_;
};

}  // namespace understudy::replayer
