// Only what is understood wholly counts: a tree with a node or a function that is not listed here may touch
// anything, and so may a statement on a table of which the catalogs do not say enough.
#include "replayer/parse_tree.h"

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <cctype>
#include <unordered_set>

#include "formats/wire/content_hash.h"
#include "replayer/harmless_functions.h"

namespace understudy::replayer {
namespace {

using Kind = StatementShape::Kind;
using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;
using Poco::Dynamic::Var;

// Nodes whose evaluation depends on rows and constants alone.
const std::unordered_set<std::string_view> kHarmlessNodes = {
    "A_ArrayExpr",      "A_Const",       "A_Expr",         "A_Indices",   "A_Indirection", "A_Star",
    "BitString",        "BoolExpr",      "Boolean",        "BooleanTest", "CaseExpr",      "CaseWhen",
    "CoalesceExpr",     "ColumnRef",     "CollateClause",  "DeleteStmt",  "Float",         "FuncCall",
    "InsertStmt",       "Integer",       "JoinExpr",       "List",        "MinMaxExpr",    "NullTest",
    "ParamRef",         "RangeFunction", "RangeSubselect", "RangeVar",    "ResTarget",     "RowExpr",
    "SQLValueFunction", "SelectStmt",    "SetToDefault",   "SortBy",      "String",        "SubLink",
    "TypeCast",         "UpdateStmt",    "WindowDef"};

// Statements that are not followed, but leave tables what they are.
const std::unordered_set<std::string_view> kLeaveTables = {
    "CallStmt",           "CheckPointStmt",  "ClosePortalStmt", "ClusterStmt",
    "ConstraintsSetStmt", "CopyStmt",        "DeallocateStmt",  "DeclareCursorStmt",
    "DeleteStmt",         "DiscardStmt",     "DoStmt",          "ExecuteStmt",
    "ExplainStmt",        "FetchStmt",       "InsertStmt",      "ListenStmt",
    "LockStmt",           "MergeStmt",       "NotifyStmt",      "PrepareStmt",
    "RefreshMatViewStmt", "ReindexStmt",     "SelectStmt",      "TransactionStmt",
    "TruncateStmt",       "UnlistenStmt",    "UpdateStmt",      "VacuumStmt",
    "VariableSetStmt",    "VariableShowStmt"};

// Parts of a statement that lock, store or branch in ways not followed here.
const std::unordered_set<std::string_view> kUnfollowedParts = {"lockingClause", "intoClause", "withClause",
                                                               "onConflictClause"};

// LOCK TABLE in a mode up to ROW EXCLUSIVE lets others have it, too (lockdefs.h).
constexpr int kStrongestWritersShare = 3;

// Rows that one text is seen to lock; beyond, tables.
constexpr std::size_t kMaxLocks = 16;

std::uint64_t hash_of(const std::string& name) {
  const std::uint64_t hash = wire::content_hash(as_bytes(name));
  return hash == 0 ? 1 : hash;  // 0 stands for none
}

std::string text_of(const Object::Ptr& object, const char* key) {
  return object && object->has(key) && object->get(key).isString() ? object->getValue<std::string>(key)
                                                                   : std::string();
}

// The only member of a node: {"ColumnRef": {...}}; null when it is not one of that type.
Object::Ptr node(const Var& var, const char* type) {
  if (var.type() != typeid(Object::Ptr)) return nullptr;
  return var.extract<Object::Ptr>()->getObject(type);
}

std::uint64_t column_bit(const std::string& name) { return std::uint64_t{1} << (hash_of(name) % 64); }

std::string last_string(const Array::Ptr& names) {
  if (!names || names->size() == 0) return {};
  return text_of(node(names->get(static_cast<unsigned>(names->size() - 1)), "String"), "sval");
}

class Reader {
 public:
  explicit Reader(const TargetTables& tables) : tables_(tables) {}

