#include "replayer/condition_scope.h"

#include <algorithm>
#include <cstdio>

#include "replayer/show/session_survey.h"

namespace understudy::replayer {
namespace {

SessionTotals totals_of_tally(const SessionTally& tally) {
  SessionTotals totals;
  totals.first_time = tally.first_time();
  totals.last_time = tally.last_time();
  totals.bytes = tally.bytes(Direction::kFromClient) + tally.bytes(Direction::kFromServer);
  totals.gaps = tally.gaps() > 0 ? tally.gaps() : (tally.has_hole() ? 1 : 0);
  return totals;
}

}  // namespace

// The sessions that are meant.
class ConditionScope::Chooser final : public StatementSink {
 public:
  Chooser(const ConditionScope& scope, const StatementCatalog& catalog) : scope_(scope), catalog_(catalog) {}

  void done(const ScannedSession& session, const Statement& statement) override {
    if (scope_.fulfils(session, statement, catalog_)) chosen.insert(session.descriptor.id);
  }
  void ended(const ScannedSession& session) override {
    if (session.tally.requests() == 0 && scope_.fulfils(session)) chosen.insert(session.descriptor.id);
  }

  SessionSet chosen;

 private:
  const ConditionScope& scope_;
  const StatementCatalog& catalog_;
};

ConditionScope::ConditionScope(const Recording& recording, const std::string& text) : recording_(recording) {
  if (text.empty()) return;
  try {
    condition_.emplace(text, recording.time_range().first);
  } catch (const ConditionError& error) {
    throw std::invalid_argument(std::string("--where, ") + error.what());
  }
  if (condition_->asks_for_totals()) read_totals();
}

void ConditionScope::read_totals() {
  (void)SessionSurvey(recording_, {}, [this](const SurveyedSession& session) {
    totals_.emplace(session.descriptor.id, totals_of_tally(session.tally));
    return true;
  }).run();
}

const SessionTotals* ConditionScope::totals_of(SessionId session) const {
  const auto found = totals_.find(session);
  return found == totals_.end() ? nullptr : &found->second;
}

bool ConditionScope::holds(const ScannedSession& session, const Statement& statement,
                           const StatementCatalog& catalog) const {
  return note(fulfils(session, statement, catalog));
}

bool ConditionScope::fulfils(const ScannedSession& session, const Statement& statement,
                             const StatementCatalog& catalog) const {
  if (!condition_) return true;
  const std::uint64_t fingerprint =
      condition_->asks_for_fingerprints() ? catalog.fingerprint(statement.id()) : 0;
  return condition_->holds({session.descriptor, totals_of(session.descriptor.id), &statement, fingerprint});
}

bool ConditionScope::holds(const ScannedSession& ended) const { return note(fulfils(ended)); }

bool ConditionScope::fulfils(const ScannedSession& ended) const {
  if (!condition_) return true;
  const SessionTotals totals = totals_of_tally(ended.tally);
  return condition_->holds({ended.descriptor, &totals, nullptr, 0});
}

bool ConditionScope::means(const SessionDescriptor& session) {
  if (!condition_) return true;
  if (!condition_->asks_for_statements()) {
    return note(condition_->holds({session, totals_of(session.id), nullptr, 0}));
  }
  prepare();
  return note(chosen_->contains(session.id));
}

void ConditionScope::prepare() {
  if (condition_ && condition_->asks_for_statements() && !chosen_) choose_sessions();
}

void ConditionScope::choose_sessions() {
  StatementCatalog catalog(kMostStatements);
  Chooser chooser(*this, catalog);
  StatementScan(catalog, chooser).run(recording_);
  chosen_ = std::move(chooser.chosen);
}

void tell_if_unmatched(const char* command, const ConditionScope& scope) {
  if (scope.unmatched()) std::fprintf(stderr, "understudy %s: --where: nothing matched\n", command);
}

}  // namespace understudy::replayer
