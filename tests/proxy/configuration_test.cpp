// What is refused when it is set, and what the refusal says.
#include "proxy/configuration.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace understudy::proxy {
namespace {

std::string set(Configuration& configuration, std::string_view name, std::string_view value) {
  const auto keys = configuration_keys();
  const auto key = std::find_if(keys.begin(), keys.end(), [&](const auto& one) { return one.name == name; });
  return key == keys.end() ? "no such key" : key->set(configuration, value);
}

TEST(Configuration, RefusesBadValuesAndKeepsWhatWas) {
  Configuration configuration;
  const Configuration before = configuration;
  constexpr std::pair<std::string_view, std::string_view> kBad[] = {
      {"max_client_conn", "0"},
      {"max_client_conn", "many"},
      {"max_client_conn", "-1"},
      {"max_client_conn", ""},
      {"max_client_conn", "1.5"},
      {"max_client_conn", "99999999999999"},
      {"startup_packet_size", "7"},
      {"client_login_timeout", "-1"},
      {"client_login_timeout", "5 apples"},
      {"unix_socket_mode", "0999"},
      {"log_connections", "perhaps"},
      {"log_level", "verbose"},
      {"listen", ""},
      {"listen", "a:1,b:x"},
      {"backend", "::1:5432"},
      {"tcp_keepidle", "-5"},
      {"listen_backlog", "0"},
      {"workers", "x"},
  };
  for (const auto& [name, value] : kBad) {
    EXPECT_NE(set(configuration, name, value), "") << name << " = " << value;
  }
  EXPECT_EQ(configuration.limits, before.limits);
  EXPECT_EQ(configuration.listen, before.listen);
  EXPECT_EQ(configuration.backends, before.backends);
}

TEST(Configuration, RefusalNamesTheValue) {
  Configuration configuration;
  EXPECT_NE(set(configuration, "client_login_timeout", "soon").find("\"soon\""), std::string::npos);
  EXPECT_NE(set(configuration, "listen", "host:1, other:70000").find("other:70000"), std::string::npos);
}

TEST(Configuration, TakesSeveralAddressesAndAUnitWithEachDuration) {
  Configuration configuration;
  EXPECT_EQ(set(configuration, "listen", "127.0.0.1:1, [::1]:2 ,/run/understudy"), "");
  EXPECT_EQ(configuration.listen,
            (std::vector<Address>{{"127.0.0.1", 1}, {"::1", 2}, {"/run/understudy", 6432}}));
  EXPECT_EQ(set(configuration, "client_idle_timeout", "1500ms"), "");
  EXPECT_EQ(configuration.limits.client_idle_timeout, 1'500'000'000);
  EXPECT_EQ(set(configuration, "unix_socket_mode", "0660"), "");
  EXPECT_EQ(configuration.unix_socket_mode, 0660U);
}

TEST(Configuration, KeysHaveNamesOfTheirOwnAndSayWhatTheyAre) {
  std::vector<std::string_view> names;
  for (const ConfigurationKey& key : configuration_keys()) {
    EXPECT_FALSE(key.help.empty() || key.unit_and_default.empty()) << key.name;
    names.push_back(key.name);
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace understudy::proxy
