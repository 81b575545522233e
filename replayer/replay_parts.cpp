#include "replayer/replay_parts.h"

#include <algorithm>

namespace understudy::replayer {

ReplayParts::ReplayParts(const Recording& recording, Target& target,
                         const std::vector<proxy::Worker*>& workers, const ReplayOptions& options,
                         std::function<void()> done)
    : done_(std::move(done)),
      ensemble_(static_cast<unsigned>(workers.size())),
      monitor_(target.connection()),
      playing_(workers.size()) {
  for (unsigned i = 0; i < workers.size(); ++i) {
    const ReplayPart part{i, ensemble_, monitor_};
    parts_.push_back(std::make_unique<Replay>(recording, target, *workers[i], options, part,
                                              [this, i] { part_done(*parts_[i]); }));
  }
}

void ReplayParts::part_done(const Replay& part) {
  if (!part.result().failure.empty()) stop();
  if (--playing_ > 0) return;
  monitor_.stop();  // it brings its answers to loops that will soon be gone
  done_();
}

void ReplayParts::start() {
  for (const auto& part : parts_) part->start();
}

void ReplayParts::stop() {
  for (const auto& part : parts_) part->stop();
}

void ReplayParts::abandon() {
  for (const auto& part : parts_) part->abandon();
}

ReplayParts::Progress ReplayParts::progress() const {
  Progress sum;
  for (const auto& part : parts_) {
    const ReplayProgress& its = part->progress();
    sum.exchanges += its.exchanges.load();
    sum.sessions_open += its.sessions_open.load();
    sum.rescues += its.rescues.load();
    sum.recorded_at = std::max(sum.recorded_at, its.recorded_at.load());
    sum.server_slower = std::max(sum.server_slower, its.server_slower.load());
    sum.replayer_late = std::max(sum.replayer_late, its.replayer_late.load());
  }
  return sum;
}

ReplayResult ReplayParts::result() const {
  ReplayResult all = parts_.front()->result();
  for (std::size_t i = 1; i < parts_.size(); ++i) all.add(parts_[i]->result());
  return all;
}

}  // namespace understudy::replayer
