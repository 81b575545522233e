// Which kinds of statements are masked in place. Others are overwritten whole: they may say anything in
// strings of their own, as DO and CREATE FUNCTION do. Names are those of libpg_query's nodes. Any thread.
#pragma once

#include <string_view>
#include <unordered_set>

namespace understudy::replayer {

[[nodiscard]] inline bool is_followed(std::string_view statement) {
  static const std::unordered_set<std::string_view> kFollowed = {
      "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "TransactionStmt",
      "VariableSetStmt", "VariableShowStmt", "CopyStmt", "PrepareStmt", "ExecuteStmt", "DeallocateStmt",
      "DeclareCursorStmt", "FetchStmt", "ClosePortalStmt", "ListenStmt", "NotifyStmt", "UnlistenStmt",
      "ExplainStmt", "DiscardStmt", "TruncateStmt", "LockStmt", "VacuumStmt", "CreateStmt", "IndexStmt",
      "AlterTableStmt", "DropStmt", "ViewStmt", "CreateTableAsStmt", "CreateSeqStmt", "RenameStmt",
      "CreateSchemaStmt", "GrantStmt", "ReindexStmt", "CheckPointStmt", "RefreshMatViewStmt",
      "ConstraintsSetStmt", "CreatedbStmt", "DropdbStmt", "ClusterStmt",
      // No value of a column is in these.
      "GrantRoleStmt", "AlterDefaultPrivilegesStmt", "CreateRoleStmt", "AlterRoleStmt", "AlterRoleSetStmt",
      "DropRoleStmt", "AlterSeqStmt", "AlterObjectSchemaStmt", "AlterOwnerStmt", "DropOwnedStmt",
      "ReassignOwnedStmt", "AlterDatabaseStmt", "AlterDatabaseSetStmt", "CreateExtensionStmt",
      "AlterExtensionStmt", "LoadStmt", "CreateEnumStmt", "CompositeTypeStmt", "CreateStatsStmt",
      "CommentStmt", "SecLabelStmt", "CreateEventTrigStmt", "AlterEventTrigStmt", "AlterEnumStmt",
      "AlterFunctionStmt", "AlterObjectDependsStmt", "CreateCastStmt", "CreateRangeStmt", "DefineStmt",
      // What these compare or insert is of columns that they name.
      "CreatePolicyStmt", "AlterPolicyStmt", "CreateTrigStmt", "RuleStmt", "CreatePublicationStmt",
      "AlterPublicationStmt",
      // Which columns their values are of is not told: all are masked.
      "CreateDomainStmt", "AlterDomainStmt"};
  return kFollowed.contains(statement);
}

// Its strings are for people to read, and any value may stand in them.
[[nodiscard]] inline bool has_free_text(std::string_view statement) {
  return statement == "CommentStmt" || statement == "SecLabelStmt";
}

[[nodiscard]] inline bool is_of_domain(std::string_view statement) {
  return statement == "CreateDomainStmt" || statement == "AlterDomainStmt";
}

// The first argument is the name of a setting or a sequence.
[[nodiscard]] inline bool takes_name_first(std::string_view function) {
  static const std::unordered_set<std::string_view> kFunctions = {
      "current_setting", "set_config", "nextval", "currval", "setval", "pg_get_serial_sequence"};
  return kFunctions.contains(function);
}

// Which tables it reads is in its arguments' texts, if anywhere: functions that run a query, changes out of
// the write-ahead log, pages of tables, files of the server's, what other sessions ask.
[[nodiscard]] inline bool reads_by_text(std::string_view function) {
  static const std::unordered_set<std::string_view> kFunctions = {
      "query_to_xml", "query_to_xml_and_xmlschema", "table_to_xml", "table_to_xml_and_xmlschema",
      "cursor_to_xml", "schema_to_xml", "schema_to_xml_and_xmlschema", "database_to_xml",
      "database_to_xml_and_xmlschema", "ts_stat", "ts_rewrite",
      // dblink and tablefunc, with crosstab
      "dblink", "dblink_fetch", "dblink_get_result", "dblink_exec", "dblink_build_sql_insert",
      "dblink_build_sql_update", "dblink_build_sql_delete", "dblink_error_message", "dblink_get_notify",
      "connectby", "xpath_table",
      // Logical decoding, as text or bytea, and pg_walinspect
      "pg_logical_slot_get_changes", "pg_logical_slot_peek_changes", "pg_logical_slot_get_binary_changes",
      "pg_logical_slot_peek_binary_changes", "pg_get_wal_record_info", "pg_get_wal_records_info",
      "pg_get_wal_records_info_till_end_of_wal", "pg_get_wal_block_info",
      // pageinspect
      "get_raw_page", "heap_page_items", "heap_page_item_attrs", "tuple_data_split", "bt_page_items",
      "gist_page_items", "gist_page_items_bytea", "brin_page_items", "hash_page_items", "gin_leafpage_items",
      "pg_read_file", "pg_read_binary_file", "pg_file_read",
      // Texts of statements
      "current_query", "pg_stat_get_activity", "pg_stat_get_backend_activity", "pg_stat_statements",
      "pg_prepared_statement", "pg_cursor"};
  return function.starts_with("crosstab") || kFunctions.contains(function);  // crosstab2, and own ones
}

// Holds values of whatever columns: pg_stats.
[[nodiscard]] inline bool is_statistics(std::string_view table) {
  return table == "pg_stats" || table == "pg_stats_ext" || table == "pg_stats_ext_exprs" ||
         table == "pg_statistic" || table == "pg_statistic_ext_data";
}

// Holds texts of statements, which may say any value: its columns "query" and "statement".
[[nodiscard]] inline bool tells_statements(std::string_view table) {
  return table == "pg_stat_activity" || table == "pg_stat_statements" || table == "pg_prepared_statements" ||
         table == "pg_cursors";
}

}  // namespace understudy::replayer
