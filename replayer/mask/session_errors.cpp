// Errors and notices of a SessionMask: texts that repeat values, in whatever language.
#include <algorithm>

#include "formats/wire/backend_messages.h"
#include "replayer/mask/session_mask.h"

namespace understudy::replayer {
namespace {

using masking::Rule;

std::span<Byte> writable(std::span<Byte> payload, std::string_view part) {
  if (part.empty()) return {};
  return payload.subspan(static_cast<std::size_t>(as_bytes(part).data() - payload.data()), part.size());
}

// The columns of "email, \"Last Name\""; nothing when something else is among them, lower(email) say.
std::vector<std::string> column_names(std::string_view list) {
  std::vector<std::string> names;
  while (true) {
    std::string name;
    std::size_t end = 0;
    if (list.starts_with('"')) {
      for (end = 1; end < list.size() && (list[end] != '"' || list.substr(end, 2) == "\"\""); ++end) {
        name += list[end];
        if (list[end] == '"') ++end;
      }
      if (end++ >= list.size()) return {};
    } else {
      end = std::min(list.find(", "), list.size());
      name = list.substr(0, end);
      if (name.find_first_of(" ()\"':,.+-*/|=<>[]") != std::string::npos) return {};
    }
    if (name.empty()) return {};
    names.push_back(std::move(name));
    if (end == list.size()) return names;
    if (list.substr(end, 2) != ", ") return {};
    list.remove_prefix(end + 2);
  }
}

}  // namespace

// Whether masked values are in what the statement does, by whatever name.
bool SessionMask::tells_masked(const Portal& portal) const {
  const StatementValues& values = *portal.statement->values;
  const auto of_name = [&](const std::string& name) {
    const auto found = portal.named.find(name);
    return !name.empty() &&
           (found == portal.named.end() || !found->second->understood || found->second->mentioned != nullptr);
  };
  if (!values.understood || values.mentioned != nullptr) return true;
  if (std::any_of(values.executes.begin(), values.executes.end(), of_name)) return true;
  return std::any_of(values.results.begin(), values.results.end(), [&](const ResultShape& shape) {
    return of_name(shape.refers_to) ||
           (shape.copy && (shape.any != nullptr || std::any_of(shape.columns.begin(), shape.columns.end(),
                                                               [](const Rule* rule) { return rule; })));
  });
}

bool SessionMask::error(std::span<Byte> payload, bool is_error) {
  const auto message = wire::ErrorResponse::decode(payload);
  if (!message) return false;
  const StatementValues* const values =
      front() != nullptr && front()->portal.statement ? front()->portal.statement->values.get() : nullptr;
  // What is not known or not understood may have said anything, and may be told of. Between requests, the
  // server speaks of itself.
  const bool between = pending_.empty() && in_step_ && !lost_;
  const bool of_unknown = values != nullptr ? !values->understood : !between;
  const bool masked = values != nullptr && tells_masked(front()->portal);
  const std::string code(message->field('C'));
  std::vector<std::string> tables;
  // A foreign key's error may be of the other table's columns.
  if (const std::string_view table = message->field('t'); !table.empty() && code != "23503")
    tables.emplace_back(table);
  for (const wire::ErrorField& field : message->fields) {
    if (std::string_view("MDHWq").find(field.code) == std::string_view::npos) continue;
    const std::span<Byte> text = writable(payload, field.text);
    // A row, or a key; 44000: one that a view does not show.
    const bool of_constraint = field.code == 'D' && (code.starts_with("23") || code == "44000");
    const bool of_key = of_constraint && (code == "23505" || code == "23503");
    // A function's own statements, rows that are not the statement's own.
    const bool of_inside =
        !of_constraint && std::string_view("DWq").find(field.code) != std::string_view::npos;
    if (of_unknown || (of_constraint && !(of_key && constraint_detail(text, tables))) ||
        (of_inside && (masked || names_masked(field.text)))) {
      ++masker_.counts().hidden;
      ValueMasker::blot(text);
      continue;
    }
    const std::vector<bool> tokens = repeat_tokens(text);
    // invalid input syntax for type integer: "x", and the like: of a column's value, which no one told before
    if (masked && code.starts_with("22")) hide_quoted(text, tokens);
    mask_by_pattern(text);
  }
  if (is_error) failed();
  return true;
}

// "Key (email)=(a@b) already exists.", in any language. False when it is not fully understood.
bool SessionMask::constraint_detail(std::span<Byte> text, const std::vector<std::string>& tables) {
  const std::string_view all = as_text(text);
  const std::size_t open = all.find('(');
  const std::size_t equal = all.find(")=(");
  const std::size_t close = all.rfind(')');
  if (equal == std::string_view::npos || open > equal || close < equal + 3) return false;
  const auto names = column_names(all.substr(open + 1, equal - open - 1));
  if (names.empty()) return false;
  const masking::Rules& rules = masker_.rules();
  const std::span<Byte> values = text.subspan(equal + 3, close - equal - 3);
  if (names.size() == 1) {
    masker_.mask(values, {.column_rule = rules.for_column(tables, names.front())});
    return true;
  }
  // Of several columns: where a value ends is not certain, nor what it looks like.
  if (rules.has_types() || rules.has_patterns() ||
      std::any_of(names.begin(), names.end(),
                  [&](const std::string& name) { return rules.for_column(tables, name) != nullptr; })) {
    ++masker_.counts().hidden;
    ValueMasker::blot(values);
  }
  return true;
}

// Whether a masked column's name stands in it: so may its value.
bool SessionMask::names_masked(std::string_view text) const {
  const auto& rules = masker_.rules().all();
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
    return rule.kind == Rule::Kind::kColumn && text.find(rule.name) != std::string_view::npos;
  });
}

// From the first quote to the last; of a text with others than these, »such« or in another script, all of it.
void SessionMask::hide_quoted(std::span<Byte> text, const std::vector<bool>& tokens) {
  const std::string_view all = as_text(text);
  const bool ascii = std::all_of(text.begin(), text.end(), [](Byte byte) { return byte < 0x80; });
  const std::size_t begin = ascii ? std::min(all.find('"'), all.size()) : 0;
  const std::size_t end = ascii ? all.find_last_of('"') : all.size();
  bool hidden = false;
  for (std::size_t i = begin; i < all.size() && i < end; ++i) {
    if (tokens[i] || (ascii && text[i] == '"')) continue;
    ValueMasker::blot(text.subspan(i, 1));
    hidden = true;
  }
  if (hidden) ++masker_.counts().hidden;
}

// Values masked before, wherever they stand in a text: the longest first, for one may be part of another.
std::vector<bool> SessionMask::repeat_tokens(std::span<Byte> text) {
  const std::string before(as_text(text));
  std::vector<std::pair<std::string_view, std::string_view>> found;
  for (const auto& [value, token] : masker_.seen()) {
    if (before.find(value) != std::string::npos) found.emplace_back(value, token);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  std::vector<bool> done(before.size(), false);
  for (const auto& [value, token] : found) {
    for (std::size_t at = before.find(value); at != std::string::npos; at = before.find(value, at + 1)) {
      for (std::size_t i = 0; i < value.size(); ++i) {  // of those that overlap, each byte but once
        if (done[at + i]) continue;
        text[at + i] = static_cast<Byte>(token[i]);
        done[at + i] = true;
      }
    }
  }
  return done;
}

}  // namespace understudy::replayer
