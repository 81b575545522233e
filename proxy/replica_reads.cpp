#include "proxy/replica_reads.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "proxy/known_functions.h"

namespace understudy::proxy {
namespace {

constexpr std::string_view kReads[] = {"copy", "select", "table", "values", "with"};

// Catalogs that are tables like any other, and views that show nothing but them. All other relations of
// PostgreSQL's own (pg_stat_activity, pg_settings, pg_sequences, ...) may show the server.
constexpr std::string_view kCatalogs[] = {"pg_aggregate",
                                          "pg_am",
                                          "pg_amop",
                                          "pg_amproc",
                                          "pg_attrdef",
                                          "pg_attribute",
                                          "pg_auth_members",
                                          "pg_cast",
                                          "pg_catalog",
                                          "pg_class",
                                          "pg_collation",
                                          "pg_constraint",
                                          "pg_conversion",
                                          "pg_database",
                                          "pg_depend",
                                          "pg_description",
                                          "pg_enum",
                                          "pg_event_trigger",
                                          "pg_extension",
                                          "pg_foreign_data_wrapper",
                                          "pg_foreign_server",
                                          "pg_foreign_table",
                                          "pg_index",
                                          "pg_indexes",
                                          "pg_inherits",
                                          "pg_init_privs",
                                          "pg_language",
                                          "pg_matviews",
                                          "pg_namespace",
                                          "pg_opclass",
                                          "pg_operator",
                                          "pg_opfamily",
                                          "pg_partitioned_table",
                                          "pg_policies",
                                          "pg_policy",
                                          "pg_proc",
                                          "pg_publication",
                                          "pg_publication_rel",
                                          "pg_range",
                                          "pg_rewrite",
                                          "pg_roles",
                                          "pg_rules",
                                          "pg_seclabel",
                                          "pg_shdepend",
                                          "pg_shdescription",
                                          "pg_statistic_ext",
                                          "pg_tables",
                                          "pg_tablespace",
                                          "pg_transform",
                                          "pg_trigger",
                                          "pg_ts_config",
                                          "pg_ts_config_map",
                                          "pg_ts_dict",
                                          "pg_ts_parser",
                                          "pg_ts_template",
                                          "pg_type",
                                          "pg_views"};
static_assert(std::is_sorted(std::begin(kCatalogs), std::end(kCatalogs)));

// Stable functions that tell of the server, its files or its session; and the columns of a sequence.
constexpr std::string_view kOfTheServer[] = {"age",
                                             "current_setting",
                                             "is_called",
                                             "last_value",
                                             "log_cnt",
                                             "mxid_age",
                                             "pg_is_in_recovery",
                                             "pg_relation_filenode",
                                             "pg_relation_filepath",
                                             "version"};
static_assert(std::is_sorted(std::begin(kOfTheServer), std::end(kOfTheServer)));

std::string name_of(std::string_view sql, const SqlToken& token) {
  std::string name = to_lower(token.of(sql));
  if (token.kind == SqlTokenKind::kQuotedName && name.size() >= 2) name = name.substr(1, name.size() - 2);
  return name;
}

bool tells_of_the_server(std::string_view name, bool called) {
  // A window function, and a column of a sequence.
  if (name == "last_value" && called) return false;
  // With one argument of the type xid it counts from today's; with times it computes.
  if (name == "version" || name == "age") return called;
  if (std::binary_search(std::begin(kOfTheServer), std::end(kOfTheServer), name)) return true;
  if (name.starts_with("pg_temp") || name.starts_with("pg_toast")) return true;
  if (!name.starts_with("pg_")) return false;
  return called ? !is_safe_function(name)
                : !std::binary_search(std::begin(kCatalogs), std::end(kCatalogs), name);
}

}  // namespace

bool same_on_a_replica(std::string_view sql, std::span<const SqlToken> tokens) {
  while (!tokens.empty() && tokens.front().is(sql, '(')) tokens = tokens.subspan(1);
  if (tokens.empty() || tokens.front().kind != SqlTokenKind::kWord) return false;
  const std::string first = to_lower(tokens.front().of(sql));
  if (!std::binary_search(std::begin(kReads), std::end(kReads), first)) return false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const SqlToken& token = tokens[i];
    if (token.kind != SqlTokenKind::kWord && token.kind != SqlTokenKind::kQuotedName) continue;
    const bool called = i + 1 < tokens.size() && tokens[i + 1].is(sql, '(');
    if (tells_of_the_server(name_of(sql, token), called)) return false;
  }
  return true;
}

}  // namespace understudy::proxy
