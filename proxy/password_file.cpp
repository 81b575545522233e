#include "proxy/password_file.h"

#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "proxy/log.h"

namespace understudy::proxy {
namespace {

// The next field, without its backslashes; `whole` takes what is left, colons and all.
std::string take_field(std::string_view& line, bool whole) {
  std::string field;
  std::size_t at = 0;
  for (; at < line.size() && (whole || line[at] != ':'); ++at) {
    if (line[at] == '\\' && at + 1 < line.size()) ++at;
    field += line[at];
  }
  line.remove_prefix(std::min(at + 1, line.size()));
  return field;
}

}  // namespace

std::optional<std::string> find_password(std::string_view text, const PasswordQuestion& question) {
  const std::string host = question.server.is_unix() ? "localhost" : question.server.host;
  const std::array<std::string, 4> wanted = {host, std::to_string(question.server.port), question.database,
                                             question.user};
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    bool fits = true;
    for (const std::string& value : wanted) {
      const bool any = line.starts_with("*:");
      const std::string field = take_field(line, false);
      fits = fits && (any || field == value);
    }
    std::string password = take_field(line, true);
    if (fits && !password.empty()) return password;
  }
  return std::nullopt;
}

std::string read_password_file() {
  const char* const given = std::getenv("PGPASSFILE");
  const char* const home = std::getenv("HOME");
  if (given == nullptr && home == nullptr) return {};
  const std::string path = given != nullptr ? given : std::string(home) + "/.pgpass";
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    log_event(LogLevel::kWarning, "password_file_ignored",
              {{"file", path}, {"reason", "others may read it"}, {"remedy", "chmod 0600"}});
    return {};
  }
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace understudy::proxy
