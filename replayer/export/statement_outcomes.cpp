#include "replayer/export/statement_outcomes.h"

#include <algorithm>

#include "formats/wire/message_types.h"

namespace understudy::replayer {
namespace {

using Fate = StatementOutcome::Fate;
using Kind = TrackedRequest::Kind;
using End = TrackedRequest::End;

constexpr std::size_t kMostTypes = 100'000;  // of statements that are described and never run

bool ends_transaction(const std::string& tag) {
  return tag == "COMMIT" || tag == "ROLLBACK" || tag == "PREPARE TRANSACTION";
}

bool controls_transaction(const std::string& tag) {
  return ends_transaction(tag) || tag == "BEGIN" || tag == "START TRANSACTION" || tag == "SAVEPOINT" ||
         tag == "RELEASE";
}

bool is_statement(const TrackedRequest& request) {
  return request.kind == Kind::kQuery || request.kind == Kind::kExecute ||
         request.kind == Kind::kFunctionCall;
}

StatementOutcome outcome_of(TrackedRequest& request) {
  StatementOutcome outcome;
  switch (request.end) {
    case End::kDone:
      outcome.fate = Fate::kRun;
      break;
    case End::kFailed:
      outcome.fate = Fate::kFailed;
      break;
    case End::kSkipped:
      outcome.fate = Fate::kSkipped;
      break;
    case End::kUnknown:
      break;
  }
  outcome.tags = std::move(request.tags);
  outcome.effective = outcome.tags.size();
  outcome.copies_in = request.copies_in;
  if (request.binary_copy && request.copies_in > 0) outcome.copy_trouble = "its COPY data is binary";
  outcome.sqlstate = std::move(request.sqlstate);
  outcome.error = std::move(request.error);
  return outcome;
}

// The exchange failed outside a transaction block: what it did since the last COMMIT or ROLLBACK in it, or
// since it began, is undone.
void undo(std::vector<StatementOutcome>& outcomes) {
  bool lasts = false;
  for (auto outcome = outcomes.rbegin(); outcome != outcomes.rend(); ++outcome) {
    while (!lasts && outcome->effective > 0) {
      lasts = ends_transaction(outcome->tags[outcome->effective - 1]);
      if (!lasts) --outcome->effective;
    }
    if (outcome->fate == Fate::kRun && outcome->effective == 0) outcome->fate = Fate::kUndone;
  }
}

// A pipeline outside a transaction block is one transaction ("Pipelining").
void mark_block(std::vector<StatementOutcome>& outcomes) {
  if (outcomes.size() < 2) return;
  for (const StatementOutcome& outcome : outcomes) {
    if (std::any_of(outcome.tags.begin(), outcome.tags.end(), controls_transaction)) return;
  }
  outcomes.front().begins_block = true;
  outcomes.back().ends_block = true;
}

}  // namespace

StatementOutcomes::StatementOutcomes(const Recording& recording, const SessionSummary& session)
    : messages_(recording, session) {
  messages_.begin_between_transactions();
}

StatementOutcome StatementOutcomes::next() {
  while (ready_.empty() && read_on()) {
  }
  if (ready_.empty()) return {};
  StatementOutcome outcome = std::move(ready_.front());
  ready_.pop_front();
  return outcome;
}

bool StatementOutcomes::parsed(std::uint64_t number) {
  while (parses_over_ < number && read_on()) {
  }
  parses_failed_.erase(parses_failed_.begin(), parses_failed_.lower_bound(number));
  return number <= parses_over_ && !parses_failed_.contains(number);
}

std::vector<std::uint32_t> StatementOutcomes::take_types(std::uint64_t number) {
  const auto found = types_.find(number);
  if (found == types_.end()) return {};
  std::vector<std::uint32_t> types = std::move(found->second);
  types_.erase(found);
  return types;
}

bool StatementOutcomes::read_on() {
  if (finished_) return false;
  const SessionItem* const item = messages_.next();
  if (item == nullptr) {
    finished_ = true;
    tracker_.finish();
    take_ended();
    // An error without a ReadyForQuery behind it ended the session, and undid what was going on. Else nothing
    // is known of it.
    const bool failed = std::any_of(exchange_.begin(), exchange_.end(),
                                    [](const TrackedRequest& one) { return one.end == End::kFailed; });
    for (TrackedRequest& request : exchange_) request.end = failed ? request.end : End::kUnknown;
    end_exchange('I');
    return true;
  }
  if (item->is_message) follow(*item);
  return true;
}

void StatementOutcomes::follow(const SessionItem& item) {
  if (item.direction == Direction::kFromServer) {
    tracker_.server(item.message);
  } else {
    std::string unused;
    const char type = item.message.type;
    if (type == wire::frontend::kCopyData) {
      copy_.feed(item.message.payload, unused);
      if (item.message.truncated) copy_trouble_ = "its COPY data comes in too large pieces";
      if (copy_trouble_.empty()) copy_trouble_ = copy_.trouble();
    } else if (type == wire::frontend::kCopyDone || type == wire::frontend::kCopyFail) {
      copy_.finish(unused);
    }
    tracker_.client(item.message);
  }
  take_ended();
}

void StatementOutcomes::take_ended() {
  for (std::deque<TrackedRequest>& ended = tracker_.ended(); !ended.empty(); ended.pop_front()) {
    TrackedRequest& request = ended.front();
    if (request.kind == Kind::kParse) {
      parses_over_ = request.parse_number;
      if (request.end != End::kDone) parses_failed_.insert(request.parse_number);
    } else if (request.kind == Kind::kDescribeStatement) {
      if (types_.size() >= kMostTypes) types_.erase(types_.begin());
      types_[request.parse_number] = std::move(request.parameter_types);
    }
    const bool failed = request.end == End::kFailed;
    const bool over = request.ends_exchange() && request.status != 0;
    const char status = request.status;
    // Of the others only a failure matters here.
    if (is_statement(request) || failed) exchange_.push_back(std::move(request));
    if (over) end_exchange(status);
  }
}

void StatementOutcomes::end_exchange(char status) {
  bool failed = false;
  bool pipeline = true;
  std::vector<StatementOutcome> outcomes;
  for (TrackedRequest& request : exchange_) {
    failed = failed || request.end == End::kFailed;
    pipeline = pipeline && request.kind == Kind::kExecute;
    if (!is_statement(request)) continue;
    outcomes.push_back(outcome_of(request));
    if (outcomes.back().copies_in > 0 && outcomes.back().copy_trouble.empty())
      outcomes.back().copy_trouble = copy_trouble_;
  }
  if (failed && status == 'I') undo(outcomes);
  if (!failed && pipeline && status_ == 'I' && status == 'I' && !finished_) mark_block(outcomes);
  std::move(outcomes.begin(), outcomes.end(), std::back_inserter(ready_));
  exchange_.clear();
  copy_trouble_.clear();
  status_ = status;
}

}  // namespace understudy::replayer
