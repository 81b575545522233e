#include "proxy/admin_server.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServerConnection.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/TCPServer.h>
#include <Poco/ThreadPool.h>

#include <array>
#include <charconv>
#include <stdexcept>

#include "proxy/access_rules.h"
#include "proxy/admin_connections.h"
#include "proxy/admin_json.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace understudy::proxy {
namespace {

namespace Net = Poco::Net;

constexpr int kThreads = 16;
constexpr int kQueued = 2 * AdminConnections::kMostWaiting;  // never full: the gate is narrower
constexpr int kBacklog = 64;
constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kTimeToAsk = 2 * kSecond;      // from its turn to the request's last byte
constexpr TimeNs kTimeToAnswer = 10 * kSecond;  // what takes longer says so itself
constexpr std::size_t kMostHeaderBytes = std::size_t{16} << 10;
constexpr std::size_t kMostBodyBytes = std::size_t{4} << 10;

std::vector<std::string> all_of(const Net::HTTPServerRequest& request, const std::string& name) {
  std::vector<std::string> values;
  for (const auto& [header, value] : request) {
    if (Poco::icompare(header, name) == 0) values.push_back(value);
  }
  return values;
}

std::optional<std::string> header(const Net::HTTPServerRequest& request, const std::string& name) {
  return request.has(name) ? std::optional(request.get(name)) : std::nullopt;
}

AdminRequest request_of(const Net::HTTPServerRequest& request) {
  return {.method = request.getMethod(),
          .target = request.getURI(),
          .hosts = all_of(request, "Host"),
          .origin = header(request, "Origin"),
          .fetch_site = header(request, "Sec-Fetch-Site"),
          .content_type = request.get("Content-Type", ""),
          .authorization = request.get("Authorization", ""),
          .marked = request.has("X-Understudy")};
}

// Nothing asked here needs a body; what is sent is read, or the answer would be lost with the connection's
// reset. Returns why the request is refused as it came.
AdminVerdict read_to_its_end(Net::HTTPServerRequest& request) {
  if (!request.getVersion().starts_with("HTTP/1.")) return {505, {}, "expected HTTP/1.1", {}};
  std::size_t header_bytes = request.getURI().size();
  for (const auto& [name, value] : request) header_bytes += name.size() + value.size() + 4;
  if (header_bytes > kMostHeaderBytes) return {431, {}, "the header is too long", {}};
  if (request.has("Transfer-Encoding")) return {411, {}, "expected Content-Length", {}};
  const std::vector<std::string> lengths = all_of(request, "Content-Length");
  if (lengths.empty()) return {};
  std::uint64_t length = 0;
  const char* const end = lengths.front().data() + lengths.front().size();
  const auto [stopped, error] = std::from_chars(lengths.front().data(), end, length);
  if (lengths.size() != 1 || stopped != end || error == std::errc::invalid_argument) {
    return {400, {}, "the Content-Length is no number", {}};
  }
  if (error != std::errc{} || length > kMostBodyBytes) return {413, {}, "the body is too long", {}};
  std::array<char, kMostBodyBytes> body{};
  request.stream().read(body.data(), static_cast<std::streamsize>(length));
  if (request.stream().gcount() != static_cast<std::streamsize>(length)) {
    return {400, {}, "the body is shorter than its Content-Length", {}};
  }
  return {};
}

void send(Net::HTTPServerResponse& response, const AdminReply& reply) {
  response.setVersion(Net::HTTPMessage::HTTP_1_1);
  response.setStatusAndReason(static_cast<Net::HTTPResponse::HTTPStatus>(reply.status));
  response.setKeepAlive(false);
  response.setContentType(reply.content_type);
  response.set("Cache-Control", "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  response.sendBuffer(reply.body.data(), reply.body.size());
}

bool is_write(AdminEndpoint endpoint) {
  switch (endpoint) {
    case AdminEndpoint::kPause:
    case AdminEndpoint::kResume:
    case AdminEndpoint::kReload:
    case AdminEndpoint::kMove:
    case AdminEndpoint::kRecordStart:
    case AdminEndpoint::kRecordStop:
    case AdminEndpoint::kRecordMark:
    case AdminEndpoint::kRecordSave:
      return true;
    default:
      return false;
  }
}

// For sessions, or for a disk.
bool may_wait(AdminEndpoint endpoint) {
  return endpoint == AdminEndpoint::kPause || endpoint == AdminEndpoint::kMove ||
         endpoint == AdminEndpoint::kRecordStart || endpoint == AdminEndpoint::kRecordStop ||
         endpoint == AdminEndpoint::kRecordSave;
}

class Handler final : public Net::HTTPRequestHandler {
 public:
  Handler(AdminService& service, const AdminRules& rules, AdminConnections& connections, LoginGuard& guard)
      : service_(service), rules_(rules), connections_(connections), guard_(guard) {}

  void handleRequest(Net::HTTPServerRequest& http, Net::HTTPServerResponse& response) override {
    const AdminRequest request = request_of(http);
    AdminVerdict verdict = read_to_its_end(http);
    if (verdict.status == 200) verdict = judge(request, rules_);
    const std::string peer = http.clientAddress().toString();
    if (verdict.token_compared) slow_down(verdict, peer, response);
    if (verdict.status != 200) return refuse(verdict, request, peer, response);
    connections_.extend(kTimeToAnswer + (may_wait(verdict.endpoint) ? AdminService::kLongestAnswer : 0));
    const AdminReply reply = service_.answer(verdict.endpoint, request);
    if (is_write(verdict.endpoint)) {
      log_event(LogLevel::kInfo, "admin_request",
                {{"peer", peer}, {"request", request.target}, {"status", std::to_string(reply.status)}});
    }
    connections_.extend(kTimeToAnswer);
    send(response, reply);
  }

 private:
  // After too many wrong tokens of an address its next ones, right or wrong, count only now and then.
  void slow_down(AdminVerdict& verdict, const std::string& peer, Net::HTTPServerResponse& response) {
    constexpr std::string_view kNobody;  // a token is no user's
    const TimeNs wait = guard_.admit_now(peer, kNobody, now_ns());
    if (wait > 0) {
      const std::string seconds = std::to_string((wait + kSecond - 1) / kSecond);
      response.set("Retry-After", seconds);
      verdict.status = 429;
      verdict.reason = "too many wrong tokens of this address: the next counts in " + seconds + " s";
    } else if (verdict.status == 401) {
      service_.token_refused();
      if (!guard_.failed(peer, kNobody, now_ns())) return;
      log_event(LogLevel::kWarning, "admin_tokens_slowed_down",
                {{"peer", peer}, {"reason", "too many wrong tokens of this address"}});
    }
  }

  static void refuse(const AdminVerdict& verdict, const AdminRequest& request, const std::string& peer,
                     Net::HTTPServerResponse& response) {
    if (request.method == "POST" && verdict.status != 404) {
      log_event(LogLevel::kWarning, "admin_refused",
                {{"peer", peer}, {"status", std::to_string(verdict.status)}, {"reason", verdict.reason}});
    }
    if (verdict.status == 401) response.set("WWW-Authenticate", "Bearer");
    if (!verdict.allow.empty()) response.set("Allow", verdict.allow);
    send(response, {verdict.status, error_json(verdict.reason)});
  }

  AdminService& service_;
  const AdminRules& rules_;
  AdminConnections& connections_;
  LoginGuard& guard_;
};

class HandlerFactory final : public Net::HTTPRequestHandlerFactory {
 public:
  HandlerFactory(AdminService& service, AdminRules rules, AdminConnections& connections, LoginGuard& guard)
      : service_(service), rules_(std::move(rules)), connections_(connections), guard_(guard) {}
  Net::HTTPRequestHandler* createRequestHandler(const Net::HTTPServerRequest&) override {
    return std::make_unique<Handler>(service_, rules_, connections_, guard_).release();  // Poco deletes it
  }

 private:
  AdminService& service_;
  const AdminRules rules_;
  AdminConnections& connections_;
  LoginGuard& guard_;
};

class LeasedConnection final : public Net::HTTPServerConnection {
 public:
  LeasedConnection(const Net::StreamSocket& socket, Net::HTTPServerParams::Ptr parameters,
                   Net::HTTPRequestHandlerFactory::Ptr factory, AdminConnections& connections)
      : HTTPServerConnection(socket, std::move(parameters), std::move(factory)), connections_(connections) {}
  void run() override {
    const AdminConnections::Lease lease(connections_, socket().impl(), kTimeToAsk);
    HTTPServerConnection::run();
  }

 private:
  AdminConnections& connections_;
};

class Gate final : public Net::TCPServerConnectionFilter {
 public:
  explicit Gate(AdminConnections& connections) : connections_(connections) {}
  bool accept(const Net::StreamSocket& socket) override {
    return connections_.admit(socket.impl(), socket.impl()->sockfd());
  }

 private:
  AdminConnections& connections_;
};

class ConnectionFactory final : public Net::TCPServerConnectionFactory {
 public:
  ConnectionFactory(Net::HTTPServerParams::Ptr parameters, Net::HTTPRequestHandlerFactory::Ptr handlers,
                    AdminConnections& connections)
      : parameters_(std::move(parameters)), handlers_(std::move(handlers)), connections_(connections) {}
  Net::TCPServerConnection* createConnection(const Net::StreamSocket& socket) override {
    return std::make_unique<LeasedConnection>(socket, parameters_, handlers_, connections_).release();
  }

 private:
  Net::HTTPServerParams::Ptr parameters_;
  Net::HTTPRequestHandlerFactory::Ptr handlers_;
  AdminConnections& connections_;
};

Net::HTTPServerParams::Ptr parameters() {
  Net::HTTPServerParams::Ptr parameters(new Net::HTTPServerParams);  // Poco counts references itself
  parameters->setMaxThreads(kThreads);
  parameters->setMaxQueued(kQueued);
  parameters->setTimeout(Poco::Timespan(kTimeToAsk / kSecond, 0));  // of one read or write
  parameters->setKeepAlive(false);
  return parameters;
}

// Binds the first of the host's addresses that can be.
Net::ServerSocket listen_on(const Address& address, bool& loopback) {
  std::string failure = "its name has no address";
  for (const SocketAddress& one : resolve(address, true)) {
    loopback = is_local_peer(to_string(one));
    try {
      Net::ServerSocket socket;
      const Net::SocketAddress bound(one.get(), one.length);
      if (one.family() == AF_INET6) {
        socket.bind6(bound, true, false, true);
      } else {
        socket.bind(bound, true, false);
      }
      socket.listen(kBacklog);
      return socket;
    } catch (const Poco::Exception& error) {
      failure = error.displayText();
    }
  }
  throw std::runtime_error("cannot listen on admin_listen " + address.to_string() + ": " + failure);
}

}  // namespace

// Members end in the opposite order: no thread serves when what it uses goes.
struct AdminServer::Http {
  Http(const Net::ServerSocket& socket, AdminService& service, AdminRules rules,
       const LoginGuardSettings& slowing_down)
      : pool(1, kThreads + 1),
        server(
            new ConnectionFactory(
                parameters(), new HandlerFactory(service, std::move(rules), connections, guard), connections),
            pool, socket, parameters()) {
    guard.set(slowing_down);
    server.setConnectionFilter(new Gate(connections));
  }
  ~Http() {
    server.stop();
    connections.stop();
    pool.joinAll();
  }

  AdminConnections connections{kThreads};
  LoginGuard guard;  // of tokens: whoever guesses them does not slow down database clients
  Poco::ThreadPool pool;
  Net::TCPServer server;
};

AdminServer::AdminServer(const AdminSettings& settings, const LoginGuardSettings& guard, Proxy& proxy,
                         std::function<AdminService::Reloaded()> reload, AdminService::Recording recording)
    : service_(proxy, std::move(reload), std::move(recording)) {
  const Address& address = settings.listen.value();
  bool loopback = false;
  const Net::ServerSocket socket = listen_on(address, loopback);
  if (!loopback && settings.token.empty()) {
    throw std::runtime_error("admin_listen " + address.to_string() +
                             " can be reached by others than this machine: set admin_token, or listen on "
                             "127.0.0.1");
  }
  address_ = socket.address().toString();
  http_ = std::make_unique<Http>(socket, service_, AdminRules{settings.token, loopback}, guard);
}

AdminServer::~AdminServer() {
  service_.stop();
  http_.reset();
}

void AdminServer::start() {
  http_->server.start();
  log_event(LogLevel::kInfo, "admin_listening", {{"address", address_}});
}

}  // namespace understudy::proxy
