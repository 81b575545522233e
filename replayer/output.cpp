#include "replayer/output.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

namespace understudy::replayer {

Output::Output() : file_(stdout) {
  // So that a closed pipe is an error of write() whoever started us, not a signal.
  std::signal(SIGPIPE, SIG_IGN);
}

Output::Output(const std::string& path) : file_(std::fopen(path.c_str(), "w")), name_(path) {
  if (file_ == nullptr) throw std::runtime_error(path + ": cannot be written: " + std::strerror(errno));
}

Output::~Output() {
  if (!name_.empty()) std::fclose(file_);
}

void Output::fail() {
  closed_ = errno == EPIPE;
  if (closed_ && goes_on_) return;
  if (closed_) throw OutputClosed{};
  throw std::runtime_error((name_.empty() ? "standard output" : name_) +
                           ": cannot be written: " + std::strerror(errno));
}

void Output::write(std::string_view text) {
  if (closed_) return;
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail();
}

void Output::finish() {
  if (closed_) return;
  if (std::fflush(file_) != 0) fail();
}

bool Output::is_terminal() const { return isatty(fileno(file_)) == 1; }

}  // namespace understudy::replayer
