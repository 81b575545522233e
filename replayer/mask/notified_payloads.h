// What NOTIFY and pg_notify() were given, and what that is masked as: the notifications that bring it say the
// same. One for a run of `understudy mask`; one thread at a time.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace understudy::replayer {

class NotifiedPayloads {
 public:
  // A statement gives `payload` to a channel, and says `masked` for it now. What was masked once stays so.
  void say(std::string_view channel, std::string_view payload, std::string_view masked);
  // What it is masked as; null: no statement is known that said it.
  [[nodiscard]] const std::string* find(std::string_view channel, std::string_view payload) const;

 private:
  std::map<std::string, std::string, std::less<>> masked_;  // bounded; by key_of()
  std::size_t bytes_ = 0;
};

}  // namespace understudy::replayer
