#include "replayer/mask/statement_values.h"

#include <Poco/JSON/Parser.h>
#include <pg_query.h>

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "proxy/parse_tree_walk.h"
#include "proxy/sql_tokens.h"
#include "replayer/mask/column_judge.h"
#include "replayer/mask/followed_statements.h"
#include "replayer/mask/named_calls.h"
#include "replayer/mask/result_shape.h"
#include "replayer/mask/statement_text.h"
#include "replayer/mask/tree_parts.h"

namespace understudy::replayer {
namespace {

using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;
using masking::Rule;
using Poco::Dynamic::Var;
using proxy::SqlToken;
using proxy::SqlTokenKind;
namespace tree = proxy::tree;

constexpr std::size_t kMaxBytes = std::size_t{4} << 20;
// As in proxy/statement_traits.cpp: libpg_query and Poco recurse into what they read.
constexpr std::size_t kMaxNesting = 5000;
constexpr std::size_t kMaxJsonDepth = 2000;

class Reader {
 public:
  Reader(const masking::Rules& rules, StatementValues& out, std::vector<SqlToken> tokens,
         std::string_view sql, const TableColumns& known)
      : rules_(rules),
        out_(out),
        known_(known),
        tokens_(std::move(tokens)),
        sql_(sql),
        taken_(tokens_.size(), false) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) token_at_.emplace(tokens_[i].begin, i);
  }

  // False when not all of it is understood.
  bool read(const char* json) {
    Poco::JSON::Parser parser;
    parser.setDepth(kMaxJsonDepth);
    const auto root = parser.parse(json).extract<Object::Ptr>();
    const Array::Ptr statements = root->getArray("stmts");
    for (unsigned i = 0; statements && i < statements->size(); ++i) {
      const Object::Ptr statement = statements->getObject(i)->getObject("stmt");
      if (!statement || statement->size() != 1 || !is_followed(statement->begin()->first)) return false;
      rests_.push_back({.begin = statements->getObject(i)->optValue<std::size_t>("stmt_location", 0)});
      read_statement(Var(statement));
      if (const auto notify = tree::node(Var(statement), "NotifyStmt"))
        take_payload(notify, rests_.back().begin);
      if (!whole_) return false;
    }
    if (statements && statements->size() == 1)
      out_.tables = table_effects(Var(statements->getObject(0)->getObject("stmt")));
    take_rest();
    std::sort(out_.constants.begin(), out_.constants.end(),
              [](const ConstantPlace& a, const ConstantPlace& b) { return a.begin < b.begin; });
    return true;
  }

 private:
  // What the strings and numbers of a statement are that are no constants to the parser.
  struct Rest {
    std::size_t begin = 0;
    const Rule* free_text = nullptr;  // a text for people may hold any value: of this rule, so to say
    const Rule* trigger = nullptr;    // of a trigger's table: its arguments may be of that column
    bool copies = false;              // options, such as a delimiter
  };

  void read_statement(const Var& statement) {
    const ColumnJudge judge(rules_, statement);
    judge_ = &judge;
    if (has_free_text(statement.extract<Object::Ptr>()->begin()->first))
      rests_.back().free_text = &rules_.all().front();
    if (out_.mentioned == nullptr) out_.mentioned = judge.mentioned();
    collect_named(rules_, judge.tables(), statement, out_.named);
    walk(statement, ValueRole{});
    out_.results.push_back(describe_result(judge, rules_, statement, known_));
    rests_.back().copies = out_.results.back().copy.has_value();
    judge_ = nullptr;
  }

  // ---- Constants and parameters

  void walk(const Var& var, const ValueRole& role) {
    if (var.type() == typeid(Array::Ptr)) {
      for (const Var& item : *var.extract<Array::Ptr>()) walk(item, role);
    } else if (var.type() == typeid(Object::Ptr)) {
      for (const auto& [key, member] : *var.extract<Object::Ptr>()) walk_member(key, member, role);
    }
  }

