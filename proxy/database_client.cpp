#include "proxy/database_client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/startup.h"
#include "proxy/clock.h"
#include "proxy/socket_connection.h"

namespace understudy::proxy {
namespace {

namespace backend = wire::backend;

constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kMaxMessageBytes = 1U << 20;
// A Unix socket whose backlog is full; as a session reaches a crowded server.
constexpr TimeNs kRetryInterval = 5'000'000;

bool same_address(const SocketAddress& one, const SocketAddress& other) {
  return one.length == other.length && std::memcmp(&one.storage, &other.storage, one.length) == 0;
}

// "FATAL: the database system is starting up (57P03)".
std::string words_of(const wire::ErrorFields& error) {
  std::string text(error.severity());
  text += ": ";
  text += error.message();
  text += " (";
  text += error.sqlstate();
  return text + ")";
}

}  // namespace

DatabaseClient::DatabaseClient(EventLoop& loop, Address backend, ServerTlsSource tls, Listener listener)
    : loop_(loop),
      backend_(std::move(backend)),
      tls_(std::move(tls)),
      listener_(std::move(listener)),
      endpoint_(loop, *this, Slot::kServer) {}

DatabaseClient::~DatabaseClient() { close(); }

void DatabaseClient::set_addresses(std::vector<SocketAddress> addresses, std::string why_none) {
  if (!addresses_.empty()) {
    const SocketAddress used = addresses_[address_];
    const auto found =
        std::ranges::find_if(addresses, [&](const auto& one) { return same_address(one, used); });
    if (found == addresses.end()) stale_ = true;
    address_ = found == addresses.end() ? 0 : static_cast<std::size_t>(found - addresses.begin());
  }
  addresses_ = std::move(addresses);
  why_no_address_ = std::move(why_none);
}

void DatabaseClient::open(Login login, TimeNs patience) {
  close();
  login_ = std::move(login);
  refusal_.clear();
  turned_away_ = false;
  stale_ = false;
  plain_ = false;
  addresses_tried_ = 0;
  step_ = Step::kConnecting;
  await(patience, "connection and login");
  connect();
}

void DatabaseClient::connect() {
  if (addresses_.empty()) return fail(why_no_address_);
  encryption_.reset();
  step_ = Step::kConnecting;
  const SocketAddress& address = addresses_[address_];
  auto attempt = SocketConnection::connect(address, to_string(address), SocketOptions());
  if (attempt.try_again) {
    retry_ = loop_.call_at(now_ns() + kRetryInterval, [this] { connect(); });
    return;
  }
  if (!attempt.connection) return try_next_address(std::move(attempt.error));
  endpoint_.attach(std::move(attempt.connection));
  endpoint_.set_interest(false, true);
}

void DatabaseClient::try_next_address(std::string why) {
  endpoint_.close();
  if (++addresses_tried_ >= addresses_.size()) return fail(std::move(why));
  plain_ = false;
  address_ = (address_ + 1) % addresses_.size();
  connect();
}

void DatabaseClient::run(std::uint32_t /*client_events*/, std::uint32_t server_events) {
  if (!endpoint_.attached()) return;
  if (step_ == Step::kEncrypting) return encrypt(encryption_.advance());
  if (step_ != Step::kConnecting) return exchange(server_events);
  // What was seen on the connection before this one is of no account.
  if ((server_events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) connected();
}

void DatabaseClient::connected() {
  std::string error = static_cast<SocketConnection&>(endpoint_.connection()).connect_result();
  if (!error.empty()) return try_next_address(std::move(error));
  step_ = Step::kEncrypting;
  const bool wanted = !plain_ && !backend_.is_unix() && tls_;
  encrypt(encryption_.begin(wanted ? tls_() : nullptr, backend_.host));
}

void DatabaseClient::encrypt(ServerEncryption::Progress progress) {
  using Progress = ServerEncryption::Progress;
  if (progress == Progress::kPending) return;
  if (progress == Progress::kDone) return begin_login();
  if (!encryption_.plain_may_do()) return try_next_address(encryption_.failure());
  plain_ = true;
  endpoint_.close();
  connect();
}

void DatabaseClient::begin_login() {
  step_ = Step::kLoggingIn;
  server_login_ = std::make_unique<ServerLogin>(ClientAuthenticator(login_.user, login_.password));
  if (const TlsConnection* tls = endpoint_.connection().tls())
    server_login_->bind_to(tls->server_end_point());
  wire::StartupMessage startup;
  startup.parameters = {{"user", login_.user},
                        {"database", login_.database},
                        {"application_name", login_.application_name},
                        {"client_encoding", "UTF8"},
                        // What the queries call is the server's own, whatever others put before it.
                        {"search_path", "pg_catalog"}};
  ByteBuffer packet;
  wire::append_startup_message(packet, startup);
  if (!endpoint_.send(packet)) return fail(endpoint_.connection().error_text());
  endpoint_.set_interest(true, endpoint_.backlogged());
}

void DatabaseClient::advance_login() {
  ByteBuffer reply;
  const auto progress = server_login_->take(received_, reply);
  if (!reply.empty() && !endpoint_.send(reply)) return fail(endpoint_.connection().error_text());
  if (progress == ServerLogin::Progress::kGoesOn) return;
  const std::unique_ptr<ServerLogin> login = std::move(server_login_);
  if (progress == ServerLogin::Progress::kReady) {
    cancel(timeout_);
    step_ = Step::kResting;
    return listener_.ready();
  }
  std::string why = login->failure();
  if (login->server_error().size() > kHeaderBytes) {
    const auto error = wire::ErrorResponse::decode(ByteView(login->server_error()).subspan(kHeaderBytes));
    why = error ? words_of(*error) : "it refused the login";
    if (error) refusal_ = error->sqlstate();
  }
  turned_away_ = refusal_.empty() ? login->was_asked() : !refusal_.starts_with("57P0");
  fail(std::move(why));
}

void DatabaseClient::ask(std::string_view sql, TimeNs patience, std::span<const std::string> parameters) {
  step_ = Step::kAsking;
  answer_ = {};
  await(patience, "a query");
  ByteBuffer query;
  if (parameters.empty()) {
    wire::append_query(query, sql);
  } else {
    std::vector<wire::Value> values;
    for (const std::string& parameter : parameters) values.push_back({as_bytes(parameter)});
    wire::append_parse(query, {}, sql);
    wire::append_bind(query, {.parameters = values});
    wire::append_execute(query, {});
    wire::append_sync(query);
  }
  if (!endpoint_.send(query)) return fail("it closed the connection");
  endpoint_.set_interest(true, endpoint_.backlogged());
}

std::string DatabaseClient::receive() {
  while (received_.size() <= kMaxMessageBytes) {
    const ReadResult result = endpoint_.read(scratch_);
    if (result.status == IoStatus::kWouldBlock) return {};
    if (result.status == IoStatus::kClosed) return "it closed the connection";
    if (result.status == IoStatus::kError) return endpoint_.connection().error_text();
    append_bytes(received_, result.bytes);
  }
  return "it sent more than was asked for";
}

void DatabaseClient::exchange(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !endpoint_.flush()) return fail("it closed the connection");
  std::string end;
  if (endpoint_.ready_to_read(events)) end = receive();
  if (step_ == Step::kLoggingIn) advance_login();
  take_messages();
  if (!endpoint_.attached()) return;  // what was received ended it
  if (end.empty()) return endpoint_.set_interest(true, endpoint_.backlogged());
  if (step_ != Step::kResting) return fail(answer_.error.empty() ? std::move(end) : answer_.error);
  close();
  listener_.disconnected();
}

void DatabaseClient::take_messages() {
  std::size_t taken = 0;
  while (endpoint_.attached() && step_ > Step::kLoggingIn && received_.size() - taken >= kHeaderBytes) {
    const std::size_t size = std::size_t{load_be32(received_.data() + taken + 1)} + 1;
    if (size < kHeaderBytes || size > kMaxMessageBytes) {
      return fail("it sent a message of impossible length");
    }
    if (received_.size() - taken < size) break;
    const ByteView whole = ByteView(received_).subspan(taken, size);
    taken += size;
    take_message(static_cast<char>(whole.front()), whole.subspan(kHeaderBytes));
  }
  if (endpoint_.attached()) {
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(taken));
  }
}

