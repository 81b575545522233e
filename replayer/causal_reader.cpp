#include "replayer/causal_reader.h"

#include <algorithm>
#include <utility>

#include "proxy/clock.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kAheadSteps = CausalReader::kAheadSteps;
constexpr std::size_t kAheadBytes = CausalReader::kAheadBytes;
// Reading goes on when so much is free.
constexpr std::size_t kFreeSteps = kAheadSteps / 4;
constexpr std::size_t kFreeBytes = kAheadBytes / 4;
// The player tells of so much at once that it has played.
constexpr std::size_t kReportSteps = kAheadSteps / 8;
constexpr std::size_t kReportBytes = kAheadBytes / 8;
// Handed over at once.
constexpr std::size_t kBatchSteps = CausalReader::kWindowSteps / 8;
constexpr std::size_t kBatchBytes = CausalReader::kWindowBytes / 8;
// A long result is read through in parts, so that what was read is handed over, and requests are heard.
constexpr int kEventsPerTurn = 512;
// Idle sessions pin no decoded chunks; those in use come back from the recording's cache.
constexpr TimeNs kReleaseInterval = 100'000'000;

}  // namespace

CausalReader::CausalReader(const Recording& recording, const ReplayOptions& options,
                           std::function<TargetTables(const std::string&)> read_tables,
                           std::function<void()> wake)
    : recording_(recording),
      options_(options),
      read_tables_(std::move(read_tables)),
      wake_(std::move(wake)),
      directory_(recording),
      released_at_(proxy::now_ns()),
      thread_([this] { run(); }) {}

CausalReader::~CausalReader() {
  stop();
  thread_.join();
}

void CausalReader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  directory_.stop();
}

void CausalReader::run() {
  try {
    while (await_work()) {
      read_ahead();
      batch_.last = merging_ && !read_merged();
      batch_.lost = directory_.lost();
      const bool last = batch_.last;
      hand_over();
      if (last) return;
    }
  } catch (const std::exception& error) {
    batch_.failure = error.what();
    hand_over();
  }
}

// False when reading is to end.
bool CausalReader::await_work() {
  if (proxy::now_ns() - released_at_ >= kReleaseInterval) release();
  std::vector<Request> requests;
  {
    std::unique_lock lock(mutex_);
    const auto work = [this] { return stopped_ || !requests_.empty() || !ahead_.empty() || may_read(); };
    if (!changed_.wait_for(lock, std::chrono::nanoseconds(kReleaseInterval), work)) {
      lock.unlock();
      release();
      lock.lock();
      changed_.wait(lock, work);
    }
    if (stopped_) return false;
    merging_ = may_read();
    requests.swap(requests_);
  }
  obey(requests);
  return true;
}

bool CausalReader::may_read() {
  if (outstanding_.steps >= kAheadSteps || outstanding_.bytes >= kAheadBytes) full_ = true;
  if (outstanding_.steps + kFreeSteps <= kAheadSteps && outstanding_.bytes + kFreeBytes <= kAheadBytes)
    full_ = false;
  return !full_;
}

void CausalReader::obey(const std::vector<Request>& requests) {
  for (const Request& request : requests) {
    if (request.leave) {
      sessions_.erase(request.session);
    } else {
      ahead_.push_back(request.session);
    }
  }
}

void CausalReader::read_ahead() {
  std::erase_if(ahead_, [this](SessionId session) { return read_on_by(session, kEventsPerTurn); });
}

// True when the exchange was read to its end, or as much of it as others can wait for.
bool CausalReader::read_on_by(SessionId id, int events) {
  const std::size_t enough = batch_.items.size() + kBatchSteps;
  for (; events > 0; --events) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return true;
    const Step* const step = read_event(id, *found->second);
    if (step == nullptr) continue;
    if (step->kind == Step::Kind::kEnd || batch_.items.size() >= enough || batch_.bytes >= kBatchBytes)
      return true;
    if (step->kind == Step::Kind::kReply && step->checkpoint.quiescent) return true;
  }
  return false;
}

// False when there is nothing more to read.
bool CausalReader::read_merged() {
  const std::size_t enough = batch_.items.size() + kBatchSteps;
  for (int events = 0; events < kEventsPerTurn; ++events) {
    if (batch_.items.size() >= enough || batch_.bytes >= kBatchBytes) break;
    const auto turn =
        turns_.first([this](SessionId session, TimeNs at_least) { return next_time(session, at_least); });
    const SessionDirectory::Entry* const opening = next_opening();
    if (!turn && opening == nullptr) return false;
    if (opening != nullptr && (!turn || opening->summary.descriptor.opened_at <= turn->time)) {
      open_next();
    } else {
      (void)read_event(turn->session, *sessions_.at(turn->session));
    }
  }
  return true;
}