  StatementTree read(const char* json) {
    const auto root = Poco::JSON::Parser().parse(json).extract<Object::Ptr>();
    const Array::Ptr statements = root->getArray("stmts");
    const std::size_t count = statements ? statements->size() : 0;
    for (unsigned i = 0; i < count; ++i) {
      const Object::Ptr statement = statements->getObject(i)->getObject("stmt");
      if (!kLeaveTables.contains(statement->begin()->first)) collect_names(Var(statement));
    }
    if (count == 0) tree_.shape.kind = Kind::kNothing;  // an empty query
    if (count == 1) read_one(statements->getObject(0)->getObject("stmt"));
    if (tree_.shape.kind == Kind::kAnything) {
      tree_.shape.reads.clear();
      tree_.shape.writes.clear();
      tree_.shape.unique_keys.clear();
      if (count > 0) collect_locks(Var(statements));
    }
    return std::move(tree_);
  }

 private:
  void read_one(const Object::Ptr& statement) {
    const std::string type = statement->begin()->first;
    const Object::Ptr body = statement->getObject(type);
    if (type == "TransactionStmt") {
      read_transaction(body);
    } else if (type == "VariableSetStmt") {
      tree_.shape.kind = changes_meaning(body) ? Kind::kOpaque : Kind::kNothing;
    } else if (type == "VariableShowStmt") {
      tree_.shape.kind = Kind::kNothing;
    } else if (type == "SelectStmt" || type == "InsertStmt" || type == "UpdateStmt" || type == "DeleteStmt") {
      if (walk(Var(statement)) && read_rows(type, body)) tree_.shape.kind = Kind::kRows;
    }
  }

  void read_transaction(const Object::Ptr& body) {
    const std::string kind = text_of(body, "kind");
    if (kind == "TRANS_STMT_BEGIN" || kind == "TRANS_STMT_START") {
      tree_.shape.kind = reads_committed(body->getArray("options")) ? Kind::kBegin : Kind::kOpaque;
    } else if (kind == "TRANS_STMT_COMMIT" || kind == "TRANS_STMT_ROLLBACK") {
      tree_.shape.kind = body->has("chain") ? Kind::kAnything : Kind::kEnd;
    } else if (kind == "TRANS_STMT_SAVEPOINT" || kind == "TRANS_STMT_RELEASE") {
      tree_.shape.kind = Kind::kNothing;
    } else if (kind == "TRANS_STMT_ROLLBACK_TO") {
      tree_.shape.kind = Kind::kRollbackTo;
    }
  }

  // Snapshots older than a statement make order matter in ways that no statement shows.
  static bool reads_committed(const Array::Ptr& options) {
    return !options || std::all_of(options->begin(), options->end(), [](const Var& option) {
      const Object::Ptr element = node(option, "DefElem");
      const std::string name = text_of(element, "defname");
      if (name != "transaction_isolation") return name == "transaction_read_only";
      const Object::Ptr value = node(element->get("arg"), "A_Const");
      return value && text_of(value->getObject("sval"), "sval") == "read committed";
    });
  }

  static bool changes_meaning(const Object::Ptr& body) {
    if (text_of(body, "kind") == "VAR_SET_MULTI") return !reads_committed(body->getArray("args"));
    const std::string name = text_of(body, "name");
    return name.find("isolation") != std::string::npos || name == "session_replication_role";
  }

  // Whether all of it is harmless. Tables named below the top are read.
  bool walk(const Var& var) {
    if (var.type() == typeid(Array::Ptr)) {
      const Array::Ptr items = var.extract<Array::Ptr>();
      return std::all_of(items->begin(), items->end(), [&](const Var& item) { return walk(item); });
    }
    if (var.type() != typeid(Object::Ptr)) return true;
    const Object::Ptr object = var.extract<Object::Ptr>();
    return std::all_of(object->begin(), object->end(), [&](const auto& member) {
      const std::string& key = member.first;
      if (kUnfollowedParts.contains(key)) return false;
      if (std::isupper(static_cast<unsigned char>(key.front())) != 0) {
        if (!kHarmlessNodes.contains(key)) return false;
        const Object::Ptr inner = object->getObject(key);
        if (key == "FuncCall" && !harmless(inner)) return false;
        if (key == "RangeVar" && !add_read(text_of(inner, "relname"))) return false;
      }
      return walk(member.second);
    });
  }

  static bool harmless(const Object::Ptr& call) {
    const Array::Ptr names = call->getArray("funcname");
    if (!names || names->size() > 2) return false;
    if (names->size() == 2 && text_of(node(names->get(0), "String"), "sval") != "pg_catalog") return false;
    return only_computes(last_string(names));
  }

