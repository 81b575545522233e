#include "formats/wire/backend_messages.h"

#include <charconv>

#include "formats/wire/startup.h"

namespace understudy::wire {

namespace {

template <typename Message>
Decoded<Message> decode_empty(ByteView payload) {
  return finish(ByteReader(payload), Message{});
}

template <typename Message>
Decoded<Message> decode_copy_response(ByteView payload) {
  ByteReader in(payload);
  Message message;
  message.overall_format = in.u8();
  message.column_formats = read_format_codes(in);
  if (!in.failed() && message.overall_format > 1) return DecodeError{0, "neither text (0) nor binary (1)"};
  return finish(in, message);
}

// Items up to a terminator: a zero byte where the next item would begin.
template <typename Item>
ListView<Item> read_terminated_list(ByteReader& in, ByteView payload) {
  const std::size_t start = in.offset();
  std::size_t count = 0;
  Item item;
  while (in.remaining() > 0 && payload[in.offset()] != 0 && !in.failed()) {
    read_item(in, item);
    ++count;
  }
  const std::size_t end = in.offset();
  in.u8();
  if (in.failed()) return {};
  return {payload.subspan(start, end - start), count};
}

template <typename Message>
Decoded<Message> decode_error_fields(ByteView payload) {
  ByteReader in(payload);
  Message message;
  message.fields = read_terminated_list<ErrorField>(in, payload);
  return finish(in, message);
}

std::optional<std::uint64_t> parse_count(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// Takes the last word off `text` when it is a number.
std::optional<std::uint64_t> take_trailing_count(std::string_view& text) {
  const std::size_t space = text.rfind(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto count = parse_count(text.substr(space + 1));
  if (count) text = text.substr(0, space);
  return count;
}

template <typename Message>
Decoded<BackendMessage> as_variant(ByteView payload) {
  const Decoded<Message> decoded = Message::decode(payload);
  if (!decoded) return decoded.error();
  return BackendMessage(*decoded);
}

}  // namespace

Decoded<Authentication> Authentication::decode(ByteView payload) {
  ByteReader in(payload);
  Authentication authentication;
  authentication.code = static_cast<AuthenticationCode>(in.be32());
  switch (authentication.code) {
    case AuthenticationCode::kOk:
    case AuthenticationCode::kKerberosV5:
    case AuthenticationCode::kCleartextPassword:
    case AuthenticationCode::kScmCredential:
    case AuthenticationCode::kGss:
    case AuthenticationCode::kSspi:
      break;
    case AuthenticationCode::kMd5Password:
      authentication.data = in.bytes(4);
      break;
    case AuthenticationCode::kSasl:
      authentication.mechanisms = read_terminated_list<std::string_view>(in, payload);
      break;
    case AuthenticationCode::kGssContinue:
    case AuthenticationCode::kSaslContinue:
    case AuthenticationCode::kSaslFinal:
      authentication.data = in.bytes(in.remaining());
      break;
    default:
      return DecodeError{0, "no such authentication request"};
  }
  return finish(in, authentication);
}

Decoded<BackendKeyData> BackendKeyData::decode(ByteView payload) {
  ByteReader in(payload);
  BackendKeyData key;
  key.process_id = in.be32();
  if (in.remaining() < kMinSecretKeyBytes || in.remaining() > kMaxSecretKeyBytes)
    return DecodeError{in.offset(), "a cancel key has 4 to 256 bytes"};
  key.secret_key = in.bytes(in.remaining());
  return finish(in, key);
}

Decoded<NegotiateProtocolVersion> NegotiateProtocolVersion::decode(ByteView payload) {
  ByteReader in(payload);
  NegotiateProtocolVersion negotiate;
  negotiate.protocol_version = in.be32();
  const std::size_t count = in.be32();
  negotiate.unrecognized_options = read_list<std::string_view>(in, payload, count);
  return finish(in, negotiate);
}

Decoded<ParameterStatus> ParameterStatus::decode(ByteView payload) {
  ByteReader in(payload);
  ParameterStatus status;
  status.name = in.c_string();
  status.value = in.c_string();
  return finish(in, status);
}

Decoded<ReadyForQuery> ReadyForQuery::decode(ByteView payload) {
  ByteReader in(payload);
  const char status = static_cast<char>(in.u8());
  if (!in.failed() && status != 'I' && status != 'T' && status != 'E')
    return DecodeError{0, "no such transaction status"};
  return finish(in, ReadyForQuery{static_cast<TransactionStatus>(status)});
}

Decoded<RowDescription> RowDescription::decode(ByteView payload) {
  ByteReader in(payload);
  const std::size_t count = in.be16();
  return finish(in, RowDescription{read_list<FieldDescription>(in, payload, count)});
}

Decoded<DataRow> DataRow::decode(ByteView payload) {
  ByteReader in(payload);
  const std::size_t count = in.be16();
  return finish(in, DataRow{read_list<Value>(in, payload, count)});
}

Decoded<CommandComplete> CommandComplete::decode(ByteView payload) {
  ByteReader in(payload);
  CommandComplete complete;
  complete.tag = in.c_string();
  complete.command = complete.tag;
  complete.rows = take_trailing_count(complete.command);
  // "INSERT oid rows": the oid is a relic, 0 since version 12.
  if (complete.command.starts_with("INSERT ")) complete.command = complete.command.substr(0, 6);
  return finish(in, complete);
}

std::string_view ErrorFields::field(char code) const {
  for (const ErrorField& each : fields)
    if (each.code == code) return each.text;
  return {};
}

std::string_view ErrorFields::severity() const {
  const std::string_view untranslated = field('V');
  return untranslated.empty() ? field('S') : untranslated;
}

Decoded<ErrorResponse> ErrorResponse::decode(ByteView payload) {
  return decode_error_fields<ErrorResponse>(payload);
}

Decoded<NoticeResponse> NoticeResponse::decode(ByteView payload) {
  return decode_error_fields<NoticeResponse>(payload);
}

Decoded<CopyInResponse> CopyInResponse::decode(ByteView payload) {
  return decode_copy_response<CopyInResponse>(payload);
}

Decoded<CopyOutResponse> CopyOutResponse::decode(ByteView payload) {
  return decode_copy_response<CopyOutResponse>(payload);
}

Decoded<CopyBothResponse> CopyBothResponse::decode(ByteView payload) {
  return decode_copy_response<CopyBothResponse>(payload);
}

Decoded<NotificationResponse> NotificationResponse::decode(ByteView payload) {
  ByteReader in(payload);
  NotificationResponse notification;
  notification.process_id = in.be32();
  notification.channel = in.c_string();
  notification.payload = in.c_string();
  return finish(in, notification);
}

Decoded<ParameterDescription> ParameterDescription::decode(ByteView payload) {
  ByteReader in(payload);
  return finish(in, ParameterDescription{read_oids(in)});
}

Decoded<FunctionCallResponse> FunctionCallResponse::decode(ByteView payload) {
  ByteReader in(payload);
  FunctionCallResponse response;
  read_item(in, response.result);
  return finish(in, response);
}

Decoded<ParseComplete> ParseComplete::decode(ByteView payload) {
  return decode_empty<ParseComplete>(payload);
}

Decoded<BindComplete> BindComplete::decode(ByteView payload) { return decode_empty<BindComplete>(payload); }

Decoded<CloseComplete> CloseComplete::decode(ByteView payload) {
  return decode_empty<CloseComplete>(payload);
}

Decoded<EmptyQueryResponse> EmptyQueryResponse::decode(ByteView payload) {
  return decode_empty<EmptyQueryResponse>(payload);
}

Decoded<NoData> NoData::decode(ByteView payload) { return decode_empty<NoData>(payload); }

Decoded<PortalSuspended> PortalSuspended::decode(ByteView payload) {
  return decode_empty<PortalSuspended>(payload);
}

Decoded<BackendMessage> decode_backend(char type, ByteView payload) {
  switch (type) {
    case backend::kAuthentication:
      return as_variant<Authentication>(payload);
    case backend::kBackendKeyData:
      return as_variant<BackendKeyData>(payload);
    case backend::kNegotiateProtocolVersion:
      return as_variant<NegotiateProtocolVersion>(payload);
    case backend::kParameterStatus:
      return as_variant<ParameterStatus>(payload);
    case backend::kReadyForQuery:
      return as_variant<ReadyForQuery>(payload);
    case backend::kRowDescription:
      return as_variant<RowDescription>(payload);
    case backend::kDataRow:
      return as_variant<DataRow>(payload);
    case backend::kCommandComplete:
      return as_variant<CommandComplete>(payload);
    case backend::kErrorResponse:
      return as_variant<ErrorResponse>(payload);
    case backend::kNoticeResponse:
      return as_variant<NoticeResponse>(payload);
    case backend::kCopyInResponse:
      return as_variant<CopyInResponse>(payload);
    case backend::kCopyOutResponse:
      return as_variant<CopyOutResponse>(payload);
    case backend::kCopyBothResponse:
      return as_variant<CopyBothResponse>(payload);
    case backend::kNotificationResponse:
      return as_variant<NotificationResponse>(payload);
    case backend::kParameterDescription:
      return as_variant<ParameterDescription>(payload);
    case backend::kFunctionCallResponse:
      return as_variant<FunctionCallResponse>(payload);
    case backend::kParseComplete:
      return as_variant<ParseComplete>(payload);
    case backend::kBindComplete:
      return as_variant<BindComplete>(payload);
    case backend::kCloseComplete:
      return as_variant<CloseComplete>(payload);
    case backend::kEmptyQueryResponse:
      return as_variant<EmptyQueryResponse>(payload);
    case backend::kNoData:
      return as_variant<NoData>(payload);
    case backend::kPortalSuspended:
      return as_variant<PortalSuspended>(payload);
    case backend::kCopyData:
      return as_variant<CopyData>(payload);
    case backend::kCopyDone:
      return as_variant<CopyDone>(payload);
    default:
      return DecodeError{0, "no such message from a server"};
  }
}

}  // namespace understudy::wire
