// Which columns a SessionMask's session's temporary tables have: learned from what it creates, forgotten with
// whatever might change them.
#include <algorithm>
#include <utility>

#include "formats/wire/message_types.h"
#include "replayer/mask/session_mask.h"

namespace understudy::replayer {

// A statement is sent, or run again.
void SessionMask::follow_tables(const StatementValues& values) {
  created_ = {};
  if (!values.understood || values.tables.disturbs) return forget_tables();
  if (values.tables.commits) forget_dropped();
}

// What is in front is done; what was sent behind it may have changed what it made.
void SessionMask::table_created() {
  if (front() == nullptr || !front()->portal.statement) return;
  const bool last = std::all_of(pending_.begin() + 1, pending_.end(),
                                [](const Pending& each) { return each.type == wire::frontend::kSync; });
  if (last) created_ = front()->portal.statement->values->tables;
}

void SessionMask::learn_table(bool in_transaction) {
  constexpr std::size_t kMaxTables = 1000;
  const TableEffects made = std::exchange(created_, {});
  if (!in_transaction) forget_dropped();
  if (made.creates.empty() || (made.on_commit_drop && !in_transaction)) return;
  if (tables_.size() >= kMaxTables) forget_tables();
  tables_.insert_or_assign(made.creates, made.columns);
  if (made.on_commit_drop) dropped_.push_back(made.creates);
}

// And what was read by them: an unnamed statement can be run again.
void SessionMask::forget_tables() {
  created_ = {};
  if (tables_.empty()) return;
  tables_.clear();
  dropped_.clear();
  std::erase_if(statements_, [](const auto& each) { return each.second->values->by_columns; });
  std::erase_if(portals_, [](const auto& each) {
    return each.second.statement && each.second.statement->values->by_columns;
  });
}

// Tables that are ON COMMIT DROP: a transaction ends, or there is none.
void SessionMask::forget_dropped() {
  if (dropped_.empty()) return;
  forget_tables();
}

}  // namespace understudy::replayer
