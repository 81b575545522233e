// What `understudy ctl` prints of the admin port's answers. Pure.
#pragma once

#include <string>

namespace understudy::recorder {

struct CtlAnswer {
  int status = 0;  // HTTP's
  std::string body;
};
struct CtlStatus {
  CtlAnswer ready;
  CtlAnswer backends;
  CtlAnswer pools;
  CtlAnswer sessions;
  CtlAnswer failovers;
};

// For people, and for programs: {"ready": ..., "reason": ..., "backends": [...], "pools": {...}, "sessions":
// {"total":
// ..., "by_state": {...}}, "failovers": [...]}. Throw std::runtime_error when an answer is not the admin
// port's.
[[nodiscard]] std::string status_as_text(const CtlStatus& status);
[[nodiscard]] std::string status_as_json(const CtlStatus& status);
[[nodiscard]] std::string change_as_text(const std::string& command, const CtlAnswer& answer);
// Of `record` and what it was asked: start, stop, status, mark, save.
[[nodiscard]] std::string record_as_text(const std::string& what, const CtlAnswer& answer);
// Why an answer is a refusal.
[[nodiscard]] std::string error_of(const CtlAnswer& answer);

}  // namespace understudy::recorder
