#include "replayer/replay.h"

#include <algorithm>
#include <cstring>

#include "formats/command.h"
#include "proxy/clock.h"
#include "replayer/recording_lookup.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxLoginErrors = 20;
// Of a session that the target closed, so much is looked through for what is left of it.
constexpr int kLookThrough = 1000;
// What the proxy says of a login that did not reach its server.
constexpr const char* kUnreached = "08001 ";

}  // namespace

Replay::Replay(const Recording& recording, Target& target, proxy::Worker& worker,
               const ReplayOptions& options, const ReplayPart& part, std::function<void()> done)
    : recording_(recording),
      target_(target),
      worker_(worker),
      options_(options),
      done_(std::move(done)),
      part_(part),
      stall_wait_(kFirstStall) {
  const auto [first, last] = recording.time_range();
  recorded_start_ = std::max(first, options.from);
  result_.recorded_span = std::max<TimeNs>(0, std::min(last, options.until) - recorded_start_);
  part_.ensemble.join(part_.index, [this] {
    worker_.loop().post([this] {
      if (wall_start_ != 0) advance();  // else it begins soon
    });
  });
  if (options_.order != Order::kCausal) {
    directory_.emplace(recording, part.index, part.ensemble.size());
    return;
  }
  const auto read_tables = [this](const std::string& database) { return target_.read_tables(database); };
  reader_.emplace(recording_, options_, read_tables);
}

Replay::~Replay() = default;

void Replay::start() {
  worker_.loop().post([this] {
    wall_start_ = last_progress_ = proxy::now_ns();
    part_.ensemble.progressed(part_.index, last_progress_);
    watch();
    release_idle();
    advance();
  });
}

void Replay::stop() {
  worker_.loop().post([this] {
    result_.stopped = true;
    finish();
  });
}

void Replay::abandon() {
  worker_.loop().post([this] {
    result_.stopped = true;
    if (!finished_) end();
  });
}

// Ends all sessions; what they run is cancelled, so that nobody waits for it.
void Replay::finish() {
  stopping_ = true;
  std::erase_if(actors_, [this](const auto& entry) {
    if (!entry.second->started()) snapshots_.answered(entry.second->unanswered, UINT64_MAX);
    return !entry.second->started();
  });
  for (const auto& [id, actor] : actors_) {
    if (!actor->open()) continue;
    cancel_again(id, actor->answered(), 0);
    actor->hang_up();
  }
  advance();
}

void Replay::fail(const std::string& why) {
  if (!result_.failure.empty()) return;
  result_.failure = why;
  worker_.loop().post([this] { finish(); });
}

void Replay::progressed(TranscriptClient& client) {
  auto& actor = static_cast<Actor&>(client);
  last_progress_ = proxy::now_ns();
  part_.ensemble.progressed(part_.index, last_progress_);
  stall_wait_ = kFirstStall;
  if (!actor.known && actor.process_id() != 0) {
    actor.known = true;
    part_.ensemble.add_process(actor.process_id());
  }
  if (!actor.counted && actor.logged_in()) {
    actor.counted = true;
    part_.ensemble.logged_in();
  }
  make_ready(actor);
  advance();
}

void Replay::ended(TranscriptClient& client) {
  auto& actor = static_cast<Actor&>(client);
  last_progress_ = proxy::now_ns();
  part_.ensemble.progressed(part_.index, last_progress_);
  if (actor.known) part_.ensemble.remove_process(actor.process_id());
  progress_.sessions_open.fetch_sub(1, std::memory_order_relaxed);
  if (actor.leaving) --leaving_;
  ready_.insert(ready_.end(), waiting_to_open_.begin(), waiting_to_open_.end());
  waiting_to_open_.clear();
  try {
    count_end(actor);
    look_for_target(actor);
  } catch (const std::exception& error) {
    fail(error.what());
  }
  drop_queue(actor);
  const bool undecided = cut_short_.contains(actor.id) || refused_.contains(actor.id);
  if (reader_ && !actor.over && !undecided) reader_->leave(actor.id);
  // The client is on the stack below; it goes after this turn.
  worker_.loop().defer([this, id = actor.id] {
    actors_.erase(id);
    advance();
  });
}

void Replay::count_end(Actor& actor) {
  result_.cancels_late += actor.read.late_cancels;
  if (actor.logged_in()) {
    result_.exchanges += actor.mark().ready_count - 1;
    if (!actor.hung_up() && !actor.terminated && !stopping_ && had_more_to_say(actor))
      ++result_.sessions_ended_early;
    return;
  }
  if (stopping_) return;
  if (actor.not_admitted()) {
    ++result_.sessions_not_admitted;
  } else if (reader_ && !actor.over && !actor.read.logged_in) {
    refused_[actor.id] = actor.login_error();
  } else {
    count_failed_login(actor.login_error());
  }
}

void Replay::count_failed_login(const std::string& why) {
  ++result_.sessions_failed;
  const std::string key = why.empty() ? "closed without a word" : why;
  if (result_.login_errors.contains(key) || result_.login_errors.size() < kMaxLoginErrors)
    ++result_.login_errors[key];
}

// A session is over: what it tells of the target. While that is gone nothing can be played; what is still to
// come would only be counted as failed.
void Replay::look_for_target(const Actor& actor) {
  if (actor.counted) return part_.ensemble.left();
  const std::string& error = actor.login_error();
  if (stopping_ || error.empty()) return;
  if (!error.starts_with(kUnreached)) return part_.ensemble.refused();
  const TimeNs missed = part_.ensemble.missed(last_progress_);
  if (options_.target_timeout == 0 || missed < options_.target_timeout) return;
  fail("the target " + target_.address().to_string() + " is gone: no session is connected, and for " +
       format_duration(missed) + " no login has reached it (" + error.substr(std::strlen(kUnreached)) +
       "). The replay ended after " + format_duration(played_span()) + " of " +
       format_duration(result_.recorded_span) +
       " of recorded time. Start the target, with the data it began with, and replay again; "
       "--target-timeout 0 goes on without it");
}

// The target has closed the session: whether the recorded one went on, to be left by its client. In causal
// order it may be told later, when what comes next of the session has been read.
bool Replay::had_more_to_say(Actor& actor) {
  for (const Step& step : actor.queue) {
    if (step.kind == Step::Kind::kSend) return true;
    if (step.kind == Step::Kind::kEnd) return step.end == RecordedEnd::kClientLeft;
  }
  if (reader_) {
    cut_short_.insert(actor.id);
    return false;
  }
  for (int i = 0; i < kLookThrough; ++i) {
    const RecordedStep next = actor.recorded->next();
    if (next.kind == RecordedStep::Kind::kSend) return true;
    if (next.kind == RecordedStep::Kind::kEnd) return next.end == RecordedEnd::kClientLeft;
  }
  return true;
}

void Replay::check_finished() {
  if (finished_ || !actors_.empty() || (!stopping_ && !all_read())) return;
  result_.sessions_lost = reader_ ? reader_->lost() : directory_->lost();
  end();
}

TimeNs Replay::played_span() const {
  if (played_until_ <= recorded_start_) return 0;
  return std::min(time_between(recorded_start_, played_until_), result_.recorded_span);
}

void Replay::end() {
  finished_ = true;
  for (const auto& [session, why] : refused_) count_failed_login(why);  // it will not be known
  result_.played_span = played_span();
  result_.wall_time = proxy::now_ns() - wall_start_;
  part_.ensemble.reached(part_.index, INT64_MAX);
  done_();
}

}  // namespace understudy::replayer
