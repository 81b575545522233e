// Settings that code has made in a session out of the proxy's sight (DO, CALL): what the server is asked for,
// and what its answer says. Pure functions and values; any thread.
//
// pg_settings shows every setting but those with a dot in their names that no extension has declared
// (PostgreSQL documentation, "Customized Options"): those can only be asked for by name. The names are looked
// for in the text of a DO, by the server in the text of a procedure that is called, and in the history. A
// procedure that such a procedure calls is not looked into.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace understudy::proxy {

// What is sought: words with a blank between them, each a setting's name, or a procedure's followed by "()".
// Only what needs no quotes is among them.

// Names with a dot that SQL, or PL/pgSQL, sets, in lower case.
[[nodiscard]] std::string settings_named_in(std::string_view code);
[[nodiscard]] std::string procedure_sought(std::string_view name);
// Whether code in SQL or PL/pgSQL says something that may leave a setting, a temporary table or a lock in the
// session: it, not the functions that it calls.
[[nodiscard]] bool tells_change(std::string_view code);
// Adds words that are not there yet; what would make it too long is left out.
void seek_also(std::string& sought, std::string_view words);

// Two columns, and where they come from: a setting's name, in hexadecimal; its value likewise, or what else
// is to be said of it. (So that no encoding and no way of quoting comes between the server and the next.)
inline constexpr std::string_view kSettingColumns =
    "pg_catalog.encode(pg_catalog.convert_to(n, e), 'hex'), "
    "CASE WHEN pg_catalog.octet_length(v) OPERATOR(pg_catalog.<=) 16384 "
    "THEN pg_catalog.encode(pg_catalog.convert_to(v, e), 'hex') "
    "ELSE pg_catalog.left('long', pg_catalog.octet_length(v)) END";
[[nodiscard]] std::string from_settings(std::string_view sought);

// Name of a row that is no setting: a procedure's text sets something, or may do so by what it runs (CALL,
// EXECUTE, a language that is not known).
inline constexpr std::string_view kCodeSets = "()";

struct LearnedSetting {
  std::string name = {};   // in lower case
  std::string value = {};  // in the database's encoding
  std::string text = {};   // SQL that makes it again; empty: the session has not set it
  std::string pins = {};   // why it cannot be made again, in words; empty when it can
};
// Which procedures it is worth to ask behind, in one session: the question costs more than many a procedure.
// One whose text sets nothing, and behind which nothing had changed, is asked behind less and less often.
class QuietProcedures {
 public:
  // It is called; true: to be asked behind.
  [[nodiscard]] bool due(std::string_view procedure);
  // What was learned behind these (a list as above): they set something; or nothing had changed.
  void answered(std::string_view sought, bool sets);

 private:
  static constexpr std::size_t kMost = 256;
  static constexpr std::uint64_t kMostUnasked = 255;
  struct Calls {
    std::uint64_t made = 0;
    std::uint64_t due = 0;  // so many
    bool sets = false;
  };
  std::map<std::string, Calls, std::less<>> calls_;
};

// What a row says; no name where it says nothing. `value`: null where the session has not set it.
[[nodiscard]] LearnedSetting read_setting(std::string_view name, const std::string_view* value);

// Tables made under such a search path may be temporary without saying so.
inline constexpr std::string_view kTemporaryPath = "search_path that begins with pg_temp";
[[nodiscard]] bool begins_with_pg_temp(std::string_view search_path);

}  // namespace understudy::proxy
