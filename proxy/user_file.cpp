#include "proxy/user_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace understudy::proxy {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

void skip_blanks(std::string_view& line) {
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
}

// "text", with "" for a quote in it. Nothing when the line does not go on so.
std::optional<std::string> take_quoted(std::string_view& line) {
  skip_blanks(line);
  if (line.empty() || line.front() != '"') return std::nullopt;
  std::string out;
  for (std::size_t i = 1; i < line.size(); ++i) {
    if (line[i] != '"') {
      out += line[i];
    } else if (i + 1 < line.size() && line[i + 1] == '"') {
      out += line[i++];
    } else {
      line.remove_prefix(i + 1);
      return out;
    }
  }
  return std::nullopt;
}

bool is_md5(std::string_view text) {
  return text.size() == 35 && text.starts_with("md5") &&
         text.find_first_not_of("0123456789abcdef", 3) == std::string_view::npos;
}

}  // namespace

UserSecret parse_user_secret(std::string_view user, std::string_view text) {
  UserSecret secret;
  secret.scram = ScramSecret::parse(text);
  if (secret.scram) return secret;
  (is_md5(text) ? secret.md5 : secret.password) = text;
  if (!secret.password.empty()) secret.scram_of_password = ScramSecret::for_user(user, secret.password);
  return secret;
}

UserFile UserFile::parse(std::string_view text, const std::string& name) {
  UserFile file;
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    skip_blanks(line);
    if (line.empty() || line.front() == ';' || line.front() == '#') continue;
    const auto user = take_quoted(line);
    const auto secret = user ? take_quoted(line) : std::nullopt;
    const std::string where = name + ":" + std::to_string(number) + ": ";
    // The rest of a line is left alone, as pgbouncer leaves it.
    if (!user || !secret) throw std::runtime_error(where + "expected \"user\" \"password\"");
    if (user->empty()) throw std::runtime_error(where + "the user's name is empty");
    if (!file.users_.emplace(*user, parse_user_secret(*user, *secret)).second)
      throw std::runtime_error(where + "user \"" + *user + "\" was given before");
  }
  return file;
}

UserFile UserFile::read(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad()) throw std::runtime_error(path + ": " + std::strerror(errno));
  return parse(text, path);
}

const UserSecret* UserFile::find(const std::string& user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? nullptr : &found->second;
}

}  // namespace understudy::proxy
