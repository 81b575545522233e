#include "proxy/health_check.h"

#include <algorithm>
#include <cstring>

#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/startup.h"
#include "proxy/clock.h"
#include "proxy/log.h"

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

// Membership of pg_read_server_files is not enough: it widens what may be read, not who may call.
std::string remedy(const HealthSettings& settings) {
  return "in database " + settings.database +
         ": GRANT EXECUTE ON FUNCTION pg_read_file(text, bigint, bigint, boolean) TO " + settings.user +
         "; or a superuser as health_user";
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

HealthCheck::HealthCheck(EventLoop& loop, Address backend, const HealthSettings& settings,
                         ServerTlsSource tls, Listener listener)
    : loop_(loop),
      backend_(std::move(backend)),
      settings_(settings),
      tls_(std::move(tls)),
      listener_(std::move(listener)),
      endpoint_(loop, *this, Slot::kServer) {}

HealthCheck::~HealthCheck() { drop(); }

void HealthCheck::set_addresses(std::vector<SocketAddress> addresses, std::string why_none) {
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

void HealthCheck::check() {
  if (step_ == Step::kResting && std::exchange(stale_, false)) drop();
  if (step_ == Step::kResting) return ask(state_query(), Step::kAsking);
  stale_ = false;
  plain_ = false;
  addresses_tried_ = 0;
  step_ = Step::kConnecting;
  await(settings_.connect_timeout, "connection and login");
  connect();
}

void HealthCheck::ask_position() { ask("SELECT pg_last_wal_replay_lsn()", Step::kAskingPosition); }

void HealthCheck::connect() {
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

void HealthCheck::try_next_address(std::string why) {
  endpoint_.close();
  if (++addresses_tried_ >= addresses_.size()) return fail(std::move(why));
  plain_ = false;
  address_ = (address_ + 1) % addresses_.size();
  connect();
}

void HealthCheck::run(std::uint32_t /*client_events*/, std::uint32_t server_events) {
  if (!endpoint_.attached()) return;
  if (step_ == Step::kEncrypting) return encrypt(encryption_.advance());
  if (step_ != Step::kConnecting) return exchange(server_events);
  // What was seen on the connection before this one is of no account.
  if ((server_events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) connected();
}

void HealthCheck::connected() {
  std::string error = static_cast<SocketConnection&>(endpoint_.connection()).connect_result();
  if (!error.empty()) return try_next_address(std::move(error));
  step_ = Step::kEncrypting;
  const bool wanted = !plain_ && !backend_.is_unix() && tls_;
  encrypt(encryption_.begin(wanted ? tls_() : nullptr, backend_.host));
}

void HealthCheck::encrypt(ServerEncryption::Progress progress) {
  using Progress = ServerEncryption::Progress;
  if (progress == Progress::kPending) return;
  if (progress == Progress::kDone) return begin_login();
  if (!encryption_.plain_may_do()) return try_next_address(encryption_.failure());
  plain_ = true;
  endpoint_.close();
  connect();
}

void HealthCheck::begin_login() {
  step_ = Step::kLoggingIn;
  login_ = std::make_unique<ServerLogin>(ClientAuthenticator(settings_.user, settings_.password));
  if (const TlsConnection* tls = endpoint_.connection().tls()) login_->bind_to(tls->server_end_point());
  wire::StartupMessage startup;
  startup.parameters = {{"user", settings_.user},
                        {"database", settings_.database},
                        {"application_name", "understudy health check"},
                        {"client_encoding", "UTF8"},
                        // What the queries call is the server's own, whatever others put before it.
                        {"search_path", "pg_catalog"}};
  ByteBuffer packet;
  wire::append_startup_message(packet, startup);
  if (!endpoint_.send(packet)) return fail(endpoint_.connection().error_text());
  endpoint_.set_interest(true, endpoint_.backlogged());
}

void HealthCheck::advance_login() {
  ByteBuffer reply;
  const auto progress = login_->take(received_, reply);
  if (!reply.empty() && !endpoint_.send(reply)) return fail(endpoint_.connection().error_text());
  if (progress == ServerLogin::Progress::kGoesOn) return;
  const std::unique_ptr<ServerLogin> login = std::move(login_);
  if (progress == ServerLogin::Progress::kReady) return ask(state_query(), Step::kAsking);
  std::string why = login->failure();
  if (login->server_error().size() > kHeaderBytes) {
    const auto error = wire::ErrorResponse::decode(ByteView(login->server_error()).subspan(kHeaderBytes));
    why = error ? words_of(*error) : "it refused the login";
  }
  fail(std::move(why));
}

void HealthCheck::ask(std::string_view sql, Step step) {
  step_ = step;
  row_.clear();
  query_error_.clear();
  query_sqlstate_.clear();
  await(settings_.query_timeout, "a query");
  ByteBuffer query;
  wire::append_query(query, sql);
  if (!endpoint_.send(query)) return fail("it closed the connection");
  endpoint_.set_interest(true, endpoint_.backlogged());
}

std::string HealthCheck::receive() {
  while (received_.size() <= kMaxMessageBytes) {
    const ReadResult result = endpoint_.read(scratch_);
    if (result.status == IoStatus::kWouldBlock) return {};
    if (result.status == IoStatus::kClosed) return "it closed the connection";
    if (result.status == IoStatus::kError) return endpoint_.connection().error_text();
    append_bytes(received_, result.bytes);
  }
  return "it sent more than was asked for";
}

void HealthCheck::exchange(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !endpoint_.flush()) return fail("it closed the connection");
  std::string end;
  if (endpoint_.ready_to_read(events)) end = receive();
  if (step_ == Step::kLoggingIn) advance_login();
  take_messages();
  if (!endpoint_.attached()) return;  // what was received ended it
  if (end.empty()) return endpoint_.set_interest(true, endpoint_.backlogged());
  if (step_ != Step::kResting) return fail(query_error_.empty() ? std::move(end) : query_error_);
  drop();
  listener_.disconnected();
}

void HealthCheck::take_messages() {
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
void HealthCheck::take_message(char type, ByteView payload) {
  if (type == backend::kErrorResponse) {
    const auto error = wire::ErrorResponse::decode(payload);
    query_error_ = error ? words_of(*error) : "it sent a malformed error";
    if (error) query_sqlstate_ = error->sqlstate();
  } else if (type == backend::kDataRow && row_.empty()) {
    const auto data = wire::DataRow::decode(payload);
    if (!data) return;
    for (const wire::Value& value : data->columns) {
      row_.push_back(value.is_null ? std::nullopt : std::optional(std::string(value.text())));
    }
  } else if (type == backend::kReadyForQuery && busy()) {
    answered();
  }
}

void HealthCheck::answered() {
  if (step_ == Step::kReadingHistory) return history_answered();
  if (!query_error_.empty()) return fail(query_error_);
  step_ == Step::kAskingPosition ? position_answered() : state_answered();
}

void HealthCheck::position_answered() {
  loop_.cancel(timeout_);
  step_ = Step::kResting;
  // None: it is a primary by now, as the next check will find.
  const auto position = row_.size() == 1 && row_[0] ? parse_lsn(*row_[0]) : std::nullopt;
  listener_.replayed(position.value_or(Lsn{}));
}

void HealthCheck::state_answered() {
  auto result = parse_state(row_);
  if (!result) return fail("its answer to the health query makes no sense");
  result_ = std::move(*result);
  if (result_.in_recovery || result_.timeline == 1) {
    history_of_ = 0;
    if (!result_.in_recovery) result_.history.emplace();  // the first timeline has none
  } else if (history_of_ != result_.timeline) {
    history_of_ = result_.timeline;
    return ask(history_query(result_.timeline), Step::kReadingHistory);
  }
  succeed();
}

// Without its history a primary is as good as with it, but for commits whose outcome must be found out.
void HealthCheck::history_answered() {
  constexpr std::string_view kInsufficientPrivilege = "42501";
  result_.history.emplace();
  const bool readable = query_error_.empty() && row_.size() == 1 && row_[0];
  if (readable) {
    result_.history = parse_history(*row_[0]);
  } else if (!told_unreadable_) {
    const bool forbidden = query_sqlstate_ == kInsufficientPrivilege;
    log_event(LogLevel::kWarning, "timeline_history_unreadable",
              {{"backend", backend_.to_string()},
               {"timeline", std::to_string(result_.timeline)},
               {"error", query_error_.empty() ? "the server has no such file" : query_error_},
               {"remedy", forbidden ? remedy(settings_) : "none known"}});
  }
  told_unreadable_ = !readable;
  succeed();
}

void HealthCheck::await(TimeNs patience, std::string_view what) {
  constexpr TimeNs kMillisecond = 1'000'000;
  loop_.cancel(timeout_);
  timeout_ = loop_.call_at(now_ns() + patience, [this, patience, what] {
    fail("no answer to " + std::string(what) + " within " + std::to_string(patience / kMillisecond) + " ms");
  });
}

void HealthCheck::drop() {
  loop_.cancel(timeout_);
  loop_.cancel(retry_);
  if (step_ == Step::kResting && endpoint_.attached()) {
    ByteBuffer farewell;
    wire::append_terminate(farewell);
    (void)endpoint_.send(farewell);
  }
  endpoint_.close();
  encryption_.reset();
  login_.reset();
  received_.clear();
  history_of_ = 0;
  step_ = Step::kClosed;
}

void HealthCheck::fail(std::string why) {
  // The next check begins with the next address: this one may be of a machine that says nothing.
  if (step_ < Step::kAsking && !addresses_.empty()) address_ = (address_ + 1) % addresses_.size();
  drop();
  listener_.failed(std::move(why));
}

void HealthCheck::succeed() {
  loop_.cancel(timeout_);
  step_ = Step::kResting;
  listener_.succeeded(result_);
}

}  // namespace understudy::proxy