  void walk_member(const std::string& key, const Var& member, const ValueRole& role) {
    const Object::Ptr body = member.type() == typeid(Object::Ptr) ? member.extract<Object::Ptr>() : nullptr;
    if (key == "returningList" && !body) return walk_returning(member.extract<Array::Ptr>());
    if (!body) return walk(member, role);
    if (key == "typeName") return;  // varchar(20)
    if (key == "A_Const") return take_constant(body, role);
    if (key == "ParamRef") return take_parameter(body, role);
    if (key == "TypeCast") return walk_cast(body, role);
    if (key == "InsertStmt") return walk_insert(body);
    if (key == "MergeWhenClause") return walk_merge(body);
    if (key == "ExecuteStmt") return walk_execute(body);
    if (key == "FuncCall" && names_something(body)) return walk_named(body, role);
    if (key == "ColumnDef" && body->has("colname")) return walk_definition(body, tree::text(body, "colname"));
    if (key == "AlterTableCmd" && body->has("name") && body->has("def"))
      return walk_definition(body, tree::text(body, "name"));
    if (key == "NamedArgExpr") return walk_argument(body, role);
    if (key == "FuncCall" && has_masked_argument(rules_, body)) return walk(Var(body), ValueRole{});
    if (key == "CreateStmt" || key == "AlterTableStmt" || key == "UpdateStmt")
      table_ = tree::text(tree::object(body, "relation"), "relname");
    if (key == "UpdateStmt" || key == "onConflictClause" || key == "OnConflictClause")
      return walk_changes(body);
    if (key == "CreateTrigStmt" && rests_.back().trigger == nullptr)  // CREATE SCHEMA may make several
      rests_.back().trigger = judge_->any_of(tree::text(tree::object(body, "relation"), "relname"));
    if (is_of_domain(key)) return walk_definition(body, "value");
    if (key == "SelectStmt" || key == "SubLink") return walk_query(key, body, role);
    if ((key == "RangeSubselect" || key == "CommonTableExpr") && source_of(body))
      return walk_named_query(body);
    if (key == "RangeFunction" || key == "RangeTableFunc") return walk_function(body);
    if (!parts::is_expression(key)) return walk(member, role);
    const Mention mention = judge_->mention_in(member);
    // What goes to a masked column is of it, whatever other columns stand beside it; not what those are
    // compared with.
    const bool own =
        mention.rule != nullptr || role.rule == nullptr || (key == "A_Expr" && parts::is_equality(body));
    ValueRole inner = mention.columns && own ? ValueRole{.placed = true, .rule = mention.rule} : role;
    inner.list = key == "A_Expr" &&
                 (tree::text(body, "kind") == "AEXPR_OP_ANY" || tree::text(body, "kind") == "AEXPR_OP_ALL");
    walk(member, inner);
  }

  void walk_named(const Object::Ptr& call, const ValueRole& role) {
    const auto args = tree::list(call, "args");
    const auto name = tree::string_constant(parts::without_casts(args->get(0)));
    walk(args->get(0), name ? ValueRole{.placed = true} : role);
    for (unsigned i = 1; i < args->size(); ++i) {
      const Mention mention = judge_->mention_in(args->get(i));
      ValueRole inner = mention.columns && (mention.rule != nullptr || role.rule == nullptr)
                            ? ValueRole{.placed = true, .rule = mention.rule}
                            : role;
      if (parts::own_function(call) == "pg_notify") tell_channel(args, inner);
      walk(args->get(i), inner);
    }
  }

  // f(email => 'x')
  void walk_argument(const Object::Ptr& body, const ValueRole& role) {
    const Rule* const rule = rules_.for_column({}, tree::text(body, "name"));
    const bool own = rule != nullptr || role.rule == nullptr;
    walk(body->get("arg"), own ? ValueRole{.placed = true, .rule = rule} : role);
  }

