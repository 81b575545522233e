#include "replayer/session_directory.h"

#include <unordered_set>

namespace understudy::replayer {
namespace {

constexpr std::size_t kAhead = 256;

struct Stopped {};

}  // namespace

SessionDirectory::SessionDirectory(const Recording& recording, unsigned part, unsigned parts)
    : recording_(recording), part_(part), parts_(parts), thread_([this] { run(); }) {}

SessionDirectory::~SessionDirectory() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::uint64_t SessionDirectory::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

void SessionDirectory::run() {
  std::unordered_set<SessionId> continuing;
  for (const SessionDescriptor& session : recording_.continuing()) continuing.insert(session.id);
  std::uint64_t lost = 0;
  std::uint64_t number = 0;
  std::exception_ptr failure;
  try {
    lost = for_each_session(recording_, [&](const SessionSummary& summary) {
             // What the proxy asked a shadow was no client's.
             if (!summary.descriptor.attribute("shadow_of").empty()) return;
             const bool ours = number++ % parts_ == part_;
             std::unique_lock lock(mutex_);
             if (!ours && !ending_) return;
             changed_.wait(lock, [this] { return ending_ || ahead_.size() < kAhead; });
             if (ending_) throw Stopped{};
             const SessionDescriptor& session = summary.descriptor;
             const bool joined = !session.attribute(kJoinedAttribute).empty();
             ahead_.push_back({summary, joined || continuing.contains(session.id)});
             changed_.notify_all();
           }).size();
  } catch (const Stopped&) {
    return;
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  lost_ = part_ == 0 ? lost : 0;
  failure_ = failure;
  done_ = true;
  changed_.notify_all();
}

const SessionDirectory::Entry* SessionDirectory::peek() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_ || !ahead_.empty(); });
  if (ahead_.empty() && failure_) std::rethrow_exception(failure_);
  return ahead_.empty() ? nullptr : &ahead_.front();  // a deque's front stays where it is
}

SessionDirectory::Entry SessionDirectory::take() {
  const std::lock_guard lock(mutex_);
  Entry entry = std::move(ahead_.front());
  ahead_.pop_front();
  changed_.notify_all();
  return entry;
}

}  // namespace understudy::replayer
