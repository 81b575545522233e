// What a client sends after start-up, decoded (PostgreSQL documentation, "Message Formats", those marked F).
// Values are views into the payload given: they copy nothing and live as long as it. Any thread.
#pragma once

#include <variant>

#include "formats/wire/decoded.h"
#include "formats/wire/lists.h"

namespace understudy::wire {

struct Query {
  std::string_view sql;
  static Decoded<Query> decode(ByteView payload);
};
struct Parse {
  std::string_view statement;  // "" is the unnamed one
  std::string_view sql;
  OidList parameter_types;  // may be fewer than the statement has; 0 leaves the type to the server
  static Decoded<Parse> decode(ByteView payload);
};
struct Bind {
  std::string_view portal;
  std::string_view statement;
  FormatCodes parameter_formats;
  ValueList parameters;
  FormatCodes result_formats;
  static Decoded<Bind> decode(ByteView payload);
};
// What a Describe or Close names.
enum class Target : char { kStatement = 'S', kPortal = 'P' };
struct Describe {
  Target target = Target::kStatement;
  std::string_view name;
  static Decoded<Describe> decode(ByteView payload);
};
struct Close {
  Target target = Target::kStatement;
  std::string_view name;
  static Decoded<Close> decode(ByteView payload);
};
struct Execute {
  std::string_view portal;
  std::uint32_t max_rows = 0;  // 0 means all
  static Decoded<Execute> decode(ByteView payload);
};
struct FunctionCall {
  std::uint32_t function_oid = 0;
  FormatCodes argument_formats;
  ValueList arguments;
  std::int16_t result_format = 0;
  static Decoded<FunctionCall> decode(ByteView payload);
};
struct CopyFail {
  std::string_view reason;
  static Decoded<CopyFail> decode(ByteView payload);
};
// Flush, Sync, CopyDone and Terminate are but their type.
struct Flush {
  static Decoded<Flush> decode(ByteView payload);
};
struct Sync {
  static Decoded<Sync> decode(ByteView payload);
};
struct Terminate {
  static Decoded<Terminate> decode(ByteView payload);
};
// Both directions.
struct CopyData {
  ByteView data;
  static Decoded<CopyData> decode(ByteView payload);
};
struct CopyDone {
  static Decoded<CopyDone> decode(ByteView payload);
};

// 'p': which of the following it is depends on what the server asked for last, so decode_frontend leaves it
// as it came.
struct AuthenticationResponse {
  ByteView payload;
};
struct PasswordMessage {
  std::string_view password;
  static Decoded<PasswordMessage> decode(ByteView payload);
};
struct SaslInitialResponse {
  std::string_view mechanism;
  Value response;  // NULL when the client sends none
  static Decoded<SaslInitialResponse> decode(ByteView payload);
};
struct SaslResponse {
  ByteView response;
  static Decoded<SaslResponse> decode(ByteView payload);
};

using FrontendMessage = std::variant<Query, Parse, Bind, Describe, Close, Execute, FunctionCall, CopyFail,
                                     Flush, Sync, Terminate, CopyData, CopyDone, AuthenticationResponse>;

// Decodes the payload of a whole message by its type. An unknown type is an error at offset 0.
[[nodiscard]] Decoded<FrontendMessage> decode_frontend(char type, ByteView payload);

}  // namespace understudy::wire