  // What a column or a domain is by default, or may be.
  void walk_definition(const Object::Ptr& body, const std::string& name) {
    ValueRole role = role_of_column(table_, name);
    if (const auto derived = judge_->derived().find(name); derived != judge_->derived().end())
      role.rule = derived->second;
    for (const auto& [key, member] : *body) walk_member(key, member, role);
  }

  // What is asked in a subquery has columns of its own; what it answers with goes where it stands, or is
  // compared with what stands before it.
  void walk_query(const std::string& key, const Object::Ptr& body, const ValueRole& role) {
    if (key == "SelectStmt") return walk_source(body, roles_of_answer(body), {});
    const std::string kind = tree::text(body, "subLinkType");
    ValueRole answer = role.rule != nullptr ? role : ValueRole{};
    if (kind == "ANY_SUBLINK" || kind == "ALL_SUBLINK")
      answer = {.placed = false, .rule = judge_->mention_in(body->get("testexpr")).rule};
    for (const auto& [name, member] : *body) {
      if (name == "subselect" && kind != "EXISTS_SUBLINK") {
        const auto select = tree::node(member, "SelectStmt");
        std::vector<ValueRole> roles;
        if (select && answer.rule == nullptr) roles = roles_of_answer(select);
        walk_source(select, roles, answer);
        continue;
      }
      if (name == "testexpr")
        walk_tested(member, tree::node(body->get("subselect"), "SelectStmt"), role);
      else
        walk_member(name, member, ValueRole{});
    }
  }

  // 7 IN (SELECT code FROM users), (7, 'x') IN ...: by place.
  void walk_tested(const Var& tested, const Object::Ptr& select, const ValueRole& role) {
    const Answer answer = select && role.rule == nullptr ? judge_->answer_of(select) : Answer{};
    std::vector<ValueRole> roles;
    for (const Rule* const rule : answer.rules) roles.push_back({.placed = rule != nullptr, .rule = rule});
    const Array::Ptr row = tree::list(tree::node(tested, "RowExpr"), "args");
    if (row && answer.told) return walk_items(row, roles, role);
    walk(tested, any_of(roles, role));
  }

  // What goes out by a name that reaches a masked column is of that one.
  [[nodiscard]] std::vector<ValueRole> roles_of(const std::vector<std::string>& names) const {
    std::vector<ValueRole> roles;
    for (const std::string& name : names) {
      const auto derived = judge_->derived().find(name);
      const Rule* const rule = judge_->column("", name);
      roles.push_back(
          {.rule = rule != nullptr || derived == judge_->derived().end() ? rule : derived->second});
    }
    return roles;
  }

  // Of a UNION or the like, what stands at the place of a masked column's value is as good.
  [[nodiscard]] std::vector<ValueRole> roles_of_answer(const Object::Ptr& select) const {
    const Answer answer = judge_->answer_of(select);
    std::vector<ValueRole> roles = roles_of(answer.names);
    for (std::size_t i = 0; select->has("larg") && i < std::min(roles.size(), answer.rules.size()); ++i) {
      if (roles[i].rule == nullptr) roles[i].rule = answer.rules[i];
    }
    return roles;
  }

  void walk_returning(const Array::Ptr& targets) {
    std::vector<std::string> names;
    for (const Var& item : *targets) {
      const auto target = tree::node(item, "ResTarget");
      names.push_back(target && target->has("name") ? tree::text(target, "name")
                      : target                      ? label_of(target->get("val"))
                                                    : std::string());
    }
    walk_items(targets, roles_of(names), {});
  }

  // Of a list of values without names, each may be of the masked column.
  void walk_named_query(const Object::Ptr& body) {
    const auto select = source_of(body);
    const Array::Ptr given = names_of(body);
    std::vector<std::string> names = judge_->answer_of(select).names;
    if (given && given->size() > names.size()) names.resize(given->size());
    for (std::size_t i = 0; given && i < given->size(); ++i) names[i] = tree::name_part(given, i);
    const bool values = select->has("valuesLists");
    std::vector<ValueRole> roles = values && !given ? std::vector<ValueRole>{} : roles_of(names);
    for (ValueRole& role : roles) role.placed = values;
    walk_source(select, roles, {.placed = false, .rule = values ? judge_->mentioned() : nullptr});
  }