  bool add_read(const std::string& name) {
    const TableFacts* const facts = tables_.find(name);
    if (facts == nullptr || !facts->readable) return false;
    tree_.shape.reads.push_back({.table = hash_of(name)});
    return true;
  }

  bool read_rows(const std::string& type, const Object::Ptr& body) {
    if (type == "SelectStmt") {
      narrow_read(body);
      return true;
    }
    const Object::Ptr relation = body->getObject("relation");
    const std::string name = text_of(relation, "relname");
    const TableFacts* const facts = tables_.find(name);
    if (facts == nullptr || !facts->writable) return false;
    StatementShape::Rows rows{.table = hash_of(name), .adds = type == "InsertStmt"};
    rows.meets_added = type == "UpdateStmt" && !stays_apart(body, *facts);
    rows.sets = type == "UpdateStmt" ? columns_set(body, *facts) : 0;
    if (body->has("whereClause")) rows.where = columns_in(body->get("whereClause"), *facts);
    rows.freely = rows.adds && facts->unique_columns.empty() && !facts->opaque_uniqueness;
    if (rows.adds) add_unique_keys(name, body, *facts);
    const bool from_others = body->has("fromClause") || body->has("usingClause");
    if (!rows.adds && !from_others && (type == "DeleteStmt" || stays_apart(body, *facts))) {
      find_key(body, *facts, rows);
      // A row that moves to another key is of both.
      if (type == "UpdateStmt" && rows.column != 0 && sets(body, key_name_)) rows.column = 0;
    }
    tree_.shape.writes.push_back(rows);
    return true;
  }

  // SELECT ... FROM one table WHERE key = value: reads only those rows.
  void narrow_read(const Object::Ptr& body) {
    const Array::Ptr from = body->getArray("fromClause");
    if (!from || from->size() != 1 || tree_.shape.reads.size() != 1) return;
    const Object::Ptr table = node(from->get(0), "RangeVar");
    if (!table) return;
    find_key(body, *tables_.find(text_of(table, "relname")), tree_.shape.reads.front());
  }

  // An update of some rows can meet one of others only where a value must be unique.
  [[nodiscard]] bool stays_apart(const Object::Ptr& body, const TableFacts& facts) const {
    if (facts.opaque_uniqueness || facts.generates) return false;
    return std::none_of(facts.unique_columns.begin(), facts.unique_columns.end(),
                        [&](const std::string& column) { return sets(body, column); });
  }

  static std::uint64_t columns_set(const Object::Ptr& body, const TableFacts& facts) {
    std::uint64_t columns = facts.generates ? UINT64_MAX : 0;
    for (const Var& target : *body->getArray("targetList"))
      columns |= column_bit(text_of(node(target, "ResTarget"), "name"));
    return columns;
  }

  // All, where a name may be that of a row.
  static std::uint64_t columns_in(const Var& var, const TableFacts& facts) {
    std::uint64_t columns = 0;
    if (var.type() == typeid(Array::Ptr)) {
      for (const Var& item : *var.extract<Array::Ptr>()) columns |= columns_in(item, facts);
    } else if (const Object::Ptr column = node(var, "ColumnRef")) {
      const std::string name = last_string(column->getArray("fields"));
      const bool known = std::find(facts.columns.begin(), facts.columns.end(), name) != facts.columns.end();
      columns = known ? column_bit(name) : UINT64_MAX;
    } else if (var.type() == typeid(Object::Ptr)) {
      for (const auto& member : *var.extract<Object::Ptr>()) columns |= columns_in(member.second, facts);
    }
    return columns;
  }

  static bool sets(const Object::Ptr& body, const std::string& column) {
    const Array::Ptr targets = body->getArray("targetList");
    return !targets || std::any_of(targets->begin(), targets->end(), [&](const Var& target) {
      return text_of(node(target, "ResTarget"), "name") == column;
    });
  }

  // column = $n, alone or as a part of AND, of an integer column.
  void find_key(const Object::Ptr& body, const TableFacts& facts, StatementShape::Rows& rows) {
    if (!body->has("whereClause")) return;
    const Var where = body->get("whereClause");
    const Object::Ptr both = node(where, "BoolExpr");
    if (both && text_of(both, "boolop") == "AND_EXPR") {
      for (const Var& part : *both->getArray("args")) {
        if (rows.column == 0) find_equality(part, facts, rows);
      }
    } else {
      find_equality(where, facts, rows);
    }
  }

