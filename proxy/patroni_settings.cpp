#include "proxy/patroni_settings.h"

#include <algorithm>
#include <stdexcept>

namespace understudy::proxy {
namespace {

constexpr std::uint16_t kPort = 8008;
constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

PatroniEndpoint parse_endpoint(std::string_view text) {
  PatroniEndpoint endpoint;
  endpoint.tls = text.starts_with(kHttps);
  if (endpoint.tls || text.starts_with(kHttp)) text.remove_prefix((endpoint.tls ? kHttps : kHttp).size());
  if (text.ends_with('/')) text.remove_suffix(1);
  const std::string expected = "\"" + std::string(text) + "\" is not http://HOST:PORT or https://HOST:PORT";
  if (text.empty() || text.find_first_of("/@?# ") != std::string_view::npos) {
    throw std::invalid_argument(expected);
  }
  endpoint.address = Address::parse(text, kPort);
  if (endpoint.address.host.empty()) throw std::invalid_argument(expected);
  return endpoint;
}

}  // namespace

std::string set_patroni_endpoints(PatroniSettings& settings, std::string_view value) {
  std::vector<PatroniEndpoint> endpoints;
  try {
    while (!trimmed(value).empty()) {
      const std::size_t comma = std::min(value.find(','), value.size());
      endpoints.push_back(parse_endpoint(trimmed(value.substr(0, comma))));
      value.remove_prefix(std::min(comma + 1, value.size()));
    }
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  settings.endpoints = std::move(endpoints);
  return {};
}

}  // namespace understudy::proxy
