#include "formats/wire/backend_builders.h"

#include "formats/wire/message_writer.h"

namespace understudy::wire {

namespace {

void append_error_text(ByteBuffer& out, char type, const ErrorText& error) {
  MessageWriter writer(out, type);
  const ErrorField fields[] = {{'S', error.severity}, {'V', error.severity}, {'C', error.sqlstate},
                               {'M', error.message},  {'D', error.detail},   {'H', error.hint}};
  for (const ErrorField& field : fields) {
    const bool optional = field.code == 'D' || field.code == 'H';
    if (optional && field.text.empty()) continue;
    writer.letter(field.code);
    writer.c_string(field.text);
  }
  writer.u8(0);
}

}  // namespace

void append_error_response(ByteBuffer& out, const ErrorText& error) {
  append_error_text(out, backend::kErrorResponse, error);
}

void append_notice_response(ByteBuffer& out, const ErrorText& notice) {
  append_error_text(out, backend::kNoticeResponse, notice);
}

void append_error_fields(ByteBuffer& out, char type, std::span<const ErrorField> fields) {
  MessageWriter writer(out, type);
  for (const ErrorField& field : fields) {
    if (field.code == 0) break;
    writer.letter(field.code);
    writer.c_string(field.text);
  }
  writer.u8(0);
}

void append_authentication_ok(ByteBuffer& out) { append_authentication(out, AuthenticationCode::kOk); }

void append_authentication(ByteBuffer& out, AuthenticationCode code, ByteView data) {
  MessageWriter writer(out, backend::kAuthentication);
  writer.be32(static_cast<std::uint32_t>(code));
  writer.bytes(data);
}

void append_authentication_sasl(ByteBuffer& out, std::span<const std::string_view> mechanisms) {
  MessageWriter writer(out, backend::kAuthentication);
  writer.be32(static_cast<std::uint32_t>(AuthenticationCode::kSasl));
  for (const std::string_view mechanism : mechanisms) writer.c_string(mechanism);
  writer.u8(0);
}

void append_backend_key_data(ByteBuffer& out, std::uint32_t process_id, ByteView secret_key) {
  MessageWriter writer(out, backend::kBackendKeyData);
  writer.be32(process_id);
  writer.bytes(secret_key);
}

void append_negotiate_protocol_version(ByteBuffer& out, std::uint32_t protocol_version,
                                       std::span<const std::string_view> unrecognized_options) {
  MessageWriter writer(out, backend::kNegotiateProtocolVersion);
  writer.be32(protocol_version);
  writer.be32(static_cast<std::uint32_t>(unrecognized_options.size()));
  for (const std::string_view option : unrecognized_options) writer.c_string(option);
}

void append_parameter_status(ByteBuffer& out, std::string_view name, std::string_view value) {
  MessageWriter writer(out, backend::kParameterStatus);
  writer.c_string(name);
  writer.c_string(value);
}

void append_ready_for_query(ByteBuffer& out, TransactionStatus status) {
  MessageWriter(out, backend::kReadyForQuery).letter(static_cast<char>(status));
}

void append_row_description(ByteBuffer& out, std::span<const FieldDescription> fields) {
  MessageWriter writer(out, backend::kRowDescription);
  for (const FieldDescription& field : writer.counted(fields)) {
    writer.c_string(field.name);
    writer.be32(field.table_oid);
    writer.be16(static_cast<std::uint16_t>(field.table_column));
    writer.be32(field.type_oid);
    writer.be16(static_cast<std::uint16_t>(field.type_size));
    writer.be32(static_cast<std::uint32_t>(field.type_modifier));
    writer.be16(static_cast<std::uint16_t>(field.format));
  }
}

void append_data_row(ByteBuffer& out, std::span<const Value> columns) {
  MessageWriter(out, backend::kDataRow).values(columns);
}

void append_command_complete(ByteBuffer& out, std::string_view tag) {
  MessageWriter(out, backend::kCommandComplete).c_string(tag);
}

void append_copy_response(ByteBuffer& out, char type, std::uint8_t overall_format,
                          std::span<const std::int16_t> column_formats) {
  MessageWriter writer(out, type);
  writer.u8(overall_format);
  writer.format_codes(column_formats);
}

void append_notification_response(ByteBuffer& out, std::uint32_t process_id, std::string_view channel,
                                  std::string_view payload) {
  MessageWriter writer(out, backend::kNotificationResponse);
  writer.be32(process_id);
  writer.c_string(channel);
  writer.c_string(payload);
}

void append_parameter_description(ByteBuffer& out, std::span<const std::uint32_t> types) {
  MessageWriter(out, backend::kParameterDescription).oids(types);
}

void append_function_call_response(ByteBuffer& out, Value result) {
  MessageWriter(out, backend::kFunctionCallResponse).value(result);
}

void append_empty_message(ByteBuffer& out, char type) { MessageWriter(out, type); }

}  // namespace understudy::wire