std::optional<TimeNs> CausalReader::next_time(SessionId session, TimeNs at_least) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return std::nullopt;
  return found->second->recorded.next_turn(at_least);
}

const SessionDirectory::Entry* CausalReader::next_opening() {
  if (opening_ == nullptr && !openings_over_) {
    opening_ = directory_.peek();
    openings_over_ = opening_ == nullptr;
  }
  return opening_;
}

void CausalReader::open_next() {
  opening_ = nullptr;
  auto entry = std::make_unique<const SessionDirectory::Entry>(directory_.take());
  const SessionDescriptor& descriptor = entry->summary.descriptor;
  if (options_.leaves_out(descriptor)) {
    ++batch_.left_out;
    return;
  }
  const SessionId id = descriptor.id;
  auto session = std::make_unique<Session>(recording_, *entry,
                                           statements_of(mapped(options_.databases, descriptor.database())));
  Step open;
  open.kind = Step::Kind::kOpen;
  open.time = descriptor.opened_at;
  open.footprint.login = true;
  session->exchange = open.footprint;
  turns_.add(open.time, id);
  const bool continuing = entry->continuing;
  batch_.items.push_back({id, std::move(open), std::move(entry)});
  Session& placed = *(sessions_[id] = std::move(session));
  if (continuing) (void)queue_step(id, placed, *step_of(placed.recorded.logged_in_before()));
}

// Of that database of the target, whose catalogs are read when it is first met.
StatementFootprints* CausalReader::statements_of(const std::string& database) {
  auto& statements = statements_[database];
  if (!statements) statements = std::make_unique<StatementFootprints>(read_tables_(database));
  return statements.get();
}

// The step that it is, if it is one.
const Step* CausalReader::read_event(SessionId id, Session& session) {
  std::optional<Step> step = step_of(session.recorded.next());
  return step ? queue_step(id, session, std::move(*step)) : nullptr;
}

const Step* CausalReader::queue_step(SessionId id, Session& session, Step step) {
  if (step.kind == Step::Kind::kSend) {
    step.footprint = session.footprints.sent(step.bytes);
    session.exchange.merge(step.footprint);
  } else if (step.kind == Step::Kind::kReply) {
    step.footprint = session.exchange;
    session.footprints.answered(step.checkpoint);
    if (step.checkpoint.quiescent) session.exchange = {};
  } else if (step.kind == Step::Kind::kEnd) {
    step.footprint = session.footprints.leaving();
  }
  const bool over = step.kind == Step::Kind::kEnd;
  batch_.bytes += step.bytes.size();
  batch_.items.push_back({id, std::move(step), nullptr});
  if (over) sessions_.erase(id);
  return &batch_.items.back().step;
}

void CausalReader::hand_over() {
  if (batch_.items.empty() && !batch_.last && batch_.failure.empty()) return;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    outstanding_.steps += batch_.items.size();
    outstanding_.bytes += batch_.bytes;
    ready_.push_back(std::move(batch_));
    wake = !filled_;
    filled_ = true;
  }
  batch_ = {};
  if (wake) wake_();
}

bool CausalReader::take(Batch& batch) {
  if (!filled_) return false;  // spares the player the mutex
  const bool full = held_.steps + kBatchSteps > kWindowSteps || held_.bytes >= kWindowBytes;
  if (full && asked_for_.empty()) return false;
  {
    const std::lock_guard lock(mutex_);
    batch = std::move(ready_.front());
    ready_.pop_front();
    filled_ = !ready_.empty();
  }
  held_.steps += batch.items.size();
  held_.bytes += batch.bytes;
  if (asked_for_.empty()) return true;
  for (const Item& item : batch.items) asked_for_.erase(item.session);
  return true;
}

void CausalReader::played(const Step& step) {
  --held_.steps;
  held_.bytes -= step.bytes.size();
  ++unreported_.steps;
  unreported_.bytes += step.bytes.size();
  if (held_.steps == 0 || unreported_.steps >= kReportSteps || unreported_.bytes >= kReportBytes) report();
}

void CausalReader::report() {
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    outstanding_.steps -= unreported_.steps;
    outstanding_.bytes -= unreported_.bytes;
    room = full_ && may_read();
  }
  unreported_ = {};
  if (room) changed_.notify_one();
}

void CausalReader::read_on(SessionId session) {
  asked_for_.insert(session);
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back({session, false});
  }
  changed_.notify_one();
}

void CausalReader::leave(SessionId session) {
  asked_for_.erase(session);
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back({session, true});
  }
  changed_.notify_one();
}

void CausalReader::release() {
  for (const auto& [id, session] : sessions_) session->recorded.release();
  released_at_ = proxy::now_ns();
}

}  // namespace understudy::replayer
