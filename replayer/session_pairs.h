// Which session of one recording is compared with which of the other? When one recording replays the other,
// or both replay the same, by the recorded session each one replays; else the first session of a user,
// database and application name with the first such of the other recording, and so on. Reads both as streams;
// of sessions whose counterpart has not come yet, a bounded number waits. One thread at a time.
#pragma once

#include <deque>
#include <list>
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

  // `max_waiting`: of each recording.
  SessionPairs(const Recording& a, const Recording& b, std::size_t max_waiting = kMaxWaiting);

  // Both sides of a pair, or a session that has no counterpart; none at the end.
  [[nodiscard]] std::optional<SessionPair> next();
  [[nodiscard]] By by() const { return by_; }
  // Sessions whose opening is damaged, known at the end.
  [[nodiscard]] std::uint64_t lost() const { return a_.directory.lost() + b_.directory.lost(); }

 private:
  struct Queue {
    explicit Queue(const Recording& recording) : directory(recording) {}
    SessionDirectory directory;
    struct Waiting {
      std::string key;
      SessionDirectory::Entry entry;
    };
    std::list<Waiting> waiting;  // for a counterpart, by arrival
    std::unordered_map<std::string, std::deque<std::list<Waiting>::iterator>> by_key;

    void wait(std::string key, SessionDirectory::Entry entry);
    // The one that has waited longest with this key, or of all.
    [[nodiscard]] std::optional<SessionDirectory::Entry> take(const std::string& key);
    [[nodiscard]] SessionDirectory::Entry take_oldest();
  };

  [[nodiscard]] By choose();
  [[nodiscard]] std::string key(const SessionDescriptor& descriptor, bool from_a) const;
  [[nodiscard]] std::optional<SessionPair> take(bool from_a);
  [[nodiscard]] std::optional<SessionPair> oldest_single(std::size_t most_waiting);

  const std::string id_a_;
  const std::string id_b_;
  const std::size_t max_waiting_;
  Queue a_;
  Queue b_;
  By by_;
};

}  // namespace understudy::replayer
