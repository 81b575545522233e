#include "proxy/patroni_answer.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <stdexcept>

namespace understudy::proxy {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::size_t kDeepest = 16;  // Patroni's are four deep, tags included
constexpr std::size_t kLongestHost = 255;
constexpr std::size_t kLongestName = 255;
constexpr std::uint16_t kPostgresPort = 5432;

Var parse(std::string_view json) {
  if (json.size() > kMostPatroniAnswerBytes) throw std::invalid_argument("it is too long");
  Poco::JSON::Parser parser;
  parser.setDepth(kDeepest);
  parser.setAllowNullByte(false);
  return parser.parse(std::string(json));
}

std::string text_of(const Object& object, const std::string& key) {
  const Var value = object.get(key);
  return value.isString() ? value.extract<std::string>() : std::string();
}

// A whole number between 0 and `most`; `otherwise` when there is none.
std::uint64_t number_of(const Var& value, std::uint64_t most, std::uint64_t otherwise) {
  if (!value.isInteger()) return otherwise;
  if (value.isSigned() && value.convert<std::int64_t>() < 0) return otherwise;
  const auto number = value.convert<std::uint64_t>();
  return number <= most ? number : otherwise;
}

bool is_host(const std::string& host) {
  return host.size() <= kLongestHost && host.front() != '/' &&
         std::ranges::all_of(host, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::optional<PatroniMember> member_of(const Object& object) {
  PatroniMember member;
  member.name = text_of(object, "name");
  if (member.name.empty() || member.name.size() > kLongestName) {
    throw std::invalid_argument("a member has no name");
  }
  member.address.host = text_of(object, "host");
  if (member.address.host.empty()) return std::nullopt;  // it is being made
  if (!is_host(member.address.host)) throw std::invalid_argument("a member's host is no host");
  constexpr std::uint64_t kNoPort = 0;
  const std::uint64_t port =
      object.has("port") ? number_of(object.get("port"), 65535, kNoPort) : std::uint64_t{kPostgresPort};
  if (port == kNoPort) throw std::invalid_argument("a member's port is no port");
  member.address.port = static_cast<std::uint16_t>(port);
  member.timeline = static_cast<std::uint32_t>(number_of(object.get("timeline"), 0xFFFFFFFFU, 0));
  return member;
}

PatroniCluster cluster_of(const Object& object) {
  const Array::Ptr members = object.getArray("members");
  if (!members) throw std::invalid_argument("it has no list of members");
  if (members->size() > kMostPatroniMembers) throw std::invalid_argument("it has too many members");
  PatroniCluster cluster;
  for (unsigned index = 0; index < members->size(); ++index) {
    const Object::Ptr one = members->getObject(index);
    if (!one) throw std::invalid_argument("a member is no object");
    auto member = member_of(*one);
    if (!member) continue;
    for (const PatroniMember& other : cluster.members) {
      if (other.address == member->address) {
        throw std::invalid_argument("members " + other.name + " and " + member->name + " have one address");
      }
    }
    const std::string role = text_of(*one, "role");
    if (role == "leader" || role == "master" || role == "primary") {  // as versions 1 to 4 have it
      if (cluster.leader) throw std::invalid_argument("it has two leaders");
      cluster.leader = cluster.members.size();
    }
    cluster.members.push_back(std::move(*member));
  }
  return cluster;
}

std::vector<TimelineSwitch> history_of(const Array& lines) {
  std::vector<TimelineSwitch> history;
  for (unsigned index = 0; index < lines.size(); ++index) {
    const Array::Ptr line = lines.getArray(index);
    if (!line || line->size() < 2) throw std::invalid_argument("a line of the history is no list");
    constexpr std::uint64_t kNone = ~std::uint64_t{0};
    const std::uint64_t timeline = number_of(line->get(0), 0xFFFFFFFFU, kNone);
    const std::uint64_t at = number_of(line->get(1), kNone - 1, kNone);
    if (timeline == kNone || at == kNone) {
      throw std::invalid_argument("a line of the history has no timeline, or no position");
    }
    history.push_back({static_cast<std::uint32_t>(timeline), Lsn{at}});
  }
  return history;
}

}  // namespace

std::optional<PatroniCluster> parse_patroni_cluster(std::string_view json, std::string& wrong) {
  try {
    const Var value = parse(json);
    if (value.type() != typeid(Object::Ptr)) throw std::invalid_argument("it is no JSON object");
    return cluster_of(*value.extract<Object::Ptr>());
  } catch (const Poco::Exception& error) {
    wrong = error.displayText();
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  return std::nullopt;
}

std::optional<std::vector<TimelineSwitch>> parse_patroni_history(std::string_view json, std::string& wrong) {
  try {
    const Var value = parse(json);
    if (value.type() != typeid(Array::Ptr)) throw std::invalid_argument("it is no JSON list");
    return history_of(*value.extract<Array::Ptr>());
  } catch (const Poco::Exception& error) {
    wrong = error.displayText();
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  return std::nullopt;
}

}  // namespace understudy::proxy
