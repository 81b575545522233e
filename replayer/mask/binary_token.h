// The binary format of the types that have tokens, to text as the server writes it and back. Pure functions,
// any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "formats/bytes.h"

namespace understudy::replayer {

// None for types without tokens and for bytes that are no value of the type.
[[nodiscard]] std::optional<std::string> text_of_binary(std::uint32_t type_oid, ByteView bytes);
// What text_of_binary() gave, or a token of it, as bytes.
[[nodiscard]] std::optional<ByteBuffer> binary_of_text(std::uint32_t type_oid, std::string_view text);

// text, varchar, name, ...: their binary format is their text.
[[nodiscard]] bool is_text_type(std::uint32_t type_oid);
// json and xml: texts without tokens.
[[nodiscard]] bool is_document_type(std::uint32_t type_oid);
[[nodiscard]] bool is_number_type(std::uint32_t type_oid);

}  // namespace understudy::replayer