  void find_equality(const Var& condition, const TableFacts& facts, StatementShape::Rows& rows) {
    const Object::Ptr expression = node(condition, "A_Expr");
    if (!expression || text_of(expression, "kind") != "AEXPR_OP") return;
    const Array::Ptr names = expression->getArray("name");
    if (!names || names->size() != 1 || last_string(names) != "=") return;
    const Object::Ptr column = node(expression->get("lexpr"), "ColumnRef");
    const Object::Ptr value = node(expression->get("rexpr"), "ParamRef");
    if (!column || !value || !value->has("number")) return;
    const std::string name = last_string(column->getArray("fields"));
    if (!facts.integer_columns.contains(name)) return;
    key_name_ = name;
    rows.column = hash_of(name);
    rows.placeholder = value->getValue<std::uint32_t>("number");
  }

  // Of statements that are not followed: rows, tables and advisory locks that they plainly lock.
  void collect_locks(const Var& var) {
    if (var.type() == typeid(Array::Ptr)) {
      for (const Var& item : *var.extract<Array::Ptr>()) collect_locks(item);
    }
    if (var.type() != typeid(Object::Ptr)) return;
    for (const auto& [key, member] : *var.extract<Object::Ptr>()) {
      if (member.type() == typeid(Object::Ptr)) note_locks(key, member.extract<Object::Ptr>());
      collect_locks(member);
    }
  }

  void note_locks(const std::string& type, const Object::Ptr& body) {
    if (type == "InsertStmt" || type == "UpdateStmt" || type == "DeleteStmt" || type == "MergeStmt") {
      lock_written(type, body);
    } else if (type == "SelectStmt" && body->has("lockingClause")) {
      lock_tables(body->get("fromClause"), body, {.shared = shares_rows(body->getArray("lockingClause"))});
    } else if (type == "LockStmt") {
      const bool shared = body->getValue<int>("mode") <= kStrongestWritersShare;
      lock_tables(body->get("relations"), nullptr, {.shared = shared, .meets_added = true});
    } else if (type == "TruncateStmt") {
      lock_tables(body->get("relations"), nullptr, {.meets_added = true});
    } else if (type == "FuncCall") {
      lock_advisory(body);
    } else if (type == "TransactionStmt" || type == "CallStmt") {
      tree_.shape.ends = true;
    }
  }

  void lock_written(const std::string& type, const Object::Ptr& body) {
    const std::string name = text_of(body->getObject("relation"), "relname");
    // One that finds its row there already updates it.
    StatementShape::Rows rows{.table = hash_of(name),
                              .adds = type == "InsertStmt" && !body->has("onConflictClause")};
    const TableFacts* const facts = tables_.find(name);
    const bool by_itself = !body->has("fromClause") && !body->has("usingClause");
    // Triggers write more than the row.
    if (facts != nullptr && facts->writable && by_itself && (type == "DeleteStmt" || type == "UpdateStmt"))
      find_key(body, *facts, rows);
    rows.meets_added = !rows.adds && type != "DeleteStmt" &&
                       (type != "UpdateStmt" || facts == nullptr || !stays_apart(body, *facts));
    if (facts != nullptr && rows.adds) add_unique_keys(name, body, *facts);
    add_lock(rows);
  }

  // INSERT ... VALUES: of each row, the values of the columns of each unique index.
  void add_unique_keys(const std::string& table, const Object::Ptr& body, const TableFacts& facts) {
    const Object::Ptr select = node(body->get("selectStmt"), "SelectStmt");
    const Array::Ptr rows = select ? select->getArray("valuesLists") : nullptr;
    if (!rows) return;
    std::vector<std::string> columns = facts.columns;
    if (const Array::Ptr named = body->getArray("cols")) {
      columns.clear();
      for (const Var& column : *named) columns.push_back(text_of(node(column, "ResTarget"), "name"));
    }
    for (const Var& row : *rows) {
      const Object::Ptr list = node(row, "List");
      if (!list) continue;
      for (const auto& index : facts.unique) add_unique_key(table, index, columns, list->getArray("items"));
    }
  }

