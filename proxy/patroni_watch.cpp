#include "proxy/patroni_watch.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

// Between two rounds, however often somebody asks for one: each costs Patroni a read of its store.
constexpr TimeNs kLeastPause = 50'000'000;
constexpr unsigned kRoundsBeforeSilent = 3;
constexpr int kOk = 200;

std::vector<Address> addresses_of(const PatroniSettings& settings) {
  std::vector<Address> addresses;
  for (const PatroniEndpoint& endpoint : settings.endpoints) addresses.push_back(endpoint.address);
  return addresses;
}

// A certificate that nobody would be shown is a mistake, as is half of one.
void refuse_certificate_in_vain(const PatroniSettings& settings) {
  if (settings.certificate_file.empty() != settings.key_file.empty()) {
    throw std::runtime_error("patroni_tls_cert_file and patroni_tls_key_file are given both or not at all");
  }
  if (!settings.certificate_file.empty() && std::ranges::none_of(settings.endpoints, &PatroniEndpoint::tls)) {
    throw std::runtime_error(
        "patroni_tls_cert_file is shown to https endpoints only, and patroni names none: write "
        "https://HOST:PORT");
  }
}

std::shared_ptr<const ServerTls> load_patroni_tls(const PatroniSettings& settings) {
  refuse_certificate_in_vain(settings);
  if (std::ranges::none_of(settings.endpoints, &PatroniEndpoint::tls)) return nullptr;
  TlsSettings::Servers tls;
  tls.mode = ServerTlsMode::kVerifyFull;
  tls.ca_file = settings.ca_file.empty() ? std::string(kSystemCertificates) : settings.ca_file;
  tls.certificate_file = settings.certificate_file;
  tls.key_file = settings.key_file;
  return std::make_shared<ServerTls>(tls, ServerTls::Protocol::kHttps);
}

}  // namespace

PatroniWatch::PatroniWatch(EventLoop& loop, const PatroniSettings& settings, Listener listener)
    : loop_(loop),
      settings_(settings),
      listener_(std::move(listener)),
      tls_(load_patroni_tls(settings)),
      lookup_(addresses_of(settings),
              [this](std::size_t i, const Address& /*address*/, std::vector<SocketAddress> addresses,
                     const std::string& /*error*/) {
                loop_.post([this, i, addresses = std::move(addresses)] { looked_up(i, addresses); });
              }),
      question_(loop,
                {.answered = [this](const HttpReply& reply) { answered(reply); },
                 .failed = [this](std::string why) { failed(std::move(why)); }},
                kMostPatroniAnswerBytes) {
  for (const PatroniEndpoint& endpoint : settings_.endpoints) endpoints_.push_back({endpoint, {}, {}});
}

PatroniWatch::~PatroniWatch() { lookup_.stop(); }

void PatroniWatch::start() {
  lookup_.start();
  loop_.post([this] { look(); });
}

// A name that cannot be looked up any more keeps the addresses it had.
void PatroniWatch::looked_up(std::size_t endpoint, std::vector<SocketAddress> addresses) {
  if (!addresses.empty()) endpoints_[endpoint].addresses = std::move(addresses);
}

void PatroniWatch::look() {
  if (question_.busy()) {
    again_ = true;
  } else {
    rest(kLeastPause);
  }
}

void PatroniWatch::rest(TimeNs pause) {
  loop_.cancel(timer_);
  timer_ = loop_.call_at(began_ + pause, [this] { begin(); });
}

void PatroniWatch::begin() {
  if (question_.busy()) return;
  began_ = now_ns();
  again_ = false;
  tried_ = 0;
  ask("/cluster");
}

void PatroniWatch::ask(const std::string& path) {
  asks_history_ = path == "/history";
  const Endpoint& endpoint = endpoints_[current_];
  question_.ask({.host = endpoint.where.address.host,
                 .name = endpoint.where.address.to_string(),
                 .addresses = endpoint.addresses,
                 .tls = endpoint.where.tls ? tls_ : nullptr},
                path, settings_.timeout);
}

void PatroniWatch::answered(const HttpReply& reply) {
  if (reply.status != kOk) return failed("it answered with status " + std::to_string(reply.status));
  if (asks_history_) return take_history(reply.body);
  take_cluster(reply.body);
}

void PatroniWatch::take_cluster(const std::string& json) {
  std::string wrong;
  const auto cluster = parse_patroni_cluster(json, wrong);
  if (!cluster) return failed("its answer makes no sense: " + wrong);
  Endpoint& endpoint = endpoints_[current_];
  if (!std::exchange(endpoint.error, {}).empty() || failed_rounds_ > 0) {
    log_event(LogLevel::kInfo, "patroni_answers", {{"endpoint", endpoint.where.to_string()}});
  }
  failed_rounds_ = 0;
  leader_timeline_ = cluster->leader ? cluster->members[*cluster->leader].timeline : 0;
  listener_.answered(*cluster);
  // The first timeline has none.
  if (leader_timeline_ > 1 && history_up_to_ != leader_timeline_) return ask("/history");
  rest(again_ ? kLeastPause : settings_.interval);
}

// Each endpoint has a view of its own of it, which may be older: then it is asked for again in a while.
void PatroniWatch::take_history(const std::string& json) {
  std::string wrong;
  auto history = parse_patroni_history(json, wrong);
  if (!history) return failed("its history makes no sense: " + wrong);
  if (!history->empty()) {
    history_up_to_ = history->back().timeline + 1;
    listener_.history(std::move(*history));
  }
  rest(again_ ? kLeastPause : settings_.interval);
}

void PatroniWatch::failed(std::string why) {
  Endpoint& endpoint = endpoints_[current_];
  if (endpoint.error.empty()) {
    log_event(LogLevel::kWarning, "patroni_failed",
              {{"endpoint", endpoint.where.to_string()}, {"error", why}});
  }
  endpoint.error = std::move(why);
  current_ = (current_ + 1) % endpoints_.size();
  if (++tried_ < endpoints_.size()) return ask("/cluster");
  if (++failed_rounds_ == kRoundsBeforeSilent) listener_.silent(errors());
  rest(failed_rounds_ < kRoundsBeforeSilent ? kLeastPause : settings_.interval);
}

std::string PatroniWatch::errors() const {
  std::string text;
  for (const Endpoint& endpoint : endpoints_) {
    if (!text.empty()) text += "; ";
    text += endpoint.where.to_string() + " " + endpoint.error;
  }
  return text;
}

}  // namespace understudy::proxy
