#include "proxy/access_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace understudy::proxy {
namespace {

std::optional<std::vector<Byte>> address_bytes(const std::string& text) {
  std::vector<Byte> bytes(4);
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(16);
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return std::nullopt;
  // An IPv4 address in IPv6's clothes is that IPv4 address.
  constexpr Byte kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::equal(std::begin(kMapped), std::end(kMapped), bytes.begin()))
    bytes.erase(bytes.begin(), bytes.begin() + 12);
  return bytes;
}

// Blanks part fields; "..." holds a field with blanks or commas in it; '#' begins a comment.
std::vector<std::string> split_fields(std::string_view line) {
  std::vector<std::string> fields;
  bool in_field = false;
  bool quoted = false;
  for (const char c : line) {
    const bool blank = c == ' ' || c == '\t' || c == '\r';
    if (!quoted && c == '#') break;
    if (!quoted && blank) {
      in_field = false;
      continue;
    }
    if (!in_field) fields.emplace_back();
    in_field = true;
    if (c == '"') quoted = !quoted;
    fields.back() += c;
  }
  if (quoted) throw std::runtime_error("a quote that is not closed");
  return fields;
}

[[noreturn]] void refuse_name(const RuleName& name) {
  throw std::runtime_error("\"" + name.text + "\": groups, files and regular expressions are not supported");
}

// "ada,\"Bob\"" -> ada, Bob.
std::vector<RuleName> split_names(const std::string& field) {
  std::vector<RuleName> names(1);
  bool quoted = false;
  for (const char c : field) {
    if (c == '"') {
      if (names.back().text.empty()) names.back().quoted = true;
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      names.emplace_back();
    } else {
      names.back().text += c;
    }
  }
  for (const RuleName& name : names) {
    if (name.text.empty()) throw std::runtime_error("an empty name in \"" + field + "\"");
    // PostgreSQL takes a regular expression for one in quotes too.
    const char first = name.text.front();
    if (first == '/' || (!name.quoted && (first == '+' || first == '@'))) refuse_name(name);
  }
  return names;
}

bool is_database_of(const RuleName& name, const Visitor& visitor) {
  if (visitor.replication) return name.is_keyword("replication");
  if (name.is_keyword("all")) return true;
  if (name.is_keyword("sameuser")) return visitor.database == visitor.user;
  return !name.is_keyword("replication") && name.text == visitor.database;
}

}  // namespace

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = address_bytes(std::string(text.substr(0, slash)));
  if (!address) return std::nullopt;
  Network network{*address, static_cast<unsigned>(address->size() * 8)};
  if (slash == std::string_view::npos) return network;
  const std::string_view bits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), network.bits);
  const bool whole = error == std::errc() && end == bits.data() + bits.size();
  return whole && network.bits <= network.address.size() * 8 ? std::optional(network) : std::nullopt;
}

bool Network::contains(const std::vector<Byte>& host) const {
  if (host.size() != address.size()) return false;
  for (unsigned bit = 0; bit < bits; ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if (((host[bit / 8] ^ address[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

std::optional<std::vector<Byte>> peer_address(std::string_view peer) {
  const std::size_t colon = peer.rfind(':');
  if (colon == std::string_view::npos || peer.starts_with("unix")) return std::nullopt;
  std::string_view host = peer.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return address_bytes(std::string(host.substr(0, host.find('%'))));
}

bool is_local_peer(std::string_view peer) {
  const auto address = peer_address(peer);
  if (!address) return peer.starts_with("unix");
  return Network::parse("127.0.0.0/8")->contains(*address) || Network::parse("::1")->contains(*address);
}

// As the server reads a boolean: "true", "yes" and their beginnings, "on", "1".
bool is_physical_replication(std::string_view parameter) {
  std::string word(parameter);
  for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (word.empty()) return false;
  return std::string_view("true").starts_with(word) || std::string_view("yes").starts_with(word) ||
         word == "on" || word == "1";
}

std::optional<AuthenticationMethod> authentication_method_named(std::string_view word) {
  if (word == "trust") return AuthenticationMethod::kTrust;
  if (word == "password" || word == "plain") return AuthenticationMethod::kPassword;
  if (word == "md5") return AuthenticationMethod::kMd5;
  if (word == "scram-sha-256") return AuthenticationMethod::kScram;
  if (word == "reject") return AuthenticationMethod::kReject;
  return std::nullopt;
}

AccessRules AccessRules::parse(std::string_view text, const std::string& name) {
  AccessRules rules;
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    try {
      const std::vector<std::string> fields = split_fields(line);
      if (!fields.empty()) rules.rules_.push_back(parse_rule(fields));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(name + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  return rules;
}

AccessRules::Rule AccessRules::parse_rule(const std::vector<std::string>& fields) {
  Rule rule;
  if (fields[0] == "local") {
    rule.type = Type::kLocal;
  } else if (fields[0] == "host") {
    rule.type = Type::kHost;
  } else if (fields[0] == "hostssl") {
    rule.type = Type::kHostSsl;
  } else if (fields[0] == "hostnossl") {
    rule.type = Type::kHostNoSsl;
  } else {
    throw std::runtime_error("\"" + fields[0] + "\" is none of local, host, hostssl, hostnossl");
  }
  const std::size_t expected = rule.type == Type::kLocal ? 4 : 5;
  if (fields.size() != expected)
    throw std::runtime_error("expected " + std::to_string(expected) + " fields: type, database, user, " +
                             (expected == 5 ? "address, " : "") + "method");
  rule.databases = split_names(fields[1]);
  for (const RuleName& name : rule.databases) {
    if (name.is_keyword("samerole") || name.is_keyword("samegroup")) refuse_name(name);
  }
  rule.users = split_names(fields[2]);
  if (expected == 5 && fields[3] != "all") {
    rule.network = Network::parse(fields[3]);
    if (!rule.network) throw std::runtime_error("\"" + fields[3] + "\" is no network such as 10.0.0.0/8");
  }
  const auto method = authentication_method_named(fields.back());
  if (!method)
    throw std::runtime_error("\"" + fields.back() +
                             "\" is none of trust, password, md5, scram-sha-256, reject");
  rule.method = *method;
  return rule;
}

AccessRules AccessRules::everybody(AuthenticationMethod method) {
  AccessRules rules;
  Rule rule;
  rule.databases = {{"all"}, {"replication"}};
  rule.users = {{"all"}};
  rule.method = method;
  rules.rules_.push_back(std::move(rule));
  return rules;
}

bool AccessRules::fits(const Rule& rule, const Visitor& visitor) {
  const auto address = peer_address(visitor.peer);
  const bool local = !address;
  const bool type_fits = rule.type == Type::kAny || (rule.type == Type::kLocal && local) ||
                         (rule.type == Type::kHost && !local) ||
                         (rule.type == Type::kHostSsl && !local && visitor.tls) ||
                         (rule.type == Type::kHostNoSsl && !local && !visitor.tls);
  if (!type_fits) return false;
  if (rule.network && !(address && rule.network->contains(*address))) return false;
  return std::any_of(rule.databases.begin(), rule.databases.end(),
                     [&](const RuleName& name) { return is_database_of(name, visitor); }) &&
         std::any_of(rule.users.begin(), rule.users.end(), [&](const RuleName& name) {
           return name.is_keyword("all") || name.text == visitor.user;
         });
}

std::optional<AuthenticationMethod> AccessRules::method_for(const Visitor& visitor) const {
  for (const Rule& rule : rules_) {
    if (fits(rule, visitor)) return rule.method;
  }
  return std::nullopt;
}

}  // namespace understudy::proxy
