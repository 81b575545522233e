#include "replayer/target_tables.h"

#include <libpq-fe.h>

#include <memory>

namespace understudy::replayer {
namespace {

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

Result query(PGconn* connection, const char* sql) {
  Result result(PQexec(connection, sql), &PQclear);
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) result.reset();
  return result;
}

// Where transactions see more than what was committed before each statement, order matters in ways that no
// statement shows.
constexpr const char* kReadCommitted =
    "select from pg_settings where name = 'default_transaction_isolation' and setting = 'read committed' and "
    "not exists"
    " (select from pg_db_role_setting, unnest(setconfig) s"
    "  where s like 'default\\_transaction\\_isolation=%' or s like 'session\\_replication\\_role=%')";

constexpr const char* kTables =
    "select c.relname, c.relkind in ('r', 'm') and not c.relrowsecurity and not c.relhassubclass,"
    "  not c.relhastriggers and not c.relhasrules"
    // Defaults and checks that call somebody's own functions, or draw from another's sequence.
    "  and c.oid not in (select t.oid from pg_depend p"
    "   left join pg_attrdef d on p.classid = 'pg_attrdef'::regclass and d.oid = p.objid"
    "   left join pg_constraint k on p.classid = 'pg_constraint'::regclass and k.oid = p.objid"
    "   join pg_class t on t.oid = coalesce(d.adrelid, k.conrelid)"
    "   where p.refclassid = 'pg_proc'::regclass"
    "    or p.refclassid = 'pg_class'::regclass and p.refobjid <> t.oid and not exists"
    "     (select from pg_depend o where o.classid = 'pg_class'::regclass and o.objid = p.refobjid"
    "      and o.refobjid = t.oid and o.deptype in ('a', 'i'))),"
    "  exists (select from pg_index i where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)"
    "          and (i.indpred is not null or i.indexprs is not null))"
    " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where c.relkind in ('r', 'm', 'v', 'f', 'p') and n.nspname !~ '^(pg_|information_schema$)'";

constexpr const char* kColumns =
    "select c.relname, a.attname, a.atttypid in (20, 21, 23),"
    "  exists (select from pg_index i where i.indrelid = c.oid and a.attnum = any(i.indkey)"
    "          and (i.indisunique or i.indisexclusion)),"
    // Before version 12 there is no such column.
    "  coalesce(to_jsonb(a) ->> 'attgenerated', '') <> ''"
    " from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid"
    " where c.relkind in ('r', 'm') and a.attnum > 0 and not a.attisdropped"
    "  and n.nspname !~ '^(pg_|information_schema$)' order by c.oid, a.attnum";

constexpr const char* kUniqueIndexes =
    "select c.relname, i.indexrelid, a.attname"
    " from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace"
    " join pg_attribute a on a.attrelid = c.oid and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1])"
    " where c.relkind in ('r', 'm') and i.indisunique and i.indpred is null and i.indexprs is null"
    "  and n.nspname !~ '^(pg_|information_schema$)' order by i.indexrelid, a.attnum";

}  // namespace

TargetTables::TargetTables(pg_conn* connection) {
  if (!read(connection)) tables_.clear();
}

bool TargetTables::read(pg_conn* connection) {
  const Result committed = query(connection, kReadCommitted);
  if (!committed || PQntuples(committed.get()) != 1) return false;
  const Result tables = query(connection, kTables);
  const Result columns = query(connection, kColumns);
  const Result indexes = query(connection, kUniqueIndexes);
  if (!tables || !columns || !indexes) return false;
  const auto yes = [](const Result& result, int row, int column) {
    return *PQgetvalue(result.get(), row, column) == 't';
  };
  for (int row = 0; row < PQntuples(tables.get()); ++row) {
    TableFacts& facts = tables_[PQgetvalue(tables.get(), row, 0)];
    facts.readable = facts.readable && yes(tables, row, 1);
    facts.writable = facts.writable && yes(tables, row, 1) && yes(tables, row, 2);
    facts.opaque_uniqueness = facts.opaque_uniqueness || yes(tables, row, 3);
  }
  std::unordered_set<std::string> other_types;  // "table\0column", where not all of that name are integers
  for (int row = 0; row < PQntuples(columns.get()); ++row) {
    const std::string column = PQgetvalue(columns.get(), row, 1);
    TableFacts& facts = tables_[PQgetvalue(columns.get(), row, 0)];
    const std::string name = PQgetvalue(columns.get(), row, 0) + std::string(1, '\0') + column;
    if (!yes(columns, row, 2)) {
      other_types.insert(name);
      facts.integer_columns.erase(column);
    } else if (!other_types.contains(name)) {
      facts.integer_columns.insert(column);
    }
    if (yes(columns, row, 3)) facts.unique_columns.insert(column);
    facts.generates = facts.generates || yes(columns, row, 4);
    facts.columns.push_back(column);
  }
  const auto index_of = [&](int row) { return std::string_view(PQgetvalue(indexes.get(), row, 1)); };
  for (int row = 0; row < PQntuples(indexes.get()); ++row) {
    auto& unique = tables_[PQgetvalue(indexes.get(), row, 0)].unique;
    if (row == 0 || index_of(row) != index_of(row - 1)) unique.emplace_back();
    unique.back().emplace_back(PQgetvalue(indexes.get(), row, 2));
  }
  return true;
}

const TableFacts* TargetTables::find(const std::string& name) const {
  const auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : &found->second;
}

}  // namespace understudy::replayer