// Others (notices, settings, the row's description) say nothing about its health.
void DatabaseClient::take_message(char type, ByteView payload) {
  if (type == backend::kErrorResponse) {
    const auto error = wire::ErrorResponse::decode(payload);
    answer_.error = error ? words_of(*error) : "it sent a malformed error";
    if (error) answer_.sqlstate = error->sqlstate();
  } else if (type == backend::kDataRow && ++answer_.rows == 1) {
    const auto data = wire::DataRow::decode(payload);
    if (!data) return;
    for (const wire::Value& value : data->columns) {
      answer_.row.push_back(value.is_null ? std::nullopt : std::optional(std::string(value.text())));
    }
  } else if (type == backend::kReadyForQuery && busy()) {
    cancel(timeout_);
    step_ = Step::kResting;
    const QueryAnswer answer = std::move(answer_);
    listener_.answered(answer);
  }
}

void DatabaseClient::await(TimeNs patience, std::string_view what) {
  constexpr TimeNs kMillisecond = 1'000'000;
  cancel(timeout_);
  timeout_ = loop_.call_at(now_ns() + patience, [this, patience, what] {
    fail("no answer to " + std::string(what) + " within " + std::to_string(patience / kMillisecond) + " ms");
  });
}

void DatabaseClient::cancel(EventLoop::TimerId& timer) {
  if (timer != 0) loop_.cancel(std::exchange(timer, 0));
}

void DatabaseClient::close() {
  cancel(timeout_);
  cancel(retry_);
  if (step_ == Step::kResting && endpoint_.attached()) {
    ByteBuffer farewell;
    wire::append_terminate(farewell);
    (void)endpoint_.send(farewell);
  }
  endpoint_.close();
  encryption_.reset();
  server_login_.reset();
  received_.clear();
  step_ = Step::kClosed;
}

void DatabaseClient::fail(std::string why) {
  // The next attempt begins with the next address: this one may be of a machine that says nothing.
  if (step_ < Step::kAsking && !addresses_.empty()) address_ = (address_ + 1) % addresses_.size();
  close();
  listener_.failed(std::move(why));
}

}  // namespace understudy::proxy
