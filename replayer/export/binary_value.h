// Values in PostgreSQL's binary format as the text a server reads (PostgreSQL documentation, "Data Types";
// the format is each type's send function). Pure functions, any thread; bytes are a client's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "formats/bytes.h"

namespace understudy::replayer {

// None for a type this does not know, and for bytes that are no value of it.
[[nodiscard]] std::optional<std::string> binary_to_text(std::uint32_t type_oid, ByteView bytes);

// What to call a built-in type in a cast: "int4", "timestamptz[]"; "" for others, whose oids differ from
// database to database.
[[nodiscard]] std::string type_name(std::uint32_t type_oid);

}  // namespace understudy::replayer
