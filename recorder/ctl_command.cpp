// understudy ctl: asks the admin port of a running proxy, and prints what it says. Runs on the main thread.
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/URI.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cxxopts.hpp>
#include <stdexcept>

#include "formats/command.h"
#include "proxy/address.h"
#include "recorder/commands.h"
#include "recorder/ctl_record.h"
#include "recorder/ctl_report.h"

namespace understudy::recorder {
namespace {

constexpr int kRefused = 1;
constexpr int kUnreachable = 3;
constexpr TimeNs kSecond = 1'000'000'000;
// Longer than the proxy waits, so that its own answer arrives; a move's promotion may take longer than asked.
constexpr TimeNs kGrace = 5 * kSecond;
constexpr TimeNs kMoveGrace = 40 * kSecond;
// An answer longer than that is none of the admin port's.
constexpr std::size_t kMostAnswerBytes = std::size_t{256} << 20;

constexpr const char* kNotes =
    "\nThe proxy must have been started with admin_listen. The token can also be in the environment,\n"
    "where others on this machine do not see it: UNDERSTUDY_ADMIN_TOKEN.\n"
    "\nstatus   backends, pools, sessions, and the last failovers; restarts are those of a primary that\n"
    "         stayed it\n"
    "pause    clients wait at their next idle moment outside a transaction, new ones before they get a\n"
    "         server; returns when all are quiet. After --timeout the proxy stays paused, and the exit\n"
    "         code is 1.\n"
    "resume   lets them go on\n"
    "reload   rereads the configuration file, and the files that it and the command line name, as SIGHUP\n"
    "         does\n"
    "move     pauses all sessions, waits until the replica --to (or the one least behind) has replayed\n"
    "         what the primary has, and until it is primary: --promote makes it that, else somebody\n"
    "         else does meanwhile. Then sessions go on there; after --timeout they go on where they\n"
    "         were.\n";
constexpr const char* kExitCodes =
    "\nExit codes: 0 done (status: ready); 1 refused, or not ready, not all quiet, not moved; 2 bad\n"
    "usage; 3 could not reach the proxy.\n";

class Unreachable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CtlOptions {
  std::string command;
  proxy::Address admin;
  std::string token;
  bool json = false;
  std::string to;        // move
  bool promote = false;  // move
  CtlQuestion record;    // record
  TimeNs timeout = 30 * kSecond;
};

// One connection a question, as the admin port wants it.
class AdminClient {
 public:
  explicit AdminClient(const CtlOptions& options) : options_(options) {}

  // Throws Unreachable.
  CtlAnswer ask(const std::string& method, const std::string& target) const {
    namespace Net = Poco::Net;
    const std::string where = options_.admin.to_string();
    try {
      Net::HTTPClientSession session(options_.admin.host, options_.admin.port);
      const TimeNs grace = options_.command == "move" ? kMoveGrace : kGrace;
      session.setTimeout(Poco::Timespan((options_.timeout + grace) / 1000));  // microseconds
      Net::HTTPRequest request(method, target, Net::HTTPMessage::HTTP_1_1);
      request.set("X-Understudy", "ctl");
      if (!options_.token.empty()) request.set("Authorization", "Bearer " + options_.token);
      if (method == "POST") request.setContentLength(0);
      session.sendRequest(request);
      Net::HTTPResponse response;
      std::istream& body = session.receiveResponse(response);
      CtlAnswer answer{static_cast<int>(response.getStatus()), {}};
      for (char piece[4096]; body.read(piece, sizeof piece), body.gcount() > 0;) {
        answer.body.append(piece, static_cast<std::size_t>(body.gcount()));
        if (answer.body.size() > kMostAnswerBytes) throw Unreachable(where + ": the answer has no end");
      }
      return answer;
    } catch (const Poco::Exception& error) {
      throw Unreachable("cannot reach the admin port " + where + ": " + error.displayText() +
                        " (it is the proxy's --admin-listen; --admin says another here)");
    }
  }

