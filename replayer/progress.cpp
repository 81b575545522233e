#include "replayer/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "proxy/clock.h"

namespace understudy::replayer {
namespace {

constexpr TimeNs kSilence = 2'000'000'000;
constexpr TimeNs kPause = 500'000'000;

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1), next_(proxy::now_ns() + kSilence) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::at(std::uint64_t done, std::uint64_t total) {
  if (!terminal_ || total == 0) return;
  const TimeNs now = proxy::now_ns();
  if (now < next_) return;
  next_ = now + kPause;
  drawn_ = true;
  std::fprintf(stderr, "\r\033[K%3.0f %%",
               100 * static_cast<double>(std::min(done, total)) / static_cast<double>(total));
}

}  // namespace understudy::replayer
