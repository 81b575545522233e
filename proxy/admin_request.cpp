#include "proxy/admin_request.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "formats/bytes.h"
#include "formats/command.h"

namespace understudy::proxy {
namespace {

struct Route {
  std::string_view path;
  AdminEndpoint endpoint;
  bool writes;
  std::string_view parameters = {};  // that its query may have, apart by ", "
};
constexpr Route kRoutes[] = {
    {"/healthz", AdminEndpoint::kHealth, false},
    {"/readyz", AdminEndpoint::kReady, false},
    {"/metrics", AdminEndpoint::kMetrics, false},
    {"/api/v1/backends", AdminEndpoint::kBackends, false},
    {"/api/v1/pools", AdminEndpoint::kPools, false},
    {"/api/v1/sessions", AdminEndpoint::kSessions, false},
    {"/api/v1/failovers", AdminEndpoint::kFailovers, false},
    {"/api/v1/pause", AdminEndpoint::kPause, true, "timeout"},
    {"/api/v1/resume", AdminEndpoint::kResume, true},
    {"/api/v1/reload", AdminEndpoint::kReload, true},
    {"/api/v1/move", AdminEndpoint::kMove, true, "timeout, promote, to"},
    {"/api/v1/record", AdminEndpoint::kRecord, false},
    {"/api/v1/record/start", AdminEndpoint::kRecordStart, true,
     "name, duration, max_size, user, database, application, client, sample"},
    {"/api/v1/record/stop", AdminEndpoint::kRecordStop, true},
    {"/api/v1/record/mark", AdminEndpoint::kRecordMark, true, "text"},
    {"/api/v1/record/save", AdminEndpoint::kRecordSave, true, "name, last"},
};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

// A name that rebinding cannot bring about: an attacker's page has the attacker's name as its host.
bool names_this_machine(std::string_view host) {
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const std::string_view port = host.substr(colon + 1);
    if (!std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
    host = host.substr(0, colon);
  }
  const std::string name = lower(host);
  return name == "localhost" || name == "127.0.0.1" || name == "[::1]";
}

// In a time that depends on neither's content; nor on the token's length.
bool same_secret(std::string_view shown, std::string_view token) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> one{};
  std::array<unsigned char, SHA256_DIGEST_LENGTH> other{};
  SHA256(as_bytes(shown).data(), shown.size(), one.data());
  SHA256(as_bytes(token).data(), token.size(), other.data());
  return CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

bool shows_token(const AdminRequest& request, const std::string& token) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view given = request.authorization;
  if (lower(given.substr(0, kScheme.size())) != kScheme) return false;
  return same_secret(given.substr(kScheme.size()), token);
}

bool is_json(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return lower(type) == "application/json";
}

std::optional<std::string> decoded(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      result += text[at];
      continue;
    }
    unsigned value = 0;
    const std::string_view digits = text.substr(at + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) return std::nullopt;
    result += static_cast<char>(value);
    at += 2;
  }
  return result;
}

std::string_view query_of(std::string_view target) {
  const std::size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

// Takes the next "name=value" off the front.
std::string_view next_of(std::string_view& query) {
  const std::string_view one = query.substr(0, query.find('&'));
  query.remove_prefix(std::min(one.size() + 1, query.size()));
  return one;
}

std::string_view name_of(std::string_view one) { return one.substr(0, one.find('=')); }

bool names(std::string_view list, std::string_view name) {
  constexpr std::string_view kBetween = ", ";
  while (!list.empty()) {
    const std::string_view one = list.substr(0, list.find(kBetween));
    if (one == name) return true;
    list.remove_prefix(std::min(one.size() + kBetween.size(), list.size()));
  }
  return false;
}

AdminVerdict refuse(int status, std::string reason) { return {status, {}, std::move(reason), {}}; }

std::optional<AdminVerdict> refuse_stranger(const AdminRequest& request) {
  if (request.origin || (request.fetch_site && lower(*request.fetch_site) != "none" &&
                         lower(*request.fetch_site) != "same-origin")) {
    return refuse(403, "cross-origin requests change nothing here");
  }
  if (!request.marked && !is_json(request.content_type)) {
    return refuse(415, "expected Content-Type: application/json, or a header X-Understudy");
  }
  return std::nullopt;
}

// A parameter that is misspelt would leave what it says at its default: a pause would wait for another time,
// a recording take everybody in. (What comes behind its name may be secret.)
void refuse_parameters(const Route& route, std::string_view query, AdminVerdict& verdict) {
  constexpr std::size_t kMostShown = 64;
  while (!query.empty()) {
    const std::string_view one = next_of(query);
    const std::string_view name = name_of(one);
    if (one.empty() || names(route.parameters, name)) continue;
    verdict.status = 400;
    verdict.reason = "there is no parameter \"" + std::string(name.substr(0, kMostShown)) + "\"; ";
    verdict.reason += route.parameters.empty() ? "none is known here" : "known here: ";
    verdict.reason += route.parameters;
    return;
  }
}

}  // namespace

AdminVerdict judge(const AdminRequest& request, const AdminRules& rules) {
  if (request.hosts.size() != 1) return refuse(400, "expected one Host header");
  if (rules.loopback && !names_this_machine(request.hosts.front())) {
    return refuse(421, "the Host header does not name this machine: expected localhost, 127.0.0.1 or [::1]");
  }
  const std::string_view target = request.target;
  const std::string_view path = target.substr(0, target.find('?'));
  const auto* const route = std::find_if(std::begin(kRoutes), std::end(kRoutes),
                                         [&](const Route& one) { return one.path == path; });
  if (route == std::end(kRoutes)) return refuse(404, "there is no such path");
  if (request.method != (route->writes ? "POST" : "GET")) {
    AdminVerdict refusal = refuse(405, "method not allowed");
    refusal.allow = route->writes ? "POST" : "GET";
    return refusal;
  }
  if (route->writes) {
    if (auto refusal = refuse_stranger(request)) return *refusal;
  }
  // Who can reach the port from elsewhere is told of users and addresses only with the token.
  const bool names_people = !rules.loopback && path.starts_with("/api/");
  AdminVerdict verdict{200, route->endpoint, {}, {}};
  if ((route->writes || names_people) && !rules.token.empty()) {
    if (!shows_token(request, rules.token)) {
      verdict = refuse(401, "expected Authorization: Bearer and the admin_token");
    }
    verdict.token_compared = !request.authorization.empty();
  }
  // (Probes and scrapers may say what they like.)
  if (verdict.status == 200 && path.starts_with("/api/")) {
    refuse_parameters(*route, query_of(target), verdict);
  }
  return verdict;
}

std::optional<std::string> parameter_of(std::string_view target, std::string_view name) {
  const auto values = parameters_of(target, name);
  if (!values || values->empty()) return std::nullopt;
  return values->front();
}

std::optional<std::vector<std::string>> parameters_of(std::string_view target, std::string_view name) {
  std::string_view query = query_of(target);
  std::vector<std::string> values;
  while (!query.empty()) {
    const std::string_view one = next_of(query);
    const std::string_view key = name_of(one);
    if (key != name) continue;
    const auto value = decoded(one.substr(std::min(key.size() + 1, one.size())));
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

std::optional<TimeNs> timeout_of(std::string_view target, TimeNs otherwise, TimeNs most) {
  const auto text = parameter_of(target, "timeout");
  if (!text) return otherwise;
  const auto given = parse_duration(*text);
  return given && *given >= 0 && *given <= most ? given : std::nullopt;
}

}  // namespace understudy::proxy
