#include "proxy/process_usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace understudy::proxy {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// In clock ticks since the system started: the 22nd field of stat, behind a name that may contain anything.
double start_ticks() {
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22 && fields >> field; ++number) continue;
  return std::strtod(field.c_str(), nullptr);
}

double system_start() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    if (word == "btime" && file >> word) return std::strtod(word.c_str(), nullptr);
  }
  return 0;
}

double started_at() {
  const double system = system_start();
  const long ticks_a_second = sysconf(_SC_CLK_TCK);
  return system == 0 || ticks_a_second <= 0 ? 0
                                            : system + start_ticks() / static_cast<double>(ticks_a_second);
}

}  // namespace

ProcessUsage process_usage() {
  ProcessUsage usage;
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::ifstream memory("/proc/self/statm");
  if (memory >> usage.virtual_bytes >> usage.resident_bytes) {
    usage.virtual_bytes *= page;
    usage.resident_bytes *= page;
  }
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) == 0) {
    usage.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  }
  static const double began = started_at();
  usage.started_at = began;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
       at.increment(error)) {
    ++usage.open_descriptors;
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.descriptor_limit = limit.rlim_cur;
  return usage;
}

}  // namespace understudy::proxy
