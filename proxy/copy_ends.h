// CopyDones and CopyFails that a client sent before the server asked for data: each belongs to the request it
// was sent in, and ends one copy of it. Requests are numbered from the session's first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace understudy::proxy {

class CopyEnds {
 public:
  // False when there are too many to remember.
  [[nodiscard]] bool push(std::uint64_t request, std::uint64_t requests_sent) {
    if (next_ < runs_.size() && runs_.back().request == request && runs_.back().sent == requests_sent) {
      ++runs_.back().count;
      return true;
    }
    if (runs_.size() - next_ >= kMost) return false;
    runs_.push_back({request, requests_sent, 1});
    return true;
  }
  // Those of requests before this one were of copies that never began, or failed.
  void answered(std::uint64_t requests) {
    while (next_ < runs_.size() && runs_[next_].request < requests) drop();
  }
  // The end of the copy that began: how many requests had been sent when it was.
  [[nodiscard]] std::optional<std::uint64_t> take() {
    if (next_ == runs_.size()) return std::nullopt;
    const std::uint64_t sent = runs_[next_].sent;
    if (--runs_[next_].count == 0) drop();
    return sent;
  }

 private:
  static constexpr std::size_t kMost = 100'000;
  struct Run {
    std::uint64_t request;
    std::uint64_t sent;
    std::uint64_t count;
  };
  void drop() {
    if (++next_ < runs_.size()) return;
    runs_.clear();
    next_ = 0;
  }

  std::vector<Run> runs_;  // from next_ on; empty for who waits to be asked
  std::size_t next_ = 0;
};

}  // namespace understudy::proxy
