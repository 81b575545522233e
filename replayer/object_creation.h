// Requests that make a large object under an OID of the server's choice: lo_creat(), lo_create(0),
// lo_from_bytea(0, ...), lo_import(file), by function call ("Function Call") or in SQL (PostgreSQL
// documentation, "Large Objects"). A replay asks for the very OID that the recorded server chose, so that
// what names it later, in calls, statements and rows of any session, names the same object; to a diff both
// ways to ask are one request. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/wire/message_assembler.h"

namespace understudy::replayer {

class ObjectCreation {
 public:
  // The one in what a client sent, which begins with a message; the last message may end later. None when it
  // has none or several, and when it is in a named statement, which may be run again.
  [[nodiscard]] static std::optional<ObjectCreation> in(ByteView piece);
  // The same piece, asking for this OID.
  [[nodiscard]] ByteBuffer with_oid(ByteView piece, std::uint32_t oid) const;

 private:
  [[nodiscard]] static std::optional<ObjectCreation> in_message(const wire::FrameHeader& frame);
  [[nodiscard]] static std::optional<ObjectCreation> in_call(ByteView payload);
  [[nodiscard]] static std::optional<ObjectCreation> in_text(std::string_view sql, std::size_t sql_at);

  std::size_t message_at_ = 0;  // its type byte, in the piece
  bool call_ = false;           // by function call: its argument is replaced
  std::size_t at_ = 0;          // in the payload; so many bytes are replaced by before_ and the OID
  std::size_t bytes_ = 0;
  std::string_view before_;
};

// What the server said to it.
class CreationAnswer {
 public:
  void feed(ByteView server_bytes);
  // ReadyForQuery was seen.
  [[nodiscard]] bool complete() const { return complete_; }
  // Of the object that was made, when the answer tells of one, and only one.
  [[nodiscard]] std::optional<std::uint32_t> oid() const;

 private:
  void take(const wire::Message& message);
  void take_columns(ByteView payload);
  void take_row(ByteView payload);
  void add(ByteView value);

  wire::MessageAssembler messages_{std::size_t{64} << 10};
  std::size_t oid_column_ = SIZE_MAX;  // of the rows that follow
  std::size_t found_ = 0;
  std::uint32_t oid_ = 0;
  bool complete_ = false;
};

// A statement that makes one with the OID left out, whatever it was; none when it makes none.
[[nodiscard]] std::optional<std::string> without_object_oid(std::string_view sql);
// Whether a function call is of lo_creat or lo_create.
[[nodiscard]] bool creates_object(std::uint32_t function_oid);

}  // namespace understudy::replayer
