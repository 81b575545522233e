// What Patroni's REST API answers, as values (Patroni documentation, "Patroni REST API": GET /cluster,
// GET /history). Pure: text in, values out; any thread. Whatever the text is, it costs no more than its
// length.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/address.h"
#include "proxy/topology.h"

namespace understudy::proxy {

struct PatroniMember {
  std::string name;
  Address address;             // of its PostgreSQL
  std::uint32_t timeline = 0;  // 0: not told
  bool operator==(const PatroniMember&) const = default;
};

struct PatroniCluster {
  std::vector<PatroniMember> members;
  // Of `members`: who holds the leader's lock. It may be in recovery still, or again: Patroni hands out the
  // lock first and promotes then. A standby cluster's leader is none: it takes no writes.
  std::optional<std::size_t> leader;
  bool operator==(const PatroniCluster&) const = default;
};

// More than any cluster has; an answer with more is refused.
inline constexpr std::size_t kMostPatroniMembers = 64;
// Longer answers are not read to their end.
inline constexpr std::size_t kMostPatroniAnswerBytes = std::size_t{1} << 20;

// Nothing when it is no such answer; `wrong` then says why. Members without an address yet are left out.
[[nodiscard]] std::optional<PatroniCluster> parse_patroni_cluster(std::string_view json, std::string& wrong);
// Oldest switch first.
[[nodiscard]] std::optional<std::vector<TimelineSwitch>> parse_patroni_history(std::string_view json,
                                                                               std::string& wrong);

}  // namespace understudy::proxy
