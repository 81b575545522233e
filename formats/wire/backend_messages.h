// What a server sends after start-up, decoded (PostgreSQL documentation, "Message Formats", those marked B).
// Values are views into the payload given: they copy nothing and live as long as it. Any thread.
#pragma once

#include <optional>
#include <variant>

#include "formats/wire/decoded.h"
#include "formats/wire/frontend_messages.h"
#include "formats/wire/lists.h"
#include "formats/wire/message_types.h"

namespace understudy::wire {

struct Authentication {
  AuthenticationCode code = AuthenticationCode::kOk;
  ByteView data;  // salt (MD5), challenge or outcome (GSSContinue, SASLContinue, SASLFinal)
  ListView<std::string_view> mechanisms;  // SASL
  static Decoded<Authentication> decode(ByteView payload);
};
struct BackendKeyData {
  std::uint32_t process_id = 0;
  ByteView secret_key;  // 4 to 256 bytes; always 4 in protocol 3.0
  static Decoded<BackendKeyData> decode(ByteView payload);
};
struct NegotiateProtocolVersion {
  // The documentation says the newest minor version; every server sends the whole version (0x00030000).
  std::uint32_t protocol_version = 0;
  ListView<std::string_view> unrecognized_options;
  static Decoded<NegotiateProtocolVersion> decode(ByteView payload);
};
struct ParameterStatus {
  std::string_view name;
  std::string_view value;
  static Decoded<ParameterStatus> decode(ByteView payload);
};
enum class TransactionStatus : char { kIdle = 'I', kInTransaction = 'T', kFailed = 'E' };
struct ReadyForQuery {
  TransactionStatus status = TransactionStatus::kIdle;
  static Decoded<ReadyForQuery> decode(ByteView payload);
};
struct RowDescription {
  ListView<FieldDescription> fields;
  static Decoded<RowDescription> decode(ByteView payload);
};
struct DataRow {
  ValueList columns;
  static Decoded<DataRow> decode(ByteView payload);
};
struct CommandComplete {
  std::string_view tag;               // "INSERT 0 3"
  std::string_view command;           // "INSERT"
  std::optional<std::uint64_t> rows;  // 3; nothing for commands that count none
  static Decoded<CommandComplete> decode(ByteView payload);
};
// The shape ErrorResponse and NoticeResponse share.
struct ErrorFields {
  ListView<ErrorField> fields;
  // The first field of that code, "" when absent: 'S' severity, 'V' severity untranslated, 'C' SQLSTATE,
  // 'M' message, 'D' detail, 'H' hint, 'P' position, ... ("Error and Notice Message Fields").
  [[nodiscard]] std::string_view field(char code) const;
  [[nodiscard]] std::string_view severity() const;  // untranslated where the server sends it (since 9.6)
  [[nodiscard]] std::string_view sqlstate() const { return field('C'); }
  [[nodiscard]] std::string_view message() const { return field('M'); }
};
struct ErrorResponse : ErrorFields {
  static Decoded<ErrorResponse> decode(ByteView payload);
};
struct NoticeResponse : ErrorFields {
  static Decoded<NoticeResponse> decode(ByteView payload);
};
// The shape CopyInResponse, CopyOutResponse and CopyBothResponse share.
struct CopyFormats {
  std::uint8_t overall_format = 0;  // 0 text, 1 binary
  FormatCodes column_formats;
};
struct CopyInResponse : CopyFormats {
  static Decoded<CopyInResponse> decode(ByteView payload);
};
struct CopyOutResponse : CopyFormats {
  static Decoded<CopyOutResponse> decode(ByteView payload);
};
struct CopyBothResponse : CopyFormats {
  static Decoded<CopyBothResponse> decode(ByteView payload);
};
struct NotificationResponse {
  std::uint32_t process_id = 0;
  std::string_view channel;
  std::string_view payload;
  static Decoded<NotificationResponse> decode(ByteView payload);
};
struct ParameterDescription {
  OidList types;
  static Decoded<ParameterDescription> decode(ByteView payload);
};
struct FunctionCallResponse {
  Value result;
  static Decoded<FunctionCallResponse> decode(ByteView payload);
};
struct ParseComplete {
  static Decoded<ParseComplete> decode(ByteView payload);
};
struct BindComplete {
  static Decoded<BindComplete> decode(ByteView payload);
};
struct CloseComplete {
  static Decoded<CloseComplete> decode(ByteView payload);
};
struct EmptyQueryResponse {
  static Decoded<EmptyQueryResponse> decode(ByteView payload);
};
struct NoData {
  static Decoded<NoData> decode(ByteView payload);
};
struct PortalSuspended {
  static Decoded<PortalSuspended> decode(ByteView payload);
};

using BackendMessage =
    std::variant<Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, ReadyForQuery,
                 RowDescription, DataRow, CommandComplete, ErrorResponse, NoticeResponse, CopyInResponse,
                 CopyOutResponse, CopyBothResponse, NotificationResponse, ParameterDescription,
                 FunctionCallResponse, ParseComplete, BindComplete, CloseComplete, EmptyQueryResponse, NoData,
                 PortalSuspended, CopyData, CopyDone>;

// Decodes the payload of a whole message by its type. An unknown type is an error at offset 0.
[[nodiscard]] Decoded<BackendMessage> decode_backend(char type, ByteView payload);

}  // namespace understudy::wire
