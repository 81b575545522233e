// At least one message of every kind, for tests that hold all of them to the same property.
#pragma once

#include <string>
#include <vector>

#include "tests/formats/wire_rebuild.h"

namespace understudy::wire {

struct Sample {
  std::string name;
  Direction direction;
  ByteBuffer bytes;  // the whole message: type, length, payload
  // The payload's end is wherever the message's length says, so no truncation of it can be told.
  bool open_ended = false;

  [[nodiscard]] char type() const { return static_cast<char>(bytes[0]); }
  [[nodiscard]] ByteView payload() const { return ByteView(bytes).subspan(5); }
};

// A text with everything that is awkward in one.
inline constexpr std::string_view kAwkwardText = "it's \"one\" \\ 'größer' \x01 $$";

inline std::vector<Sample> samples() {
  std::vector<Sample> all;
  const auto add = [&](Direction direction, std::string name, bool open_ended, auto&& append) {
    Sample sample{std::move(name), direction, {}, open_ended};
    append(sample.bytes);
    all.push_back(std::move(sample));
  };
  const auto client = [&](std::string name, auto&& append) {
    add(Direction::kFromClient, std::move(name), false, append);
  };
  const auto server = [&](std::string name, auto&& append) {
    add(Direction::kFromServer, std::move(name), false, append);
  };

  static const Byte kWithNul[] = {0, 1, 0, 0xFF};
  const std::vector<Value> values = {{ByteView(kWithNul)}, Value::null(), {}, {as_bytes(kAwkwardText)}};
  const std::vector<std::int16_t> formats = {1, 0, 0, 1};
  const std::vector<std::int16_t> binary = {1};
  const std::vector<std::uint32_t> oids = {23, 0, 0xFFFFFFFF};

  client("Query", [&](ByteBuffer& out) { append_query(out, kAwkwardText); });
  client("Query, empty", [&](ByteBuffer& out) { append_query(out, ""); });
  client("Parse", [&](ByteBuffer& out) { append_parse(out, "s1", "SELECT $1", oids); });
  client("Parse, unnamed", [&](ByteBuffer& out) { append_parse(out, "", "", {}); });
  client("Bind", [&](ByteBuffer& out) { append_bind(out, {"p1", "s1", formats, values, binary}); });
  client("Bind, empty", [&](ByteBuffer& out) { append_bind(out, {}); });
  client("Describe", [&](ByteBuffer& out) { append_describe(out, Target::kStatement, "s1"); });
  client("Close", [&](ByteBuffer& out) { append_close(out, Target::kPortal, ""); });
  client("Execute", [&](ByteBuffer& out) { append_execute(out, "p1", 0xFFFFFFFF); });
  client("Flush", [&](ByteBuffer& out) { append_flush(out); });
  client("Sync", [&](ByteBuffer& out) { append_sync(out); });
  client("Terminate", [&](ByteBuffer& out) { append_terminate(out); });
  client("FunctionCall", [&](ByteBuffer& out) { append_function_call(out, 1598, formats, values, 1); });
  client("CopyDone", [&](ByteBuffer& out) { append_copy_done(out); });
  client("CopyFail", [&](ByteBuffer& out) { append_copy_fail(out, kAwkwardText); });
  add(Direction::kFromClient, "CopyData", true, [&](ByteBuffer& out) { append_copy_data(out, kWithNul); });
  add(Direction::kFromClient, "CopyData, empty", true, [](ByteBuffer& out) { append_copy_data(out, {}); });
  add(Direction::kFromClient, "password", true, [](ByteBuffer& out) { append_password(out, "secret"); });

  using enum AuthenticationCode;
  for (const AuthenticationCode code : {kOk, kKerberosV5, kCleartextPassword, kScmCredential, kGss, kSspi})
    server("Authentication " + std::to_string(static_cast<int>(code)),
           [&](ByteBuffer& out) { append_authentication(out, code); });
  server("AuthenticationMD5Password",
         [&](ByteBuffer& out) { append_authentication(out, kMd5Password, kWithNul); });
  const std::vector<std::string_view> mechanisms = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"};
  server("AuthenticationSASL", [&](ByteBuffer& out) { append_authentication_sasl(out, mechanisms); });
  server("AuthenticationSASL, none", [&](ByteBuffer& out) { append_authentication_sasl(out, {}); });
  for (const AuthenticationCode code : {kGssContinue, kSaslContinue, kSaslFinal})
    add(Direction::kFromServer, "Authentication " + std::to_string(static_cast<int>(code)), true,
        [&](ByteBuffer& out) { append_authentication(out, code, kWithNul); });
  server("BackendKeyData", [&](ByteBuffer& out) { append_backend_key_data(out, 4711, kWithNul); });
  add(Direction::kFromServer, "BackendKeyData, long", true,
      [](ByteBuffer& out) { append_backend_key_data(out, 4711, ByteBuffer(256, 0xAB)); });
  const std::vector<std::string_view> options = {"_pq_.one", "_pq_.two"};
  server("NegotiateProtocolVersion",
         [&](ByteBuffer& out) { append_negotiate_protocol_version(out, kProtocol30, options); });
  server("ParameterStatus", [&](ByteBuffer& out) { append_parameter_status(out, "TimeZone", kAwkwardText); });
  for (const TransactionStatus status :
       {TransactionStatus::kIdle, TransactionStatus::kInTransaction, TransactionStatus::kFailed})
    server("ReadyForQuery", [&](ByteBuffer& out) { append_ready_for_query(out, status); });
  const std::vector<FieldDescription> fields = {{"id", 16384, 1, 23, 4, -1, 0},
                                                {kAwkwardText, 0, 0, 25, -1, -1, 1}};
  server("RowDescription", [&](ByteBuffer& out) { append_row_description(out, fields); });
  server("RowDescription, no columns", [](ByteBuffer& out) { append_row_description(out, {}); });
  server("DataRow", [&](ByteBuffer& out) { append_data_row(out, values); });
  server("DataRow, no columns", [](ByteBuffer& out) { append_data_row(out, {}); });
  server("CommandComplete", [](ByteBuffer& out) { append_command_complete(out, "INSERT 0 3"); });
  const ErrorText error{"ERROR", "42P01", kAwkwardText, "detail", "hint"};
  server("ErrorResponse", [&](ByteBuffer& out) { append_error_response(out, error); });
  server("ErrorResponse, no fields",
         [](ByteBuffer& out) { append_error_fields(out, backend::kErrorResponse, {}); });
  server("NoticeResponse", [&](ByteBuffer& out) { append_notice_response(out, error); });
  for (const char type : {backend::kCopyInResponse, backend::kCopyOutResponse, backend::kCopyBothResponse})
    server(std::string(message_name(Direction::kFromServer, type)),
           [&](ByteBuffer& out) { append_copy_response(out, type, 1, formats); });
  server("NotificationResponse",
         [](ByteBuffer& out) { append_notification_response(out, 4711, "lines", kAwkwardText); });
  server("ParameterDescription", [&](ByteBuffer& out) { append_parameter_description(out, oids); });
  server("FunctionCallResponse",
         [&](ByteBuffer& out) { append_function_call_response(out, {ByteView(kWithNul)}); });
  server("FunctionCallResponse, NULL",
         [](ByteBuffer& out) { append_function_call_response(out, Value::null()); });
  for (const char type : {backend::kParseComplete, backend::kBindComplete, backend::kCloseComplete,
                          backend::kEmptyQueryResponse, backend::kNoData, backend::kPortalSuspended})
    server(std::string(message_name(Direction::kFromServer, type)),
           [&](ByteBuffer& out) { append_empty_message(out, type); });
  add(Direction::kFromServer, "CopyData", true, [&](ByteBuffer& out) { append_copy_data(out, kWithNul); });
  server("CopyDone", [](ByteBuffer& out) { append_copy_done(out); });
  return all;
}

// Every sample of one direction, one after the other.
inline ByteBuffer stream_of(Direction direction) {
  ByteBuffer stream;
  for (const Sample& sample : samples())
    if (sample.direction == direction) append_bytes(stream, sample.bytes);
  return stream;
}

// Calls `check` with what decode_frontend or decode_backend makes of `payload`.
template <typename Check>
auto with_decoded(Direction direction, char type, ByteView payload, Check&& check) {
  return direction == Direction::kFromClient ? check(decode_frontend(type, payload))
                                             : check(decode_backend(type, payload));
}

}  // namespace understudy::wire
