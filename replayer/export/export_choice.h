// Which sessions an export is of: one that was named, those a condition means, or all. Borrows what it was
// made of; one thread at a time.
#pragma once

#include <optional>

#include "replayer/condition_scope.h"

namespace understudy::replayer {

class ExportChoice {
 public:
  // `session` and `scope` both count.
  ExportChoice(std::optional<SessionSummary> session, ConditionScope& scope)
      : session_(std::move(session)), scope_(scope) {}

  [[nodiscard]] bool is_everything() const { return !session_ && scope_.is_everything(); }
  [[nodiscard]] const std::optional<SessionSummary>& session() const { return session_; }
  [[nodiscard]] const ConditionScope& scope() const { return scope_; }
  [[nodiscard]] bool takes(const SessionDescriptor& session) const {
    return (!session_ || session_->descriptor.id == session.id) && scope_.means(session);
  }

 private:
  const std::optional<SessionSummary> session_;
  ConditionScope& scope_;
};

}  // namespace understudy::replayer