  void add_unique_key(const std::string& table, const std::vector<std::string>& index,
                      const std::vector<std::string>& columns, const Array::Ptr& values) {
    if (tree_.shape.unique_keys.size() >= kMaxUniqueKeys) return;
    std::string identity = table;
    StatementShape::UniqueKey key;
    for (const std::string& column : index) {
      const auto found = std::find(columns.begin(), columns.end(), column);
      const auto at = static_cast<unsigned>(found - columns.begin());
      if (found == columns.end() || at >= values->size()) return;
      Object::Ptr value = node(values->get(at), "ParamRef");
      if (const Object::Ptr cast = node(values->get(at), "TypeCast"))
        value = node(cast->get("arg"), "ParamRef");
      if (!value || !value->has("number")) return;
      key.placeholders.push_back(value->getValue<std::uint32_t>("number"));
      identity += '\0' + column;
    }
    key.index = hash_of(identity);
    tree_.shape.unique_keys.push_back(std::move(key));
  }

  // FOR SHARE and FOR KEY SHARE.
  static bool shares_rows(const Array::Ptr& clauses) {
    return std::all_of(clauses->begin(), clauses->end(), [](const Var& clause) {
      return text_of(node(clause, "LockingClause"), "strength").ends_with("SHARE");
    });
  }

  // All tables below; of one by itself, the rows that are selected.
  void lock_tables(const Var& var, const Object::Ptr& select, const StatementShape::Rows& like) {
    if (var.type() == typeid(Array::Ptr)) {
      const Array::Ptr items = var.extract<Array::Ptr>();
      for (const Var& item : *items) lock_tables(item, items->size() == 1 ? select : nullptr, like);
    }
    if (var.type() != typeid(Object::Ptr)) return;
    for (const auto& [key, member] : *var.extract<Object::Ptr>()) {
      if (key != "RangeVar") {
        lock_tables(member, nullptr, like);
        continue;
      }
      const std::string name = text_of(member.extract<Object::Ptr>(), "relname");
      StatementShape::Rows rows = like;
      rows.table = hash_of(name);
      const TableFacts* const facts = tables_.find(name);
      if (facts != nullptr && select) find_key(select, *facts, rows);
      add_lock(rows);
    }
  }

  // pg_advisory_lock(1) and the like. What lets one go waits for nobody, least of all for who gets it then.
  void lock_advisory(const Object::Ptr& call) {
    const std::string name = last_string(call->getArray("funcname"));
    if (!name.starts_with("pg_advisory_") && !name.starts_with("pg_try_advisory_")) return;
    if (name.starts_with("pg_advisory_unlock")) return;
    StatementShape::Rows rows{.table = hash_of("pg_advisory_lock"), .shared = name.ends_with("_shared")};
    const Array::Ptr arguments = call->getArray("args");
    const Object::Ptr key =
        arguments && arguments->size() == 1 ? node(arguments->get(0), "ParamRef") : nullptr;
    if (key && key->has("number")) {
      rows.column = 1;
      rows.placeholder = key->getValue<std::uint32_t>("number");
    }
    add_lock(rows);
  }

  void add_lock(StatementShape::Rows rows) {
    auto& locks = tree_.shape.writes;
    if (locks.size() < kMaxLocks) {
      locks.push_back(rows);
      return;
    }
    rows.column = 0;
    const bool there = std::any_of(locks.begin(), locks.end(), [&](const StatementShape::Rows& other) {
      return other.table == rows.table && other.column == 0 && other.adds == rows.adds &&
             other.shared == rows.shared;
    });
    if (!there) locks.push_back(rows);
  }

  // Every name in a statement that is not followed, if it may be that of a table.
  void collect_names(const Var& var) {
    if (var.type() == typeid(Array::Ptr)) {
      for (const Var& item : *var.extract<Array::Ptr>()) collect_names(item);
    } else if (var.type() == typeid(Object::Ptr)) {
      for (const auto& [key, member] : *var.extract<Object::Ptr>()) {
        if ((key == "relname" || key == "sval" || key == "newname") && member.isString())
          tree_.changed_names.push_back(member.toString());
        collect_names(member);
      }
    }
  }

  const TargetTables& tables_;
  StatementTree tree_;
  std::string key_name_;
};

}  // namespace

StatementTree read_statement(const char* json, const TargetTables& tables) {
  try {
    return Reader(tables).read(json);
  } catch (const std::exception&) {  // not the tree that was expected, of whatever version
    return {};
  }
}

}  // namespace understudy::replayer
