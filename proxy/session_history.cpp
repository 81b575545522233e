#include "proxy/session_history.h"

#include <algorithm>
#include <utility>

#include "formats/wire/frontend_builders.h"

namespace understudy::proxy {
namespace {

using K = EffectKind;

// More statements that are gone are not told one by one.
constexpr std::size_t kMostRemoved = 256;

// Calls `visit` with the index of each kind of the set.
template <typename Visit>
void for_each_kind(std::uint8_t kinds, Visit visit) {
  for (std::size_t kind = 0; kind < kHeldKinds; ++kind) {
    if ((kinds >> kind & 1U) != 0) visit(kind);
  }
}

bool obeys_transactions(const StatementEffect& effect) {
  switch (effect.kind) {
    case K::kPrepare:
    case K::kDeallocate:
    case K::kDeallocateAll:
      return false;
    case K::kPin:
      return effect.holds != 0 && (effect.holds & kHeldLock) == 0;
    default:
      return true;
  }
}

}  // namespace

void SessionHistory::completed(const StatementEffect& effect) {
  switch (effect.kind) {
    case K::kNone:
    case K::kBegin:
    case K::kSetLocal:
    case K::kDiscardTemp:
      return;
    case K::kCommit:
    case K::kPrepareTransaction:
      return committed();
    case K::kRollback:
      return rolled_back();
    case K::kRollbackTo:
      return roll_back_to(effect.name);
    case K::kRelease:
      return release(effect.name);
    default:
      return add(effect, obeys_transactions(effect));
  }
}

void SessionHistory::parsed(std::string_view name, ByteView message, std::string sql) {
  // A client that prepares each statement anew would make the list long.
  if (name.empty() && !changes_.empty()) {
    Change& last = changes_.back();
    if (last.effect.kind == K::kPrepare && last.effect.name.empty()) {
      changed_bytes_ -= last.size_bytes();
      last.effect.text = std::move(sql);
      last.message.assign(message.begin(), message.end());
      changed_bytes_ += last.size_bytes();
      return;
    }
  }
  StatementEffect effect;
  effect.kind = K::kPrepare;
  effect.name = name;
  effect.text = std::move(sql);
  add(std::move(effect), false, ByteBuffer(message.begin(), message.end()));
}

void SessionHistory::closed(std::string_view name) {
  // A Query closes the unnamed statement: a transaction has as many of them as it likes.
  const bool known = !changes_.empty() && changes_.back().effect.kind == K::kDeallocate &&
                     changes_.back().effect.name == name && !changes_.back().transactional;
  if (known || (name.empty() && changes_.empty() && !has_unnamed())) return;
  StatementEffect effect;
  effect.kind = K::kDeallocate;
  effect.name = name;
  add(std::move(effect), false);
}

bool SessionHistory::has_unnamed() const {
  return std::any_of(prepared_.begin(), prepared_.end(),
                     [](const Prepared& one) { return one.name.empty(); });
}

void SessionHistory::add(StatementEffect effect, bool transactional, ByteBuffer message) {
  Change change;
  change.effect = std::move(effect);
  change.transactional = transactional;
  change.message = std::move(message);
  changed_bytes_ += change.size_bytes();
  changes_.push_back(std::move(change));
}

void SessionHistory::committed() {
  for (Change& change : changes_) change.settled = true;
}

void SessionHistory::unsettle() {
  for (Change& change : changes_) change.settled = false;
}

void SessionHistory::rolled_back() {
  std::erase_if(changes_, [](const Change& change) { return change.transactional && !change.settled; });
  measure_changes();
  committed();
}

void SessionHistory::roll_back_to(std::string_view savepoint) {
  const auto mark = std::find_if(changes_.rbegin(), changes_.rend(), [&](const Change& change) {
    return !change.settled && change.effect.kind == K::kSavepoint && change.effect.name == savepoint;
  });
  if (mark == changes_.rend()) return;
  changes_.erase(
      std::remove_if(mark.base(), changes_.end(), [](const Change& change) { return change.transactional; }),
      changes_.end());
  measure_changes();
}

void SessionHistory::release(std::string_view savepoint) {
  const auto mark = std::find_if(changes_.rbegin(), changes_.rend(), [&](const Change& change) {
    return !change.settled && change.effect.kind == K::kSavepoint && change.effect.name == savepoint;
  });
  if (mark == changes_.rend()) return;
  changes_.erase(std::remove_if(std::prev(mark.base()), changes_.end(),
                                [](const Change& change) { return change.effect.kind == K::kSavepoint; }),
                 changes_.end());
  measure_changes();
}

const std::string* SessionHistory::prepared(std::string_view name) const {
  const auto text = [](const std::string& sql, const ByteBuffer& message) {
    return message.empty() ? nullptr : &sql;
  };
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    const StatementEffect& effect = change->effect;
    if (effect.kind == K::kPrepare && effect.name == name) return text(effect.text, change->message);
    const bool gone = (effect.kind == K::kDeallocate && effect.name == name) ||
                      (effect.kind == K::kDeallocateAll && !name.empty()) || effect.kind == K::kDiscardAll;
    if (gone) return nullptr;
  }
  const auto found =
      std::find_if(prepared_.begin(), prepared_.end(), [&](const Prepared& one) { return one.name == name; });
  return found == prepared_.end() ? nullptr : text(found->sql, found->message);
}

