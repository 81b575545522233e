// Recorded bytes as text for people: one line, no control characters, no longer than asked for. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "formats/wire/lists.h"

namespace understudy::replayer {

// The text with control characters and invalid UTF-8 escaped ("\n", "\x07"), cut at about `limit_bytes`,
// which "..." then tells.
[[nodiscard]] std::string readable_text(std::string_view text, std::size_t limit_bytes);
// A parameter or column: NULL, 'text', or \xhex for bytes that are no text.
[[nodiscard]] std::string readable_value(const wire::Value& value, std::size_t limit_bytes);
// A column as psql prints it, without quotes.
[[nodiscard]] std::string readable_cell(const wire::Value& value, std::size_t limit_bytes);
// "ERROR 23505: duplicate key value ..." of an ErrorResponse's or NoticeResponse's payload.
[[nodiscard]] std::string readable_error(ByteView payload);

}  // namespace understudy::replayer
