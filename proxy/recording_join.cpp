#include "proxy/recording_join.h"

#include <algorithm>
#include <utility>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/message_types.h"
#include "proxy/sql_tokens.h"

namespace understudy::proxy {
namespace {

constexpr std::size_t kHeaderBytes = 5;

// Nothing is replayed to another server: no request is kept.
ContinuityLimits following_limits() {
  ContinuityLimits limits;
  limits.transaction_bytes = 0;
  limits.asks = false;
  return limits;
}

std::string first_word(std::string_view sql, std::size_t& end) {
  const auto tokens = read_sql_tokens(sql);
  if (!tokens || tokens->empty() || tokens->front().kind != SqlTokenKind::kWord) return {};
  end = tokens->front().end;
  return to_lower(tokens->front().of(sql));
}

// SELECT set_config(...) answers with the value as the server writes it, which is not known here; the same
// said by PERFORM has no result.
std::string without_result(std::string_view sql, std::size_t behind_select) {
  std::string tag = "$understudy$";
  for (int n = 0; sql.find(tag) != std::string_view::npos; ++n) tag = "$understudy" + std::to_string(n) + "$";
  return "DO " + tag + "BEGIN PERFORM" + std::string(sql.substr(behind_select)) + "\n; END" + tag;
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

class StateWriter {
 public:
  StateWriter(StatementTraitsCache& traits, const Continuity::Settings& at_login,
              const Continuity::Settings& settings)
      : traits_(traits), at_login_(at_login), settings_(settings) {}

  void message(ByteView raw) {
    const char type = static_cast<char>(raw.front());
    if (type == wire::frontend::kQuery) {
      const ByteView payload = raw.subspan(kHeaderBytes);
      return query(as_text(payload.first(payload.size() - 1)));
    }
    append_bytes(open_.request, raw);
    if (type == wire::frontend::kParse) {
      wire::append_empty_message(open_.answer, wire::backend::kParseComplete);
    }
    if (type == wire::frontend::kSync) end();
  }
  [[nodiscard]] std::vector<StateExchange> take() { return std::move(exchanges_); }

 private:
  void query(std::string_view sql) {
    std::size_t word_end = 0;
    std::string word = first_word(sql, word_end);
    const bool selects = word == "select";
    if (selects) word = "do";
    if (word.empty()) word = "set";  // a text that takes the server's own lexer
    wire::append_query(open_.request, selects ? without_result(sql, word_end) : std::string(sql));
    // SET, LISTEN, PREPARE, DO: the command's tag is its first word.
    wire::append_command_complete(open_.answer, upper(word));
    const StatementTraits& meaning = traits_.of(sql);
    if (meaning.statements.size() == 1 && meaning.statements.front().kind == EffectKind::kSet) {
      report(meaning.statements.front().name);
    }
    end();
  }
  void end() {
    wire::append_ready_for_query(open_.answer, wire::TransactionStatus::kIdle);
    exchanges_.push_back(std::exchange(open_, {}));
  }
  // A server tells of settings that clients depend on when they change ("Asynchronous Operations").
  void report(std::string_view name) {
    for (const auto& [reported, value] : settings_) {
      const std::string* const before = at_login_.find(reported);
      if (before != nullptr && *before == value) continue;
      const std::string known = to_lower(reported);
      const bool of_role = (name == "role" || name == "session_authorization") && known == "is_superuser";
      if (known == name || of_role) wire::append_parameter_status(open_.answer, reported, value);
    }
  }

  StatementTraitsCache& traits_;
  const Continuity::Settings& at_login_;
  const Continuity::Settings& settings_;
  StateExchange open_;
  std::vector<StateExchange> exchanges_;
};

}  // namespace

std::vector<StateExchange> state_exchanges(ByteView state, StatementTraitsCache& traits,
                                           const Continuity::Settings& at_login,
                                           const Continuity::Settings& settings) {
  StateWriter writer(traits, at_login, settings);
  while (state.size() > kHeaderBytes - 1) {
    const std::size_t size = std::size_t{load_be32(state.data() + 1)} + 1;
    if (size < kHeaderBytes || size > state.size()) break;  // ours: they are whole
    writer.message(state.first(size));
    state = state.subspan(size);
  }
  return writer.take();
}

RecordingJoin::RecordingJoin(SessionDescriptor descriptor, Continuity::Settings greeting,
                             StatementTraitsCache& traits, bool follows)
    : descriptor_(std::move(descriptor)), at_login_(std::move(greeting)) {
  if (!follows) return;
  followed_ = std::make_unique<Continuity>(following_limits(), traits);
  followed_->served_by(0, at_login_);
}

void RecordingJoin::give_up() {
  followed_.reset();
  gave_up_ = true;
}

void RecordingJoin::wait(std::shared_ptr<JoinTally> tally) {
  stop_waiting();
  tally_ = std::move(tally);
  tally_->waiting.fetch_add(1, std::memory_order_relaxed);
}

std::shared_ptr<JoinTally> RecordingJoin::done() {
  if (tally_ != nullptr) tally_->waiting.fetch_sub(1, std::memory_order_relaxed);
  return std::exchange(tally_, nullptr);
}

void RecordingJoin::forget() { (void)done(); }

// The session ends.
void RecordingJoin::stop_waiting() {
  if (const auto tally = done()) tally->left.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace understudy::proxy