void SessionHistory::keep() {
  if (changes_.empty()) return;
  for (Change& change : changes_) apply(std::move(change));
  changes_.clear();
  changed_bytes_ = 0;
  measure();
}

void SessionHistory::apply(Change&& change) {
  StatementEffect& effect = change.effect;
  ++version_;
  switch (effect.kind) {
    case K::kSet:
      // A new user has the role of nobody but itself ("SET SESSION AUTHORIZATION").
      if (effect.name == "session_authorization") forget_setting("role");
      forget_setting(effect.name);
      settings_.push_back({std::move(effect.name), std::move(effect.text), version_, false});
      return;
    case K::kReset:
      undone_ = version_;
      if (effect.name == "session_authorization") forget_setting("role");
      return forget_setting(effect.name);
    case K::kResetAll:
      undone_ = version_;
      std::erase_if(settings_, [](const Setting& setting) {
        return setting.name != "role" && setting.name != "session_authorization";
      });
      return;
    case K::kPrepare:
      forget_prepared(effect.name);
      prepared_.push_back(
          {std::move(effect.name), std::move(effect.text), std::move(change.message), version_});
      return;
    case K::kDeallocate:
      return forget_prepared(effect.name);
    case K::kDeallocateAll:
      undone_ = version_;
      // DEALLOCATE ALL knows no unnamed statement.
      std::erase_if(prepared_, [](const Prepared& one) { return !one.name.empty(); });
      return;
    case K::kListen:
      if (std::find(channels_.begin(), channels_.end(), effect.name) == channels_.end()) {
        channels_.push_back(std::move(effect.name));
      }
      return;
    case K::kUnlisten:
      std::erase(channels_, effect.name);
      return;
    case K::kUnlistenAll:
      channels_.clear();
      return;
    case K::kDiscardAll:
      undone_ = version_;
      settings_.clear();
      prepared_.clear();
      channels_.clear();
      pin_.clear();
      held_ = {};
      return;
    case K::kPin:
      return apply_pin(effect);
    default:
      return;
  }
}

void SessionHistory::apply_pin(const StatementEffect& effect) {
  if (effect.holds == 0 && pin_.empty()) pin_ = effect.name;
  for_each_kind(effect.holds, [&](std::size_t kind) {
    if (held_[kind].empty()) held_[kind] = effect.name;
  });
}

const std::string& SessionHistory::pinned() const {
  if (!pin_.empty()) return pin_;
  const auto held = std::find_if(held_.begin(), std::prev(held_.end()),
                                 [](const std::string& name) { return !name.empty(); });
  return *held;
}

std::uint8_t SessionHistory::held() const {
  unsigned kinds = 0;
  for (std::size_t kind = 0; kind < kHeldKinds; ++kind) {
    if (!held_[kind].empty()) kinds |= 1U << kind;
  }
  for (const Change& change : changes_) kinds |= change.effect.holds;
  return static_cast<std::uint8_t>(kinds);
}

void SessionHistory::found(std::uint8_t kinds) {
  constexpr std::string_view kMadeUnseen[] = {"temporary table made by a procedure",
                                              "session-level advisory lock taken by a procedure",
                                              "cursor WITH HOLD made by a procedure"};
  for_each_kind(kinds, [&](std::size_t kind) {
    if (held_[kind].empty()) held_[kind] = kMadeUnseen[kind];
  });
}

void SessionHistory::let_go(std::uint8_t kinds) {
  for_each_kind(kinds, [&](std::size_t kind) { held_[kind].clear(); });
}

void SessionHistory::seek_settings(std::string& sought) const {
  for (const Setting& setting : settings_) seek_also(sought, setting.name);
}

SessionHistory::News SessionHistory::learn(const std::vector<LearnedSetting>& settings,
                                           std::string_view user) {
  News news = News::kNone;
  const auto take = [&](const LearnedSetting& one) { news = std::max(news, learn_one(one)); };
  // Made of several, which are all among what was learned.
  if (!settings.empty()) take({.name = "transaction_characteristics"});
  const LearnedSetting* authorization = nullptr;
  const LearnedSetting* role = nullptr;
  for (const LearnedSetting& one : settings) {
    if (one.name == "session_authorization") {
      authorization = &one;
    } else if (one.name == "role") {
      role = &one;
    } else {
      take(one);
    }
  }
  const auto known = [this](std::string_view name) {
    return std::any_of(settings_.begin(), settings_.end(),
                       [&](const Setting& setting) { return setting.name == name; });
  };
  // As after every login: nothing that would have to be said. A new user has no role yet.
  if (authorization != nullptr && (known(authorization->name) || authorization->value != user))
    take(*authorization);
  if (role != nullptr && (known(role->name) || role->value != "none")) take(*role);
  measure();
  return news;
}

