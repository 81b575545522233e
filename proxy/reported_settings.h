// The settings a server has reported (ParameterStatus), by name. Copies share what they have: most sessions
// have what their server said at its login, and nothing else; one that changes takes a copy of all. One
// thread at a time; copies may go to others.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace understudy::proxy {

class ReportedSettings {
 public:
  using Item = std::pair<std::string, std::string>;
  using Items = std::vector<Item>;

  ReportedSettings() = default;
  ReportedSettings(std::initializer_list<Item> items) : ReportedSettings(Items(items)) {}
  // Of several with one name the last counts.
  explicit ReportedSettings(Items items) {
    if (items.empty()) return;
    std::stable_sort(items.begin(), items.end(),
                     [](const Item& one, const Item& other) { return one.first < other.first; });
    const auto last_of_each =
        std::unique(items.rbegin(), items.rend(), [](const Item& one, const Item& other) {
          return one.first == other.first;
        }).base();
    items.erase(items.begin(), last_of_each);
    items_ = std::make_shared<const Items>(std::move(items));
  }

  // In the order of their names.
  [[nodiscard]] Items::const_iterator begin() const { return all().begin(); }
  [[nodiscard]] Items::const_iterator end() const { return all().end(); }
  // Null when there is none of that name.
  [[nodiscard]] const std::string* find(std::string_view name) const {
    const auto at = place(all(), name);
    return at != all().end() && at->first == name ? &at->second : nullptr;
  }
  void set(std::string_view name, std::string_view value) {
    const std::string* const known = find(name);
    if (known != nullptr && *known == value) return;
    auto changed = std::make_shared<Items>(all());
    const auto at = changed->begin() + (place(*changed, name) - changed->cbegin());
    if (known != nullptr) {
      at->second = value;
    } else {
      changed->emplace(at, name, value);
    }
    items_ = std::move(changed);
  }

 private:
  [[nodiscard]] const Items& all() const {
    static const Items kNone;
    return items_ ? *items_ : kNone;
  }
  [[nodiscard]] static Items::const_iterator place(const Items& items, std::string_view name) {
    return std::lower_bound(items.begin(), items.end(), name,
                            [](const Item& item, std::string_view wanted) { return item.first < wanted; });
  }

  std::shared_ptr<const Items> items_;  // null: none
};

}  // namespace understudy::proxy
