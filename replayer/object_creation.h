// Requests that make a large object under an OID of the server's choice, and nothing else: lo_creat() and
// lo_create(0) by function call ("Function Call"), as libpq, psql and JDBC make them, and in statements like
// SELECT lo_from_bytea(0, $1) (PostgreSQL documentation, "Large Objects"). A replay asks for the very OID
// that the recorded server chose, so that what names it later, in calls, statements and rows of any session,
// names the same object; to a diff both ways to ask are one request. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/wire/message_assembler.h"

namespace understudy::replayer {

class ObjectCreation {
 public:
  // The one that is all of what a client sent: a call, a Query, or a Parse of the unnamed statement with its
  // Bind, of which the end may be missing, and what follows that. A named statement may be run again.
  [[nodiscard]] static std::optional<ObjectCreation> in(ByteView piece);
  // The same piece, asking for this OID.
  [[nodiscard]] ByteBuffer with_oid(ByteView piece, std::uint32_t oid) const;

 private:
  [[nodiscard]] static std::optional<ObjectCreation> in_call(ByteView payload);
  [[nodiscard]] static std::optional<ObjectCreation> in_text(ByteView payload, std::size_t sql_at);

  bool call_ = false;   // by function call: its argument is replaced
  std::size_t at_ = 0;  // in the payload; so many bytes are replaced by before_ and the OID
  std::size_t bytes_ = 0;
  std::string_view before_;
};

// What the server said to it.
class CreationAnswer {
 public:
  void feed(ByteView server_bytes);
  // ReadyForQuery was seen.
  [[nodiscard]] bool complete() const { return complete_; }
  // Of the object that was made: the answer to a call, or the one row of the one column.
  [[nodiscard]] std::optional<std::uint32_t> oid() const;

 private:
  void take(const wire::Message& message);
  void take_columns(ByteView payload);
  void take_row(ByteView payload);
  void add(ByteView value, bool binary);

  wire::MessageAssembler messages_{std::size_t{64} << 10};
  std::optional<std::int16_t> format_;  // of the rows that follow, when they are one OID each
  std::size_t found_ = 0;
  std::uint32_t oid_ = 0;
  bool complete_ = false;
};

// A statement that makes one, and nothing else, with the OID left out, whatever it was; none of others.
[[nodiscard]] std::optional<std::string> without_object_oid(std::string_view sql);
// Whether a function call is of lo_creat or lo_create.
[[nodiscard]] bool creates_object(std::uint32_t function_oid);

}  // namespace understudy::replayer
