// What other servers answer the proxy itself, against arbitrary bytes: Patroni's REST API (HTTP and JSON),
// rows of auth_query, the password file, and the admin port's parameters. What is held: nothing crashes; a
// reply does not depend on how it is cut; nobody is let in whom the database did not name; what is found was
// there.
//
// The input's first letter says which of them the rest is.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

#include "proxy/admin_request.h"
#include "proxy/auth_query.h"
#include "proxy/http_reply.h"
#include "proxy/password_file.h"
#include "proxy/patroni_answer.h"
#include "proxy/patroni_settings.h"
#include "proxy/topology_tracker.h"
#include "recorder/recording_request.h"
#include "tests/fuzz/require.h"

namespace understudy::proxy {
namespace {

using Progress = HttpReply::Progress;

// Once it is decided with what has come, what comes later changes nothing but a body's end.
void read_reply(std::string_view bytes) {
  constexpr std::size_t kMost = 200;
  HttpReply whole;
  const Progress at_end = HttpReply::read(bytes, true, kMost, whole);
  require(at_end != Progress::kGoesOn);
  require(at_end != Progress::kWhole || (whole.status >= 100 && whole.status <= 999));
  require(at_end != Progress::kMalformed || !whole.wrong.empty());
  require(whole.body.size() <= kMost);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    HttpReply part;
    const Progress progress = HttpReply::read(bytes.substr(0, size), false, kMost, part);
    if (progress == Progress::kGoesOn) continue;
    // A header that was too long, or a length that lies, is so at once.
    if (progress == Progress::kWhole) require(at_end == Progress::kWhole || bytes.size() > kMost);
    if (progress == Progress::kWhole && at_end == Progress::kWhole) require(part.body == whole.body);
    return;
  }
}

// What it says is fit to be watched, and keeps its word about the tracker.
void read_cluster(std::string_view json) {
  std::string wrong;
  const auto cluster = parse_patroni_cluster(json, wrong);
  require(cluster.has_value() == wrong.empty());
  if (!cluster) return;
  require(cluster->members.size() <= kMostPatroniMembers);
  require(!cluster->leader || *cluster->leader < cluster->members.size());
  std::vector<Address> members;
  for (const PatroniMember& member : cluster->members) {
    require(!member.address.host.empty() && !member.address.is_unix() && member.address.port != 0);
    require(std::ranges::count(members, member.address) == 0);
    members.push_back(member.address);
  }
  TopologyTracker tracker({{"seed", 1}, {"other", 2}}, 3, true);
  (void)tracker.follow(members, cluster->leader);
  require(!tracker.topology().primary);
  std::size_t present = 0;
  for (std::size_t i = 0; i < tracker.topology().backends.size(); ++i) {
    if (tracker.topology().backends[i].removed) continue;
    ++present;
    CheckResult result;
    result.timeline = 1;
    (void)tracker.succeeded(i, result, 1);
  }
  require(present == members.size());
  // All say that they are primary: the leader is it, or nobody.
  (void)tracker.follow(members, cluster->leader);
  const auto primary = tracker.topology().primary;
  require(primary.has_value() == cluster->leader.has_value());
  require(!primary || tracker.topology().backends[*primary].address == members[*cluster->leader]);
}

void read_history(std::string_view json) {
  std::string wrong;
  const auto history = parse_patroni_history(json, wrong);
  require(history.has_value() == wrong.empty());
}

void read_row(FuzzedDataProvider& input) {
  const std::string user = input.ConsumeRandomLengthString(20);
  QueryAnswer answer;
  answer.rows = input.ConsumeIntegralInRange<std::size_t>(0, 3);
  const auto columns = answer.rows == 0 ? 0 : input.ConsumeIntegralInRange<int>(0, 4);
  for (int i = 0; i < columns; ++i) {
    const bool named = input.ConsumeBool();
    answer.row.push_back(
        named ? std::optional(i == 0 && input.ConsumeBool() ? user : input.ConsumeRandomLengthString(2000))
              : std::nullopt);
  }
  const AuthQueryResult result = read_auth_answer(user, answer);
  if (!result.secret) return;
  require(result.wrong.empty() && answer.rows == 1 && answer.row[0] == user && !result.secret->empty());
}

void find_in_file(FuzzedDataProvider& input) {
  PasswordQuestion question;
  question.server.host = input.ConsumeRandomLengthString(10);
  question.server.port = input.ConsumeIntegral<std::uint16_t>();
  question.database = input.ConsumeRandomLengthString(10);
  question.user = input.ConsumeRandomLengthString(10);
  const std::string text = input.ConsumeRemainingBytesAsString();
  const auto found = find_password(text, question);
  require(!found || (!found->empty() && found->size() <= text.size()));
  // A line of one's own, at the end, is found unless another was.
  const auto after = find_password(text + "\n*:*:*:*:secret", question);
  require(after == (found ? *found : "secret"));
}

void read_parameters(std::string_view target) {
  for (const std::string_view name : {"to", "timeout", "promote", ""}) {
    const auto value = parameter_of(target, name);
    require(!value || value->size() <= target.size());
  }
  (void)timeout_of(target, 1, 1'000'000'000);
  recorder::RecordingRequest recording;
  if (recorder::parse_recording_request(std::string(target), recording).empty()) {
    require(recording.duration >= 0 && recording.filter.sample_percent > 0 &&
            recording.filter.sample_percent <= 100);
    require(recording.filter.networks.size() + (recording.filter.unix_sockets ? 1 : 0) <=
            std::max<std::size_t>(recording.filter.clients.size(), 1));
    (void)recording.filter.takes(SessionDescriptor());
  }
  PatroniSettings settings;
  const std::string wrong = set_patroni_endpoints(settings, target);
  for (const PatroniEndpoint& endpoint : settings.endpoints) require(!endpoint.address.host.empty());
  require(wrong.empty() || settings.endpoints.empty());
}

}  // namespace
}  // namespace understudy::proxy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy::proxy;
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  FuzzedDataProvider input(data + 1, size - 1);
  switch (data[0]) {
    case 'h':
      read_reply(rest);
      break;
    case 'c':
      read_cluster(rest);
      break;
    case 't':
      read_history(rest);
      break;
    case 'r':
      read_row(input);
      break;
    case 'p':
      find_in_file(input);
      break;
    default:
      read_parameters(rest);
      break;
  }
  return 0;
}