  void walk_function(const Object::Ptr& body) {
    ValueRole role;
    for (const ValueRole& each : roles_of(function_names(body))) {
      if (role.rule == nullptr) role = each;
    }
    walk(Var(body), role);
  }

  void walk_cast(const Object::Ptr& cast, const ValueRole& role) {
    ValueRole inner = role;
    inner.cast_oid = masking::type_oid(parts::type_of_cast(cast));
    if (cast->has("arg")) walk(cast->get("arg"), inner);
  }

  [[nodiscard]] ValueRole role_of_column(const std::string& table, const std::string& name) const {
    return {.placed = true, .rule = judge_->column(table, name)};
  }

  // email, person.email
  [[nodiscard]] ValueRole role_of_target(const Object::Ptr& target) const {
    ValueRole role = role_of_column(table_, tree::text(target, "name"));
    if (role.rule == nullptr) role.rule = judge_->field(target);
    return role;
  }

  void walk_insert(const Object::Ptr& body) {
    table_ = tree::text(tree::object(body, "relation"), "relname");
    const Array::Ptr columns = tree::list(body, "cols");
    std::vector<ValueRole> roles;
    for (unsigned i = 0; columns && i < columns->size(); ++i)
      roles.push_back(role_of_target(tree::node(columns->get(i), "ResTarget")));
    const auto* const known = columns ? nullptr : columns_of(tree::object(body, "relation"), rules_, known_);
    for (std::size_t i = 0; known != nullptr && i < known->size(); ++i)
      roles.push_back(role_of_column(table_, (*known)[i]));
    // Columns that are not named may be any.
    const ValueRole other{.placed = static_cast<bool>(columns),
                          .rule = columns ? nullptr : judge_->any_of(table_),
                          .assigned = true};
    for (const auto& [key, member] : *body) {
      if (key == "selectStmt") {
        walk_source(tree::node(member, "SelectStmt"), roles, other);
      } else if (key != "cols") {
        walk_member(key, member, ValueRole{});
      }
    }
  }

  void walk_source(const Object::Ptr& select, const std::vector<ValueRole>& roles, const ValueRole& other) {
    if (!select) return;
    for (const auto& [key, member] : *select) {
      if (key == "valuesLists" && member.type() == typeid(Array::Ptr)) {
        for (const Var& row : *member.extract<Array::Ptr>())
          walk_items(tree::list(tree::node(row, "List"), "items"), roles, other);
      } else if (key == "targetList" && member.type() == typeid(Array::Ptr)) {
        walk_items(member.extract<Array::Ptr>(), roles, other);
      } else if ((key == "larg" || key == "rarg") && member.type() == typeid(Object::Ptr)) {
        walk_source(member.extract<Object::Ptr>(), roles, other);
      } else {
        walk_member(key, member, ValueRole{});
      }
    }
  }

  // Behind a star, any of the columns may be the one that an item goes to.
  void walk_items(const Array::Ptr& items, const std::vector<ValueRole>& roles, const ValueRole& other) {
    bool told = true;
    for (unsigned i = 0; items && i < items->size(); ++i) {
      const auto target = tree::node(items->get(i), "ResTarget");
      told = told && !is_star(target ? Var(target->get("val")) : items->get(i));
      walk(items->get(i), !told ? any_of(roles, other) : i < roles.size() ? roles[i] : other);
    }
  }

  static ValueRole any_of(const std::vector<ValueRole>& roles, const ValueRole& other) {
    const auto masked =
        std::find_if(roles.begin(), roles.end(), [](const ValueRole& role) { return role.rule != nullptr; });
    return masked != roles.end() ? *masked : other;
  }

