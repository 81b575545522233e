// Continuity of a session that holds what cannot move (temporary tables, session-level advisory locks,
// cursors WITH HOLD): when it may have let go of it the server is asked whether anything is left. A DROP
// TABLE does not say which table it found, an unlock not how often the lock was taken; the server knows.
// Likewise behind DO and CALL, which may have made such things out of sight.
//
// Asked right behind the request, outside of a transaction, in the same breath; nothing of the client's comes
// between the two.
#include <algorithm>
#include <iterator>

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
  if (kinds == 0 || !limits_.asks) return;
  std::string sql;
  for (std::size_t kind = 0; kind < kHeldKinds; ++kind) {
    if ((kinds >> kind & 1U) == 0) continue;
    sql += sql.empty() ? "SELECT " : ", ";
    sql += kIsThere[kind];
  }
  ask(inserted_, sql);
  requests_.back().asks_held = static_cast<std::uint8_t>(kinds);
  asking_held_ = true;
}

void Continuity::take_held(ByteView payload) {
  const auto row = wire::DataRow::decode(payload);
  if (!row || status_ != 'I') return;
  const unsigned asked = requests_.front().asks_held;
  unsigned gone = 0;
  unsigned there = 0;
  std::size_t kind = 0;
  for (const wire::Value& value : row->columns) {
    while (kind < kHeldKinds && (asked >> kind & 1U) == 0) ++kind;
    (value.text() == "f" ? gone : there) |= 1U << kind;
    ++kind;
  }
  history_.let_go(static_cast<std::uint8_t>(gone & asked));
  history_.found(static_cast<std::uint8_t>(there & asked));
}

bool Continuity::is_asking() const {
  return std::any_of(requests_.begin(), requests_.end(), [](const OpenRequest& one) { return one.own; });
}

}  // namespace understudy::proxy
