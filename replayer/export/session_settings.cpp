#include "replayer/export/session_settings.h"

#include <algorithm>

#include "formats/wire/sql_text.h"

namespace understudy::replayer {
namespace {

// What the server reports and a statement's meaning hangs on. The strings setting comes first: psql reads the
// rest by it.
constexpr std::string_view kReported[] = {"standard_conforming_strings", "client_encoding", "DateStyle",
                                          "IntervalStyle", "TimeZone"};
// Startup parameters that are no settings, or are the script's own business.
constexpr std::string_view kOther[] = {"user", "database", "replication", "options", "application_name"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

bool is_among(std::span<const std::string_view> names, const std::string& name) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view one) { return lower(one) == lower(name); });
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// A value as a startup parameter has it: the whole list of a list setting in one text, which SET would quote.
std::string set(const std::string& name, const std::string& value) {
  return "SELECT pg_catalog.set_config(" + wire::quote_literal(name) + ", " + wire::quote_literal(value) +
         ", false);\n";
}

// Words end at spaces; a backslash takes the next character as it is (PostgreSQL's pg_split_opts).
std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool space = text[i] == ' ' || text[i] == '\t' || text[i] == '\n';
    if (space) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    words.back() += text[i];
  }
  return words;
}

}  // namespace

bool parse_options(std::string_view options, std::vector<std::pair<std::string, std::string>>& out) {
  const std::vector<std::string> words = split_words(options);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string setting = words[i];
    if (setting == "-c" && i + 1 < words.size()) {
      setting = words[++i];
    } else if (setting.starts_with("-c") || setting.starts_with("--")) {
      setting.erase(0, 2);
    } else {
      return false;
    }
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) return false;
    std::string name = setting.substr(0, equals);
    std::replace(name.begin(), name.end(), '-', '_');
    out.emplace_back(std::move(name), setting.substr(equals + 1));
  }
  return true;
}

std::string session_settings(const SessionDescriptor& session,
                             const std::map<std::string, std::string>& reported, bool safe_encoding,
                             std::uint64_t& left_out) {
  std::vector<std::pair<std::string, std::string>> asked = session.startup_parameters;
  if (!parse_options(session.parameter("options"), asked)) ++left_out;
  std::string out;
  for (const std::string_view name : kReported) {
    const auto found = reported.find(std::string(name));
    if (found != reported.end())
      out += "SET " + std::string(name) + " TO " + wire::quote_literal(found->second) + ";\n";
  }
  for (const auto& [name, value] : asked) {
    const bool told = is_among(kReported, name) && !reported.empty();
    if (told || is_among(kOther, name) || name.starts_with("_pq_.")) continue;
    if (safe_encoding || (is_ascii(name) && is_ascii(value))) {
      out += set(name, value);
    } else {
      ++left_out;
    }
  }
  return out;
}

}  // namespace understudy::replayer
