// Recorded bytes as text for people: one line, no control characters, no longer than asked for. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/wire/lists.h"

namespace understudy::replayer {

// The text with control characters and invalid UTF-8 escaped ("\n", "\x07"), cut at about `limit_bytes`,
// which "..." then tells.
[[nodiscard]] std::string readable_text(std::string_view text, std::size_t limit_bytes);
// A parameter or column, no two alike: NULL, 'text', or \xhex for bytes that are no text (no UTF-8, or with a
// NUL). In text a backslash is \\ and a quote \', a control character \n, \t, \r or \xHH; what was cut off
// is "..." behind the quotes.
[[nodiscard]] std::string readable_value(const wire::Value& value, std::size_t limit_bytes);
// A column as psql prints it, without quotes: a backslash is \\ all the same.
[[nodiscard]] std::string readable_cell(const wire::Value& value, std::size_t limit_bytes);
// "ERROR 23505: duplicate key value ..." of an ErrorResponse's or NoticeResponse's payload.
[[nodiscard]] std::string readable_error(ByteView payload);
// "ERROR 23505"; "ERROR" where no SQLSTATE is known, as in imported logs.
[[nodiscard]] std::string readable_state(std::string_view severity, std::string_view sqlstate);
// "numeric(10,2)", "integer"; "type 16411" for one that servers do not number alike.
[[nodiscard]] std::string readable_type(std::uint32_t oid, std::int32_t modifier);

// Readable text cut to at most `limit_bytes` (3 or more), "..." included, between two characters.
[[nodiscard]] std::string abridged(std::string_view text, std::size_t limit_bytes);

}  // namespace understudy::replayer
