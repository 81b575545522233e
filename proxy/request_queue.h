// What a client has asked and its server has not answered yet. Each entry ends with a ReadyForQuery of its
// own: a Query, a FunctionCall, or an extended-protocol pipeline up to its Sync. Run-length coded, so a
// client that pipelines a million Syncs costs one entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace understudy::proxy {

enum class RequestKind : std::uint8_t { kSimple, kFunctionCall, kPipeline };

class RequestQueue {
 public:
  void push(RequestKind kind) {
    ++size_;
    if (size_ == 1) {
      front_ = kind;
      return;
    }
    if (next_ < rest_.size() && rest_.back().kind == kind) {
      ++rest_.back().count;
    } else {
      rest_.push_back({kind, 1});
    }
  }
  // The oldest request was answered. Returns false when there was none.
  [[nodiscard]] bool pop() {
    if (size_ == 0) return false;
    --size_;
    if (next_ == rest_.size()) return true;
    front_ = rest_[next_].kind;
    if (--rest_[next_].count == 0 && ++next_ == rest_.size()) {
      rest_.clear();
      next_ = 0;
    }
    return true;
  }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // The oldest unanswered request; only when not empty.
  [[nodiscard]] RequestKind front() const { return front_; }

 private:
  struct Run {
    RequestKind kind;
    std::uint64_t count;
  };
  RequestKind front_ = RequestKind::kSimple;
  std::uint64_t size_ = 0;
  std::vector<Run> rest_;  // after the front, from next_ on; empty for request-reply traffic
  std::size_t next_ = 0;
};

}  // namespace understudy::proxy
