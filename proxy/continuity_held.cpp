// Continuity of a session that holds what cannot move (temporary tables, session-level advisory locks,
// cursors WITH HOLD): when it may have let go of it the server is asked whether anything is left. A DROP
// TABLE does not say which table it found, an unlock not how often the lock was taken; the server knows.
// Likewise behind DO and CALL, which may have made such things out of sight; and settings, which are learned
// (unseen_settings.h). What was SET LOCAL is over by then.
//
// Asked right behind the request, outside of a transaction, in the same breath; nothing of the client's comes
// between the two.
#include <algorithm>
#include <iterator>
#include <optional>

#include "formats/wire/backend_builders.h"
#include "formats/wire/backend_messages.h"
#include "proxy/continuity.h"

namespace understudy::proxy {
namespace {

// By kind, in the order of their bits: is there one? (All that is in a schema depends on it.)
constexpr std::string_view kIsThere[] = {
    "EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) "
    "'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid OPERATOR(pg_catalog.=) "
    "pg_catalog.pg_my_temp_schema())",
    "EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid "
    "OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())",
    "EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)"};
static_assert(std::size(kIsThere) == kHeldKinds);

}  // namespace

void Continuity::ask_what_is_held() {
  unsigned held = history_.held();
  for (const OpenRequest& request : requests_) {
    for (std::size_t at = request.next_due; at < request.due.size(); ++at)
      held |= request.due[at].effect.holds;
  }
  unsigned kinds = std::exchange(released_, std::uint8_t{0}) & held;
  kinds |= std::exchange(unseen_, std::uint8_t{0});
  std::string sought = std::exchange(sought_, {});
  if (kinds == 0 || !limits_.asks) return;
  std::string sql;
  for (std::size_t kind = 0; kind < kHeldKinds; ++kind) {
    if ((kinds >> kind & 1U) == 0) continue;
    sql += sql.empty() ? "SELECT " : ", ";
    sql += kIsThere[kind];
  }
  if ((kinds & kUnseenSettings) != 0) {
    sql += sql.empty() ? "SELECT " : ", ";
    sql += kSettingColumns;
    std::string names = sought;
    history_.seek_settings(names);
    sql += from_settings(names);
  }
  ask(inserted_, sql);
  requests_.back().asks_held = static_cast<std::uint8_t>(kinds);
  requests_.back().sought = std::move(sought);
  asking_held_ = true;
}

// One row, or one for each setting.
void Continuity::take_held(ByteView payload) {
  const auto row = wire::DataRow::decode(payload);
  if (!row) return;
  const unsigned asked = requests_.front().asks_held & kHeldAnything;
  std::size_t kind = 0;
  std::vector<std::optional<std::string_view>> setting;
  for (const wire::Value& value : row->columns) {
    while (kind < kHeldKinds && (asked >> kind & 1U) == 0) ++kind;
    if (kind < kHeldKinds) {
      std::uint8_t& answer = value.text() == "f" ? gone_ : there_;
      answer = static_cast<std::uint8_t>(answer | (1U << kind));
      ++kind;
    } else {
      setting.push_back(value.is_null ? std::nullopt : std::optional(value.text()));
    }
  }
  // More than the bound makes the session's history too long, however much more it is.
  if (setting.size() != 2 || !setting[0] || learned_bytes_ > limits_.history_bytes) return;
  LearnedSetting learned = read_setting(*setting[0], setting[1] ? &*setting[1] : nullptr);
  if (learned.name.empty()) return;
  if (learned.name == kCodeSets) {
    code_sets_ = true;
    return;
  }
  learned_bytes_ += learned.name.size() + learned.text.size();
  learned_.push_back(std::move(learned));
}

void Continuity::held_answered(const OpenRequest& own, std::string_view error) {
  asking_held_ = false;
  confirm();
  const std::vector<LearnedSetting> learned = std::exchange(learned_, {});
  const std::uint8_t gone = std::exchange(gone_, std::uint8_t{0});
  const std::uint8_t there = std::exchange(there_, std::uint8_t{0});
  const bool sets = std::exchange(code_sets_, false);
  learned_bytes_ = 0;
  if (status_ == 'I' && error.empty()) {
    unanswered_ = 0;
    history_.let_go(gone);
    history_.found(there);
    using News = SessionHistory::News;
    const News news = history_.learn(learned, user_);
    if (sets || news != News::kPerhaps) procedures_.answered(own.sought, sets || news == News::kSome);
    return;
  }
  // In a transaction after all, or a cancel that was meant for the client's statement, or a conflict with
  // another transaction: again at its end, or behind what comes next.
  constexpr std::string_view kCancelled = "57014";
  constexpr std::string_view kRollback = "40";
  constexpr unsigned kMostUnanswered = 3;
  const bool passes = error == kCancelled || error.starts_with(kRollback);
  if (status_ == 'I' && (!passes || ++unanswered_ >= kMostUnanswered)) {
    unanswered_ = 0;
    return history_.pin("what DO or CALL left, of which the server tells nothing (SQLSTATE " +
                        std::string(error) + ")");
  }
  unseen_ |= own.asks_held;
  seek_also(sought_, own.sought);
}

// The request now being answered has such a question behind it.
bool Continuity::awaits_settings() const {
  if (stage_ != Stage::kRelaying || requests_.size() < 2) return false;
  const auto front = requests_.begin();
  return !front->own && !front->wrapped && (std::next(front)->asks_held & kUnseenSettings) != 0;
}

void Continuity::confirm() {
  if (!unconfirmed_) return;
  Unconfirmed confirmed = std::move(*unconfirmed_);
  unconfirmed_.reset();
  wire::append_ready_for_query(release_, static_cast<wire::TransactionStatus>(confirmed.status));
  count(release_);
  requests_.push_front(std::move(confirmed.request));
  request_answered(confirmed.status);
}

bool Continuity::is_asking() const {
  return std::any_of(requests_.begin(), requests_.end(), [](const OpenRequest& one) { return one.own; });
}

}  // namespace understudy::proxy
