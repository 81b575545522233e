#include "replayer/idle_moment.h"

#include <algorithm>
#include <array>
#include <utility>

#include "replayer/message_splitter.h"

namespace understudy::replayer {
namespace {

// As the end of a piece these bytes are nothing else.
bool ends_idle(ByteView piece) {
  static constexpr std::array<Byte, 6> kIdle = {'Z', 0, 0, 0, 5, 'I'};
  return piece.size() >= kIdle.size() && std::equal(kIdle.begin(), kIdle.end(), piece.end() - kIdle.size());
}

}  // namespace

bool FirstIdleMoment::take(const Event& event) {
  if (!std::exchange(begun_, true)) reached_ = event.kind == EventKind::kOpened;
  if (reached_) return true;
  if (event.kind == EventKind::kServerBytes) {
    idle_ = ends_idle(event.data);
  } else if (event.kind == EventKind::kClientBytes) {
    reached_ = idle_ && is_whole_messages(Direction::kFromClient, event.data);
    idle_ = false;
  }
  return reached_;
}

}  // namespace understudy::replayer
