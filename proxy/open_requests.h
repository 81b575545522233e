// The requests of a session that are not answered yet, oldest first. References to one stay good until it is
// taken out. What is taken out lends its memory to the next: request and reply by turns allocate nothing.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/session_requests.h"

namespace understudy::proxy {

class OpenRequests {
 public:
  // At the end; good to be filled in.
  OpenRequest& add() {
    if (spare_.empty()) return open_.emplace_back();
    open_.splice(open_.end(), spare_, spare_.begin());
    return open_.back();
  }
  void push_front(OpenRequest&& request) { open_.push_front(std::move(request)); }
  void pop_front() {
    if (spare_.size() >= kMostSpare) return open_.pop_front();
    open_.front().reset();
    spare_.splice(spare_.end(), open_, open_.begin());
  }
  void clear() { open_.clear(); }
  template <typename Condition>
  void remove_if(Condition condition) {
    open_.remove_if(condition);
  }

  [[nodiscard]] bool empty() const { return open_.empty(); }
  [[nodiscard]] std::size_t size() const { return open_.size(); }
  [[nodiscard]] OpenRequest& front() { return open_.front(); }
  [[nodiscard]] const OpenRequest& front() const { return open_.front(); }
  [[nodiscard]] OpenRequest& back() { return open_.back(); }
  [[nodiscard]] const OpenRequest& back() const { return open_.back(); }
  [[nodiscard]] auto begin() { return open_.begin(); }
  [[nodiscard]] auto begin() const { return open_.begin(); }
  [[nodiscard]] auto end() { return open_.end(); }
  [[nodiscard]] auto end() const { return open_.end(); }
  [[nodiscard]] auto rbegin() { return open_.rbegin(); }
  [[nodiscard]] auto rbegin() const { return open_.rbegin(); }
  [[nodiscard]] auto rend() { return open_.rend(); }
  [[nodiscard]] auto rend() const { return open_.rend(); }

 private:
  static constexpr std::size_t kMostSpare = 2;

  std::list<OpenRequest> open_;
  std::list<OpenRequest> spare_;
};

// What the portals that were bound will do. Most clients have the unnamed one alone.
class Portals {
 public:
  void bind(std::string_view name, StatementEffect effect) {
    if (!name.empty()) {
      named_.insert_or_assign(std::string(name), std::move(effect));
      return;
    }
    unnamed_ = std::move(effect);
    has_unnamed_ = true;
  }
  // Null when there is none of that name.
  [[nodiscard]] const StatementEffect* find(std::string_view name) const {
    if (name.empty()) return has_unnamed_ ? &unnamed_ : nullptr;
    const auto found = named_.find(name);
    return found == named_.end() ? nullptr : &found->second;
  }
  void clear() {
    has_unnamed_ = false;
    if (!named_.empty()) named_.clear();
  }

 private:
  StatementEffect unnamed_;
  bool has_unnamed_ = false;
  std::map<std::string, StatementEffect, std::less<>> named_;
};

}  // namespace understudy::proxy