  // SET column = value: also those of (a, b) = (1, 2), of which any may be masked.
  void walk_assignments(const Array::Ptr& targets) {
    const Rule* several = nullptr;
    for (unsigned i = 0; targets && i < targets->size(); ++i) {
      const auto target = tree::node(targets->get(i), "ResTarget");
      if (!target || !tree::node(target->get("val"), "MultiAssignRef")) continue;
      if (several == nullptr) several = role_of_target(target).rule;
    }
    for (unsigned i = 0; targets && i < targets->size(); ++i) {
      const auto target = tree::node(targets->get(i), "ResTarget");
      if (!target || !target->has("val")) continue;
      ValueRole role = role_of_target(target);
      if (tree::node(target->get("val"), "MultiAssignRef")) role.rule = several;
      walk(target->get("val"), role);
    }
  }

  void walk_changes(const Object::Ptr& body) {
    for (const auto& [key, member] : *body) {
      if (key == "targetList" && member.type() == typeid(Array::Ptr)) {
        walk_assignments(member.extract<Array::Ptr>());
      } else {
        walk_member(key, member, ValueRole{});
      }
    }
  }

  void walk_merge(const Object::Ptr& body) {
    table_.clear();  // any that is mentioned
    const Array::Ptr targets = tree::list(body, "targetList");
    std::vector<ValueRole> roles;
    for (unsigned i = 0; targets && i < targets->size(); ++i)
      roles.push_back(role_of_target(tree::node(targets->get(i), "ResTarget")));
    walk_assignments(targets);
    walk_items(tree::list(body, "values"), roles, {.placed = false, .rule = judge_->any_of(table_)});
    if (body->has("condition")) walk(body->get("condition"), ValueRole{});
  }

  void walk_execute(const Object::Ptr& body) {
    const Array::Ptr parameters = tree::list(body, "params");
    for (unsigned i = 0; parameters && i < parameters->size(); ++i)
      walk(parameters->get(i),
           {.execute_parameter = static_cast<int>(i), .execute_of = out_.executes.size()});
    out_.executes.push_back(tree::text(body, "name"));
  }