 private:
  const CtlOptions& options_;
};

int status(const AdminClient& client, bool json) {
  const CtlStatus status{client.ask("GET", "/readyz"), client.ask("GET", "/api/v1/backends"),
                         client.ask("GET", "/api/v1/pools"), client.ask("GET", "/api/v1/sessions"),
                         client.ask("GET", "/api/v1/failovers")};
  for (const CtlAnswer* const answer :
       {&status.backends, &status.pools, &status.sessions, &status.failovers}) {
    if (answer->status == 200) continue;
    std::fprintf(stderr, "understudy ctl: %s\n", error_of(*answer).c_str());
    return kRefused;
  }
  std::fputs((json ? status_as_json(status) : status_as_text(status)).c_str(), stdout);
  return status.ready.status == 200 ? 0 : kRefused;
}

int change(const AdminClient& client, const CtlOptions& options) {
  std::string target = "/api/v1/" + options.command;
  if (options.command == "pause" || options.command == "move") {
    target += "?timeout=" + std::to_string(options.timeout / 1'000'000) + "ms";
  }
  if (options.promote) target += "&promote=true";
  if (!options.to.empty()) {
    std::string encoded;
    Poco::URI::encode(options.to, "%&=+?#[]", encoded);
    target += "&to=" + encoded;
  }
  const CtlAnswer answer = client.ask("POST", target);
  if (answer.status != 200 && answer.status != 202) {
    std::fprintf(stderr, "understudy ctl: %s\n", error_of(answer).c_str());
    return kRefused;
  }
  std::fputs((options.json ? answer.body : change_as_text(options.command, answer)).c_str(), stdout);
  return answer.status == 200 ? 0 : kRefused;
}

int record(const AdminClient& client, const CtlOptions& options) {
  const CtlAnswer answer = client.ask(options.record.method, options.record.target);
  if (answer.status != 200) {
    std::fprintf(stderr, "understudy ctl: %s\n", error_of(answer).c_str());
    return kRefused;
  }
  std::fputs((options.json ? answer.body : record_as_text(options.record.what, answer)).c_str(), stdout);
  return 0;
}

CtlOptions options_of(const cxxopts::ParseResult& given) {
  CtlOptions options;
  const auto& words = given.unmatched();
  const bool records = !words.empty() && words.front() == "record";
  if (words.size() != 1 && !records)
    throw std::invalid_argument("expected one of status, pause, resume, reload, move, record");
  options.command = words.front();
  const std::string& word = options.command;
  if (records) {
    options.record = ctl_record_question({words.begin() + 1, words.end()}, given);
  } else if (has_ctl_record_options(given)) {
    throw std::invalid_argument(
        "--duration, --max-size, --user, --database, --application, --client, --sample and "
        "--last are for record");
  } else if (word != "status" && word != "pause" && word != "resume" && word != "reload" && word != "move") {
    throw std::invalid_argument("\"" + word + "\" is none of status, pause, resume, reload, move, record");
  }
  options.promote = given.count("promote") != 0;
  if (given.count("to") != 0) options.to = given["to"].as<std::string>();
  if (given.count("to") != 0) (void)proxy::Address::parse(options.to);
  if (word != "move" && (options.promote || !options.to.empty())) {
    throw std::invalid_argument("--to and --promote are for move");
  }
  options.admin = proxy::Address::parse(given["admin"].as<std::string>(), 6433);
  if (options.admin.is_unix()) throw std::invalid_argument("--admin is HOST:PORT");
  if (options.admin.host.empty()) options.admin.host = "127.0.0.1";
  const char* const token = std::getenv("UNDERSTUDY_ADMIN_TOKEN");
  options.token = given.count("token") != 0 ? given["token"].as<std::string>()
                  : token != nullptr        ? token
                                            : "";
  options.json = given.count("json") != 0;
  const auto timeout = parse_duration(given["timeout"].as<std::string>());
  if (!timeout || *timeout < 0 || *timeout > 600 * kSecond) {
    throw std::invalid_argument("--timeout is a duration of at most 10min, such as 500ms, 30s or 5min");
  }
  options.timeout = *timeout;
  return options;
}

}  // namespace

int run_ctl(int argc, char** argv) {
  cxxopts::Options options("understudy ctl",
                           "Looks at a running proxy, pauses it, moves its sessions, records them.\n");
  options.custom_help("status|pause|resume|reload|move|record [options]").set_width(kHelpColumns);
  auto add = options.add_options();
  add("admin", "where the proxy's admin port is",
      cxxopts::value<std::string>()->default_value("127.0.0.1:6433"), "HOST:PORT");
  add("token", "its admin_token", cxxopts::value<std::string>(), "TEXT");
  add("json", "print the answer as JSON");
  add("to", "move: the replica to move to, as the proxy knows it", cxxopts::value<std::string>(),
      "HOST:PORT");
  add("promote", "move: have it promoted (pg_promote), as health_user");
  add("timeout", "longest wait for an answer; pause: for all to be quiet; move: for all of it",
      cxxopts::value<std::string>()->default_value("30s"), "DURATION");
  add("h,help", "this text");
  add_ctl_record_options(options);
  options.allow_unrecognised_options();
  CtlOptions chosen;
  try {
    const cxxopts::ParseResult given = options.parse(argc, argv);
    if (given.count("help") != 0) {
      std::fputs((options.help({"", "Recording"}) + kNotes + kCtlRecordNotes + kExitCodes).c_str(), stdout);
      return 0;
    }
    chosen = options_of(given);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "understudy ctl: %s\nSee understudy ctl --help.\n", error.what());
    return kExitUsage;
  }
  std::signal(SIGPIPE, SIG_IGN);  // a proxy that closed is an error of write()
  try {
    const AdminClient client(chosen);
    if (chosen.command == "record") return record(client, chosen);
    return chosen.command == "status" ? status(client, chosen.json) : change(client, chosen);
  } catch (const Unreachable& error) {
    std::fprintf(stderr, "understudy ctl: %s\n", error.what());
    return kUnreachable;
  }
}

}  // namespace understudy::recorder
