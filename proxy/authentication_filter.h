// Which messages of a relayed authentication are secrets: they are passed on, but an observer is told of them
// only by kind. Pure; no I/O. (PostgreSQL documentation, "Message Formats": type R.)
#pragma once

#include <optional>

#include "formats/bytes.h"
#include "formats/transcript/event.h"

namespace understudy::proxy {

class AuthenticationFilter {
 public:
  // A message of the server before its first ReadyForQuery. What must be withheld, or nothing.
  [[nodiscard]] std::optional<RedactionKind> server_message(char type, ByteView payload);
  // The client's next PasswordMessage, SASL or GSS response.
  [[nodiscard]] RedactionKind client_response() const { return expected_; }

 private:
  RedactionKind expected_ = RedactionKind::kPassword;
};

}  // namespace understudy::proxy
