// What the configuration says of Patroni's REST API. Values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/transcript/event.h"
#include "proxy/address.h"

namespace understudy::proxy {

// Where one of Patroni's processes answers.
struct PatroniEndpoint {
  Address address;
  bool tls = false;  // https
  bool operator==(const PatroniEndpoint&) const = default;
  [[nodiscard]] std::string to_string() const { return (tls ? "https://" : "http://") + address.to_string(); }
};

struct PatroniSettings {
  std::vector<PatroniEndpoint> endpoints;  // empty: there is no Patroni
  std::string ca_file;                     // who vouches for https; empty: whom the system trusts
  std::string certificate_file;            // shown where it is asked for
  std::string key_file;
  TimeNs interval = 1'000'000'000;  // between two questions, while nothing happens
  TimeNs timeout = 1'000'000'000;   // of one endpoint, from the first packet to the answer's last byte
};

// "http://HOST:PORT, https://HOST, HOST:PORT" (8008, http). Returns an empty string, or what is wrong.
[[nodiscard]] std::string set_patroni_endpoints(PatroniSettings& settings, std::string_view value);

}  // namespace understudy::proxy
