#include "proxy/shadow_session.h"

#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/server_reset.h"
#include "proxy/sql_tokens.h"

namespace understudy::proxy {
namespace {

constexpr std::size_t kMostExchanges = 64;
constexpr std::size_t kMostBytes = 1U << 20;
constexpr std::size_t kMostShown = 200;
// Of all sessions, one difference is logged so often.
constexpr TimeNs kLogPause = 1'000'000'000;

// Without what may be a secret: constants and comments.
std::string without_constants(std::string_view sql) {
  const auto tokens = read_sql_tokens(sql);
  if (!tokens) return "(a text that could not be read)";
  std::string shown;
  for (const SqlToken& token : *tokens) {
    const bool constant = token.kind == SqlTokenKind::kString || token.kind == SqlTokenKind::kNumber;
    if (!shown.empty()) shown += ' ';
    shown += constant ? std::string_view("?") : token.of(sql);
    if (shown.size() > kMostShown) return shown.substr(0, kMostShown) + "...";
  }
  return shown;
}

std::string in_words(const ExchangeDigest& digest) {
  if (!digest.sqlstate.empty()) return "error " + digest.sqlstate;
  return std::to_string(digest.rows) + (digest.rows == 1 ? " row" : " rows");
}

}  // namespace

ShadowSession::ShadowSession(SessionContext& context, std::string key, SessionDescriptor descriptor)
    : context_(context),
      key_(std::move(key)),
      descriptor_(std::move(descriptor)),
      endpoint_(context.loop, *this, Slot::kServer) {}

bool ShadowSession::has_room() const {
  return exchanges_.size() < kMostExchanges && queued_bytes_ < kMostBytes && !endpoint_.backlogged();
}

void ShadowSession::attach(PooledServer server) {
  endpoint_.attach(std::move(server.connection));
  endpoint_.set_interest(true, false);
  server_ = std::move(server);
  version_ = 0;
  if (context_.shared.observer == nullptr) return;
  SessionDescriptor descriptor = descriptor_;
  descriptor.attributes.emplace_back("shadow_of", std::to_string(descriptor_.id.number));
  descriptor.id.number = context_.shared.next_session.fetch_add(1, std::memory_order_relaxed);
  descriptor.opened_at = now_ns();
  descriptor.backend = server_.address_text.empty() ? server_.backend.to_string() : server_.address_text;
  descriptor.server_tls = server_.tls != nullptr;
  observer_ = context_.shared.observer->open_session(context_.worker_index, descriptor);
}

void ShadowSession::ask(const ByteBuffer& before, unsigned answers, ByteView batch, unsigned readies,
                        std::string text) {
  Exchange exchange;
  exchange.to_skip = answers;
  exchange.readies = readies;
  exchange.size_bytes = before.size() + batch.size() + text.size();
  exchange.text = std::move(text);
  queued_bytes_ += exchange.size_bytes;
  exchanges_.push_back(std::move(exchange));
  primary_.begin(readies);
  if (observer_) observer_->relayed(Direction::kFromClient, now_ns(), batch);
  ByteBuffer all = before;
  append_bytes(all, batch);
  if (!endpoint_.send(all)) return lose();
  endpoint_.set_interest(true, endpoint_.backlogged());
}

void ShadowSession::primary_answered(ByteView bytes) {
  if (exchanges_.empty() || exchanges_.back().primary) return;
  (void)primary_.feed(bytes);
  if (!primary_.done()) return;
  exchanges_.back().primary = primary_.digest();
  compare();
}

void ShadowSession::run(std::uint32_t /*client_events*/, std::uint32_t server_events) {
  if (!endpoint_.attached()) return;
  if ((server_events & EPOLLOUT) != 0 && !endpoint_.flush()) return lose();
  bool more = endpoint_.ready_to_read(server_events);
  while (more && endpoint_.attached()) {
    const ReadResult result = endpoint_.read(context_.scratch);
    if (result.status == IoStatus::kWouldBlock) break;
    if (result.status != IoStatus::kOk) return lose();
    take(result.bytes);
    more = result.more;
  }
  if (endpoint_.attached()) endpoint_.set_interest(true, endpoint_.backlogged());
}

void ShadowSession::take(ByteView bytes) {
  while (!bytes.empty() && answered_ < exchanges_.size()) {
    Exchange& exchange = exchanges_[answered_];
    if (shadow_.done()) {
      skipping_ = exchange.to_skip > 0;
      shadow_.begin(skipping_ ? std::exchange(exchange.to_skip, 0U) : exchange.readies);
    }
    const std::size_t taken = shadow_.feed(bytes);
    if (!skipping_ && observer_) observer_->relayed(Direction::kFromServer, now_ns(), bytes.first(taken));
    bytes = bytes.subspan(taken);
    if (!shadow_.done() || skipping_) continue;
    exchange.shadow = shadow_.digest();
    ++answered_;
  }
  if (!bytes.empty()) shadow_.pass(bytes);
  compare();
}

void ShadowSession::compare() {
  Statistics& statistics = context_.shared.statistics;
  while (!exchanges_.empty() && exchanges_.front().primary && exchanges_.front().shadow) {
    const Exchange& exchange = exchanges_.front();
    count(statistics.shadow_compared);
    if (*exchange.primary == *exchange.shadow) {
      count(statistics.shadow_equal);
    } else {
      count(statistics.shadow_different);
      tell_difference(exchange);
    }
    queued_bytes_ -= exchange.size_bytes;
    exchanges_.pop_front();
    --answered_;
  }
}

void ShadowSession::tell_difference(const Exchange& exchange) {
  std::atomic<TimeNs>& told = context_.shared.shadow_difference_told;
  const TimeNs now = now_ns();
  TimeNs before = told.load(std::memory_order_relaxed);
  if (now - before < kLogPause || !told.compare_exchange_strong(before, now, std::memory_order_relaxed))
    return;
  log_event(LogLevel::kWarning, "shadow_differs",
            {{"session", std::to_string(descriptor_.id.number)},
             {"primary", in_words(*exchange.primary)},
             {"shadow", in_words(*exchange.shadow)},
             {"statement", without_constants(exchange.text)}});
}

// What was asked will not be compared.
void ShadowSession::lose() {
  context_.shared.statistics.shadow_shed.fetch_add(exchanges_.size(), std::memory_order_relaxed);
  exchanges_.clear();
  answered_ = queued_bytes_ = 0;
  shadow_ = primary_ = ExchangeDigester();
  if (observer_) observer_->closed({CloseReason::kServerLeft, "the shadow's server was lost"}, now_ns());
  observer_.reset();
  endpoint_.close();
  context_.shared.pool.gone(key_, now_ns());
}

void ShadowSession::end() {
  if (std::exchange(ended_, true)) return;
  context_.shared.statistics.shadow_shed.fetch_add(exchanges_.size(), std::memory_order_relaxed);
  if (observer_) observer_->closed({CloseReason::kClientLeft, {}}, now_ns());
  observer_.reset();
  if (endpoint_.attached()) {
    const bool idle = exchanges_.empty() && !endpoint_.backlogged();
    server_.connection = endpoint_.release();
    if (idle) {
      auto reset = std::make_unique<ServerReset>(context_, context_.shared.pool, key_, std::move(server_));
      ServerReset& started = *reset;
      context_.owner.keep(std::move(reset));
      started.start();
    } else {
      server_.connection.reset();
      context_.shared.pool.gone(key_, now_ns());
    }
  }
  context_.owner.ended(*this);
}

}  // namespace understudy::proxy