  void take_parameter(const Object::Ptr& body, const ValueRole& role) {
    const auto number = body->optValue<std::size_t>("number", 0);
    if (number == 0 || number > 65'535) return;
    if (out_.parameters.size() < number) out_.parameters.resize(number);
    ValueRole& known = out_.parameters[number - 1];
    if (known.rule == nullptr) known.rule = role.rule;
    if (known.cast_oid == 0) known.cast_oid = role.cast_oid;
    known.placed = known.placed || role.placed;
    known.list = known.list || role.list;
    if (known.channel.empty()) known.channel = role.channel;
    if (known.channel_parameter < 0) known.channel_parameter = role.channel_parameter;
  }

  // A string that is no constant to the parser: the first one behind NOTIFY.
  void take_payload(const Object::Ptr& notify, std::size_t location) {
    if (tree::text(notify, "payload").empty()) return;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i].begin < location || tokens_[i].kind != SqlTokenKind::kString) continue;
      whole_ = whole_ && is_whole_string(i);
      taken_[i] = true;
      out_.constants.push_back({.begin = tokens_[i].begin,
                                .end = tokens_[i].end,
                                .role = {.channel = tree::text(notify, "conditionname")}});
      return;
    }
  }

  void take_constant(const Object::Ptr& body, const ValueRole& role) {
    if (body->has("isnull")) return;
    const auto found = token_at_.find(body->optValue<std::size_t>("location", 0));
    whole_ = whole_ && found != token_at_.end();
    if (!whole_) return;
    std::size_t index = found->second;
    const bool negative = tokens_[index].is(sql_, '-');
    if (negative) ++index;
    whole_ = whole_ && index < tokens_.size();
    if (!whole_) return;
    ConstantPlace place{
        .begin = tokens_[index].begin, .end = tokens_[index].end, .negative = negative, .role = role};
    const SqlTokenKind kind = tokens_[index].kind;
    if (body->has("boolval")) {
      if (kind != SqlTokenKind::kWord) return;  // TRUE that the parser made up
      place.kind = ConstantPlace::Kind::kBoolean;
    } else if (kind == SqlTokenKind::kNumber) {
      place.kind = ConstantPlace::Kind::kNumber;
    } else if (kind == SqlTokenKind::kString) {
      place.kind = body->has("bsval") ? ConstantPlace::Kind::kBits : ConstantPlace::Kind::kString;
      whole_ = whole_ && is_whole_string(index);
    } else {
      return;  // a word that stands for one: a type's modifier, the unit of an interval
    }
    if (taken_[index]) return;
    taken_[index] = true;
    out_.constants.push_back(place);
  }

  // A string that goes on behind a line's end is one to the parser.
  [[nodiscard]] bool is_whole_string(std::size_t index) const {
    return index + 1 >= tokens_.size() || tokens_[index + 1].kind != SqlTokenKind::kString;
  }

  // Strings that are no constants to the parser (options) and comments: of no column.
  void take_rest() {
    std::size_t end = 0;
    std::size_t rest = 0;
    for (std::size_t i = 0; i <= tokens_.size(); ++i) {
      const std::size_t begin = i < tokens_.size() ? tokens_[i].begin : sql_.size();
      if (sql_.substr(end, begin - end).find_first_not_of(" \t\r\n\f") != std::string_view::npos)
        out_.constants.push_back(
            {.kind = ConstantPlace::Kind::kComment, .begin = end, .end = begin, .role = {}});
      if (i == tokens_.size()) break;
      end = tokens_[i].end;
      while (rest + 1 < rests_.size() && rests_[rest + 1].begin <= begin) ++rest;
      if (taken_[i]) continue;
      const bool string = tokens_[i].kind == SqlTokenKind::kString;
      if (rests_[rest].copies && !(string && rules_.for_text(tokens_[i].of(sql_)) != nullptr)) continue;
      const Rule* const rule =
          string && rests_[rest].free_text != nullptr ? rests_[rest].free_text : rests_[rest].trigger;
      if (string || (rule != nullptr && tokens_[i].kind == SqlTokenKind::kNumber))
        out_.constants.push_back(
            {.kind = string ? ConstantPlace::Kind::kString : ConstantPlace::Kind::kNumber,
             .begin = tokens_[i].begin,
             .end = end,
             .role = {.rule = rule}});
    }
  }

  const masking::Rules& rules_;
  StatementValues& out_;
  const TableColumns& known_;
  const std::vector<SqlToken> tokens_;
  std::string_view sql_;
  std::vector<bool> taken_;
  std::unordered_map<std::size_t, std::size_t> token_at_;  // by where it begins
  const ColumnJudge* judge_ = nullptr;                     // of the statement at hand
  std::string table_;                                      // that an INSERT or UPDATE is of
  std::vector<Rest> rests_{Rest{}};                        // by statement, behind one of none
  bool whole_ = true;
};

}  // namespace

StatementValues read_statement_values(std::string_view sql, const masking::Rules& rules,
                                      const TableColumns& known) {
  StatementValues values;
  if (sql.size() > kMaxBytes) return values;
  auto tokens = proxy::read_sql_tokens(sql);
  if (!tokens || proxy::nesting_bound(sql, *tokens) > kMaxNesting) return values;
  const std::string text = without_comments(sql, *tokens);
  const PgQueryParseResult parsed = pg_query_parse(text.c_str());
  const std::unique_ptr<const PgQueryParseResult, void (*)(const PgQueryParseResult*)> guard(
      &parsed, [](const PgQueryParseResult* result) { pg_query_free_parse_result(*result); });
  if (parsed.error != nullptr) return values;
  try {
    values.understood = Reader(rules, values, std::move(*tokens), sql, known).read(parsed.parse_tree);
  } catch (const std::exception&) {  // not the tree that was expected, or too deep
    values.understood = false;
  }
  if (!values.understood) return {};
  values.by_columns = !known.empty();
  return values;
}

}  // namespace understudy::replayer
