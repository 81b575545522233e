#include "proxy/commit_ledger.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace understudy::proxy {

bool CommitLedger::add(std::uint32_t timeline) {
  const std::lock_guard lock(mutex_);
  if (timeline != timeline_) return false;
  ++open_page().without_id;
  return true;
}

bool CommitLedger::add(const TransactionMark& last, std::uint32_t timeline) {
  const std::lock_guard lock(mutex_);
  if (timeline != timeline_) return false;
  open_page().marks.push_back({last.id, Lsn{last.lsn}});
  ++ids_;
  keep_bounds();
  return true;
}

CommitLedger::Told& CommitLedger::open_page() {
  if (pages_.empty() || pages_.back().page != page_) {
    pages_.emplace_back().page = page_;
    keep_bounds();
  }
  return pages_.back();
}

void CommitLedger::keep_bounds() {
  while (pages_.size() > kMostPages) merge_oldest();
  while (ids_ > kMostIds && pages_.size() > 1) merge_oldest();
  if (ids_ <= kMostIds) return;
  Told& only = pages_.back();
  only.without_id += std::exchange(ids_, 0);
  only.marks.clear();
}

// The first of the two loses its ids, and then is a part of the second.
void CommitLedger::merge_oldest() {
  const Told oldest = std::move(pages_.front());
  pages_.pop_front();
  Told& next = pages_.front();
  ids_ -= oldest.marks.size();
  next.without_id += oldest.without_id + oldest.marks.size();
}

CommitLedger::Page CommitLedger::turn_page() {
  const std::lock_guard lock(mutex_);
  return page_++;
}

void CommitLedger::stood_at(Page page, std::uint32_t timeline, Lsn position) {
  const std::lock_guard lock(mutex_);
  if (timeline != timeline_) return;
  for (Told& told : pages_) {
    if (told.page <= page && !told.before) told.before = position;
  }
}

CommitLedger::Account CommitLedger::primary_is(std::uint32_t timeline,
                                               const std::vector<TimelineSwitch>& history) {
  const std::lock_guard lock(mutex_);
  Account account;
  if (timeline == timeline_) return account;
  account.timeline = std::exchange(timeline_, timeline);
  if (account.timeline == 0) return account;
  const auto left = std::ranges::find(history, account.timeline, &TimelineSwitch::timeline);
  if (left != history.end()) account.left_at = left->at;
  for (const Told& told : std::exchange(pages_, {})) {
    if (account.left_at && told.before && *told.before <= *account.left_at) continue;
    account.unclear += told.without_id;
    for (const Mark& mark : told.marks) {
      if (!account.left_at) {
        ++account.unclear;
      } else if (mark.at > *account.left_at) {
        ++account.lost;
      } else {
        account.ids.push_back(mark.id);
      }
    }
  }
  ids_ = 0;
  return account;
}

// "In progress" is what was prepared, and is there: all else of the old primary's ended with it.
std::string CommitLedger::question(const std::vector<std::uint64_t>& ids) {
  std::string sql =
      "SELECT count(*) FILTER (WHERE status = 'aborted'), count(*) FILTER (WHERE status IS NULL) FROM "
      "(SELECT pg_catalog.txid_status(id) AS status FROM pg_catalog.unnest('{";
  for (const std::uint64_t id : ids) {
    if (sql.back() != '{') sql += ',';
    sql += std::to_string(id);
  }
  return sql += "}'::bigint[]) AS id) AS told";
}

std::optional<CommitLedger::Missing> CommitLedger::read(const QueryRow& row) {
  Missing missing;
  std::uint64_t* const counts[] = {&missing.lost, &missing.unclear};
  if (row.size() != std::size(counts)) return std::nullopt;
  for (std::size_t column = 0; column < row.size(); ++column) {
    if (!row[column]) return std::nullopt;
    const std::string_view text = *row[column];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *counts[column]);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  }
  return missing;
}

}  // namespace understudy::proxy
