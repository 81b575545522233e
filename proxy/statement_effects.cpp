#include "proxy/statement_effects.h"

#include <Poco/JSON/Array.h>

#include <algorithm>
#include <unordered_map>

#include "formats/wire/sql_text.h"
#include "proxy/parse_tree_walk.h"
#include "proxy/sql_tokens.h"
#include "proxy/unseen_settings.h"

namespace understudy::proxy {
namespace {

using Poco::Dynamic::Var;
using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;

// One statement: its node, and the node's body.
struct Parsed {
  Var node;
  std::string type;
  Object::Ptr body;
  std::string_view text;
};

constexpr int kCursorWithHold = 0x20;  // CURSOR_OPT_HOLD

StatementEffect session_effect(EffectKind kind, std::string name = {}) {
  return {.kind = kind, .name = std::move(name), .read_safe = true};
}

// Changes only the session, but not twice in the same way, or not on every server.
StatementEffect unrepeatable_effect(EffectKind kind, std::string name) {
  return {.kind = kind, .name = std::move(name)};
}

// `holds`, `releases`: as in StatementEffect.
StatementEffect pin_effect(std::string why, bool may_write = false, std::uint8_t holds = 0,
                           std::uint8_t releases = 0) {
  return {.kind = EffectKind::kPin,
          .name = std::move(why),
          .may_write = may_write,
          .holds = holds,
          .releases = releases};
}

StatementEffect set_effect(std::string name, std::string_view text) {
  StatementEffect effect = session_effect(EffectKind::kSet, std::move(name));
  effect.text = text;
  return effect;
}

StatementEffect effect_of(const TreeJudgement& judgement) {
  if (!judgement.pin.empty())
    return pin_effect(judgement.pin, judgement.may_write, judgement.holds, judgement.releases);
  return {.kind = judgement.sets_local ? EffectKind::kSetLocal : EffectKind::kNone,
          .read_safe = judgement.read_safe,
          .may_write = judgement.may_write,
          .opaque = judgement.opaque,
          .releases = judgement.releases};
}

// --- Settings ---

bool is_of_the_transaction(std::string_view setting) {
  return setting == "transaction_isolation" || setting == "transaction_read_only" ||
         setting == "transaction_deferrable";
}

// SET name = value, or set_config that does the same.
StatementEffect setting_effect(const std::string& name, std::string_view value, bool local,
                               std::string_view text) {
  const std::string setting = to_lower(name);
  if (setting == "search_path" && begins_with_pg_temp(value)) return pin_effect(std::string(kTemporaryPath));
  if (local || is_of_the_transaction(setting)) return session_effect(EffectKind::kSetLocal, setting);
  return set_effect(setting, text);
}

// SET TRANSACTION, SET SESSION CHARACTERISTICS AS TRANSACTION.
StatementEffect characteristics_effect(const Parsed& statement) {
  const std::string what = tree::text(statement.body, "name");
  if (what == "TRANSACTION SNAPSHOT") return unrepeatable_effect(EffectKind::kSetLocal, {});  // of one server
  if (what == "TRANSACTION") return session_effect(EffectKind::kSetLocal);
  const Array::Ptr modes = tree::list(statement.body, "args");
  if (!modes || modes->size() != 1) return set_effect("transaction_characteristics", statement.text);
  // One alone is the same as the setting, which may be set again by that name.
  return set_effect("default_" + tree::text(tree::node(modes->get(0), "DefElem"), "defname"), statement.text);
}

StatementEffect variable_set_effect(const Parsed& statement) {
  const std::string kind = tree::text(statement.body, "kind");
  const std::string name = to_lower(tree::text(statement.body, "name"));
  const bool local = tree::flag(statement.body, "is_local");
  if (kind == "VAR_SET_MULTI") return characteristics_effect(statement);
  if (kind == "VAR_RESET_ALL") return session_effect(EffectKind::kResetAll);
  if (kind == "VAR_RESET" || kind == "VAR_SET_DEFAULT")
    return session_effect(local ? EffectKind::kSetLocal : EffectKind::kReset, name);
  const Array::Ptr values = tree::list(statement.body, "args");
  const Var first = values && values->size() > 0 ? values->get(0) : Var();
  return setting_effect(name, tree::string_constant(first).value_or(""), local, statement.text);
}

// IMMEDIATE runs the triggers that wait.
StatementEffect constraints_set_effect(const Parsed& statement) {
  if (tree::flag(statement.body, "deferred")) return session_effect(EffectKind::kSetLocal);
  return {.kind = EffectKind::kSetLocal, .may_write = true};
}

// The call, if that is all there is: SELECT set_config(...).
Object::Ptr sole_set_config(const Object::Ptr& select) {
  const bool bare = std::all_of(select->begin(), select->end(), [](const auto& member) {
    return member.first == "targetList" || member.first == "limitOption" || member.first == "op";
  });
  const Array::Ptr targets = tree::list(select, "targetList");
  if (!bare || !targets || targets->size() != 1) return nullptr;
  const Object::Ptr target = tree::node(targets->get(0), "ResTarget");
  const Object::Ptr call =
      target && target->has("val") ? tree::node(target->get("val"), "FuncCall") : nullptr;
  return tree::is_set_config(call) ? call : nullptr;
}

StatementEffect select_effect(const Parsed& statement) {
  if (const Object::Ptr call = sole_set_config(statement.body)) {
    const Array::Ptr arguments = tree::list(call, "args");
    const auto name = tree::string_constant(arguments->get(0));
    const auto value = tree::string_constant(arguments->get(1));
    const auto local = tree::boolean_constant(arguments->get(2));
    if (name && value && local) return setting_effect(*name, *value, *local, statement.text);
  }
  return effect_of(judge_tree(statement.node));
}

// --- Transactions ---

StatementEffect transaction_effect(const Parsed& statement) {
  static const std::unordered_map<std::string_view, EffectKind> kKinds = {
      {"TRANS_STMT_BEGIN", EffectKind::kBegin},           {"TRANS_STMT_START", EffectKind::kBegin},
      {"TRANS_STMT_COMMIT", EffectKind::kCommit},         {"TRANS_STMT_ROLLBACK", EffectKind::kRollback},
      {"TRANS_STMT_SAVEPOINT", EffectKind::kSavepoint},   {"TRANS_STMT_RELEASE", EffectKind::kRelease},
      {"TRANS_STMT_ROLLBACK_TO", EffectKind::kRollbackTo}};
  const std::string kind = tree::text(statement.body, "kind");
  StatementEffect effect = unknown_effect();
  if (kind == "TRANS_STMT_PREPARE") effect.kind = EffectKind::kPrepareTransaction;
  const auto found = kKinds.find(kind);
  if (found == kKinds.end()) return effect;  // also COMMIT PREPARED, ROLLBACK PREPARED
  effect = session_effect(found->second, tree::text(statement.body, "savepoint_name"));
  effect.chain = tree::flag(statement.body, "chain");
  return effect;
}

// --- Prepared statements, channels, cursors ---

// EXECUTE does not show what it runs, so what that would leave in the session is taken to be there from now
// on.
StatementEffect prepare_effect(const Parsed& statement) {
  const TreeJudgement query = judge_tree(statement.body->get("query"));
  if (!query.pin.empty()) return pin_effect(query.pin);
  StatementEffect effect = unrepeatable_effect(EffectKind::kPrepare, tree::text(statement.body, "name"));
  effect.opaque = query.opaque;  // said here, since EXECUTE does not show it
  effect.text = statement.text;
  return effect;
}

StatementEffect deallocate_effect(const Parsed& statement) {
  const std::string name = tree::text(statement.body, "name");
  if (name.empty()) return session_effect(EffectKind::kDeallocateAll);
  return unrepeatable_effect(EffectKind::kDeallocate, name);
}

StatementEffect listen_effect(const Parsed& statement) {
  return unrepeatable_effect(EffectKind::kListen, tree::text(statement.body, "conditionname"));
}

StatementEffect unlisten_effect(const Parsed& statement) {
  const std::string channel = tree::text(statement.body, "conditionname");
  return session_effect(channel.empty() ? EffectKind::kUnlistenAll : EffectKind::kUnlisten, channel);
}

StatementEffect discard_effect(const Parsed& statement) {
  const std::string target = tree::text(statement.body, "target");
  if (target == "DISCARD_PLANS" || target == "DISCARD_SEQUENCES") return session_effect(EffectKind::kNone);
  if (target != "DISCARD_TEMP") return session_effect(EffectKind::kDiscardAll);
  StatementEffect effect = session_effect(EffectKind::kDiscardTemp);
  effect.releases = kHeldTemporary;
  return effect;
}

StatementEffect declare_effect(const Parsed& statement) {
  const TreeJudgement query = judge_tree(statement.body->get("query"));
  const int options = statement.body->optValue<int>("options", 0);
  StatementEffect effect = effect_of(query);
  if ((options & kCursorWithHold) == 0) return effect;
  if (effect.kind == EffectKind::kPin) {
    if (effect.holds != 0) effect.holds |= kHeldCursor;
    return effect;
  }
  return pin_effect("cursor WITH HOLD " + wire::quote_identifier(tree::text(statement.body, "portalname")),
                    query.may_write, kHeldCursor, query.releases);
}

StatementEffect close_effect(const Parsed& /*statement*/) {
  StatementEffect effect = session_effect(EffectKind::kNone);
  effect.releases = kHeldCursor;
  return effect;
}

StatementEffect harmless_effect(const Parsed& /*statement*/) { return session_effect(EffectKind::kNone); }

StatementEffect load_effect(const Parsed& /*statement*/) { return pin_effect("LOAD"); }

// --- Statements that run or hold others ---

StatementEffect explain_effect(const Parsed& statement) {
  const TreeJudgement query = judge_tree(statement.body->get("query"));
  const Array::Ptr options = tree::list(statement.body, "options");
  const bool runs = options && std::any_of(options->begin(), options->end(), [](const Var& option) {
                      return tree::text(tree::node(option, "DefElem"), "defname") == "analyze";
                    });
  if (runs) return effect_of(query);
  return {.read_safe = query.read_safe};
}

StatementEffect copy_effect(const Parsed& statement) {
  TreeJudgement judgement;
  for (const auto& [key, member] : *statement.body) {
    if (key != "query" && key != "whereClause") continue;
    judgement = judge_tree(member);
  }
  // From here, or to a file or a program of the server's.
  if (tree::flag(statement.body, "is_from") || statement.body->has("filename")) {
    judgement.read_safe = false;
    judgement.may_write = true;
  }
  return effect_of(judgement);
}

// CREATE ... pg_temp.x; functions and types have their names in lists.
bool creates_in_pg_temp(const Parsed& statement) {
  if (!statement.type.starts_with("Create") && statement.type != "DefineStmt" &&
      statement.type != "ViewStmt" && statement.type != "CompositeTypeStmt")
    return false;
  return std::any_of(statement.body->begin(), statement.body->end(), [&](const auto& member) {
    const std::string& key = member.first;
    if (key == "funcname" || key == "typeName" || key == "domainname" || key == "defnames") {
      const Array::Ptr names = tree::list(statement.body, key.c_str());
      return names && names->size() > 1 && tree::name_part(names, 0).starts_with("pg_temp");
    }
    Object::Ptr relation = tree::object(statement.body, key.c_str());
    if (key == "into") relation = tree::object(relation, "rel");
    return tree::text(relation, "schemaname").starts_with("pg_temp");
  });
}

std::string procedure_of(const Parsed& call) {
  const Array::Ptr names = tree::list(tree::object(call.body, "funccall"), "funcname");
  return names ? procedure_sought(tree::name_part(names, names->size() - 1)) : std::string();
}

// DO: its code ("as"), the language of that.
std::string option_of(const Parsed& statement, std::string_view name) {
  const Array::Ptr options = tree::list(statement.body, "args");
  if (!options) return {};
  for (const Var& option : *options) {
    const Object::Ptr element = tree::node(option, "DefElem");
    if (tree::text(element, "defname") == name && element->has("arg"))
      return tree::text(tree::node(element->get("arg"), "String"), "sval");
  }
  return {};
}

// What DO and CALL run may leave what it likes in the session; where to look for the settings among that.
void mark_code(const Parsed& statement, StatementEffect& effect) {
  effect.unseen = kHeldAnything | kUnseenSettings;
  if (statement.type == "CallStmt") {
    effect.sought = procedure_of(statement);
    effect.tells_change = true;
    return;
  }
  const std::string code = option_of(statement, "as");
  const std::string language = option_of(statement, "language");
  effect.sought = settings_named_in(code);
  effect.tells_change = (!language.empty() && language != "plpgsql") || tells_change(code);
}

// All others: what changes data or its definitions, what runs code (CALL, DO, EXECUTE), what is not known
// here.
StatementEffect other_effect(const Parsed& statement) {
  TreeJudgement judgement = judge_tree(statement.node);
  if (creates_in_pg_temp(statement)) {
    if (judgement.pin.empty() || judgement.holds != 0) judgement.holds |= kHeldTemporary;
    judgement.pin = "object in pg_temp";
  }
  if (statement.type == "DropStmt" || statement.type == "DropOwnedStmt") judgement.releases |= kHeldTemporary;
  judgement.read_safe = false;
  judgement.may_write = true;
  const bool runs_code = statement.type == "CallStmt" || statement.type == "DoStmt";
  if (runs_code) judgement.opaque = true;
  StatementEffect effect = effect_of(judgement);
  if (runs_code) mark_code(statement, effect);
  return effect;
}

const std::unordered_map<std::string_view, StatementEffect (*)(const Parsed&)> kEffects = {
    {"ClosePortalStmt", close_effect},
    {"ConstraintsSetStmt", constraints_set_effect},
    {"CopyStmt", copy_effect},
    {"DeallocateStmt", deallocate_effect},
    {"DeclareCursorStmt", declare_effect},
    {"DiscardStmt", discard_effect},
    {"ExplainStmt", explain_effect},
    {"FetchStmt", harmless_effect},
    {"ListenStmt", listen_effect},
    {"LoadStmt", load_effect},
    {"PrepareStmt", prepare_effect},
    {"SelectStmt", select_effect},
    {"TransactionStmt", transaction_effect},
    {"UnlistenStmt", unlisten_effect},
    {"VariableSetStmt", variable_set_effect},
    {"VariableShowStmt", harmless_effect}};

}  // namespace

StatementEffect effect_of_tree(const Object::Ptr& statement, std::string_view text) {
  const std::string type = statement->begin()->first;
  const Parsed parsed{.node = Var(statement), .type = type, .body = statement->getObject(type), .text = text};
  const auto found = kEffects.find(type);
  return found == kEffects.end() ? other_effect(parsed) : found->second(parsed);
}

StatementEffect unknown_effect() { return {.may_write = true, .opaque = true}; }

}  // namespace understudy::proxy