SessionHistory::News SessionHistory::learn_one(const LearnedSetting& learned) {
  const auto known = std::find_if(settings_.begin(), settings_.end(),
                                  [&](const Setting& setting) { return setting.name == learned.name; });
  const bool there = known != settings_.end();
  if (!learned.pins.empty()) {
    if (pin_.empty()) pin_ = learned.pins;
    return News::kSome;
  }
  if (there ? known->text == learned.text : learned.text.empty()) return News::kNone;
  ++version_;
  if (learned.text.empty()) {
    undone_ = version_;
    settings_.erase(known);
    return learned.name == "transaction_characteristics" ? News::kPerhaps : News::kSome;
  }
  const bool was_learned = !there || known->learned;
  // Another role, as far as is known, comes behind what was set without it.
  const bool moves = learned.name == "session_authorization" || (learned.name == "role" && was_learned);
  if (there && !moves) {
    known->text = learned.text;
    known->version = version_;
    known->learned = true;
  } else {
    if (learned.name == "session_authorization") forget_setting("role");
    forget_setting(learned.name);
    settings_.push_back({learned.name, learned.text, version_, true});
  }
  return was_learned ? News::kSome : News::kPerhaps;
}

void SessionHistory::forget_setting(std::string_view name) {
  std::erase_if(settings_, [&](const Setting& setting) { return setting.name == name; });
}

void SessionHistory::forget_prepared(std::string_view name) {
  const bool was_there =
      std::any_of(prepared_.begin(), prepared_.end(), [&](const Prepared& one) { return one.name == name; });
  if (!was_there) return;
  const auto removed = std::find_if(removed_.begin(), removed_.end(),
                                    [&](const Removed& one) { return one.statement == name; });
  if (removed != removed_.end()) {
    removed->version = version_;
  } else if (!name.empty()) {
    removed_.push_back({std::string(name), version_});
  }
  if (removed_.size() > kMostRemoved) {
    undone_ = version_;
    removed_.clear();
  }
  std::erase_if(prepared_, [&](const Prepared& one) { return one.name == name; });
}

void SessionHistory::measure() {
  size_bytes_ = 0;
  for (const Setting& setting : settings_) size_bytes_ += setting.name.size() + setting.text.size();
  for (const Prepared& one : prepared_) size_bytes_ += one.sql.size() + one.message.size();
  for (const std::string& channel : channels_) size_bytes_ += channel.size();
}

void SessionHistory::measure_changes() {
  changed_bytes_ = 0;
  for (const Change& change : changes_) changed_bytes_ += change.size_bytes();
}

SessionHistory::Answers SessionHistory::restore(ByteBuffer& out) const {
  Answers answers;
  // One at a time: SET SESSION AUTHORIZATION, say, counts for what follows it.
  for (const Setting& setting : settings_) {
    wire::append_query(out, setting.text);
    ++answers.due;
  }
  for (const std::string& channel : channels_) {
    std::string sql = "LISTEN \"";
    for (const char c : channel) sql.append(c == '"' ? 2 : 1, c);
    wire::append_query(out, sql + '"');
    ++answers.due;
  }
  // A Query takes the unnamed statement with it: so those come first.
  for (const Prepared& one : prepared_) {
    if (!one.message.empty()) continue;
    wire::append_query(out, one.sql);
    ++answers.lenient;
  }
  for (const Prepared& one : prepared_) {
    if (one.message.empty()) continue;
    append_bytes(out, one.message);
    wire::append_sync(out);
    ++answers.lenient;
  }
  answers.due += answers.lenient;
  return answers;
}

SessionHistory::Answers SessionHistory::catch_up(
    ByteBuffer& out, std::uint64_t version, bool unnamed,
    const std::function<bool(const std::string& sql)>& wanted) const {
  Answers answers;
  if (version != 0 && version < undone_) {
    wire::append_query(out, "DISCARD ALL");
    ++answers.due;
    version = 0;
  }
  for (const Setting& setting : settings_) {
    if (setting.version <= version) continue;
    wire::append_query(out, setting.text);
    ++answers.due;
  }
  // Closing what is not there is no error.
  bool closes = false;
  for (const Removed& one : removed_) {
    if (one.version <= version || version == 0) continue;
    wire::append_close(out, wire::Target::kStatement, one.statement);
    closes = true;
  }
  if (closes) {
    wire::append_sync(out);
    ++answers.due;
  }
  for (const Prepared& one : prepared_) {
    if (one.message.empty()) continue;
    const bool missing = one.name.empty() ? unnamed : one.version > version && wanted(one.sql);
    if (!missing) continue;
    append_bytes(out, one.message);
    wire::append_sync(out);
    ++answers.lenient;
  }
  answers.due += answers.lenient;
  return answers;
}

}  // namespace understudy::proxy
