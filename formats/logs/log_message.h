// What a message of a server's log says of its session: the texts that log_statement, log_duration,
// log_min_duration_statement, log_connections and log_disconnections write. Messages in English: servers
// translate them by lc_messages. Views into the text given. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/transcript/event.h"

namespace understudy::logs {

struct LogMessage {
  enum class Kind : std::uint8_t {
    kOther,
    kStatement,      // "statement: ...": a simple Query
    kParse,          // "duration: ... parse name: ...": preparing took so long
    kBind,           // "duration: ... bind name/portal: ..."
    kExecute,        // "execute name/portal: ..."
    kFetch,          // "execute fetch from name/portal: ..."
    kFunctionCall,   // "fastpath function call: ..."
    kDuration,       // of what the session was asked last
    kConnection,     // "connection received: ..."
    kAuthorized,     // "connection authorized: ..."
    kDisconnection,  // "disconnection: ..."
    kReplication     // "replication connection authorized: ...", "received replication command: ..."
  };
  Kind kind = Kind::kOther;
  std::optional<TimeNs> duration;  // the message was written when it was over
  std::string_view name{};         // of the prepared statement; empty: unnamed
  std::string_view portal{};
  std::string_view text{};  // the statement, or what stands behind "connection received: "
};
[[nodiscard]] LogMessage read_log_message(std::string_view message);

// "host=" of "host=127.0.0.1 port=1"; empty when it is not there. Values end at the next " word=".
[[nodiscard]] std::string_view connection_word(std::string_view text, std::string_view word);

// One parameter as text, or NULL.
using LogParameter = std::optional<std::string>;
// "parameters: $1 = 'it''s', $2 = NULL", in either spelling; also behind "with parameters: " of a context.
// None when the text has none, or they cannot be read. An empty list has no text at all.
[[nodiscard]] std::optional<std::vector<LogParameter>> read_parameters(std::string_view text);

}  // namespace understudy::logs
