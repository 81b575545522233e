// Appends messages a server sends after start-up to a buffer: those the proxy says itself, and the rest for
// playback and tests. Strings end at their first NUL (see message_writer.h). Any thread.
#pragma once

#include <span>

#include "formats/wire/backend_messages.h"

namespace understudy::wire {

// An error the proxy reports. Empty detail and hint are left out.
struct ErrorText {
  std::string_view severity = "FATAL";  // sent as both S and V: the proxy does not translate
  std::string_view sqlstate{};
  std::string_view message{};
  std::string_view detail{};
  std::string_view hint{};
};
void append_error_response(ByteBuffer& out, const ErrorText& error);
void append_notice_response(ByteBuffer& out, const ErrorText& notice);
// Any fields at all. A field without a code (0) ends the list.
void append_error_fields(ByteBuffer& out, char type, std::span<const ErrorField> fields);

void append_authentication_ok(ByteBuffer& out);
// Every other Authentication message but SASL: the code and what follows it.
void append_authentication(ByteBuffer& out, AuthenticationCode code, ByteView data = {});
void append_authentication_sasl(ByteBuffer& out, std::span<const std::string_view> mechanisms);
void append_backend_key_data(ByteBuffer& out, std::uint32_t process_id, ByteView secret_key);
void append_negotiate_protocol_version(ByteBuffer& out, std::uint32_t protocol_version,
                                       std::span<const std::string_view> unrecognized_options);
void append_parameter_status(ByteBuffer& out, std::string_view name, std::string_view value);
void append_ready_for_query(ByteBuffer& out, TransactionStatus status);

void append_row_description(ByteBuffer& out, std::span<const FieldDescription> fields);
void append_data_row(ByteBuffer& out, std::span<const Value> columns);
void append_command_complete(ByteBuffer& out, std::string_view tag);
// type: kCopyInResponse, kCopyOutResponse or kCopyBothResponse.
void append_copy_response(ByteBuffer& out, char type, std::uint8_t overall_format,
                          std::span<const std::int16_t> column_formats);
void append_notification_response(ByteBuffer& out, std::uint32_t process_id, std::string_view channel,
                                  std::string_view payload);
void append_parameter_description(ByteBuffer& out, std::span<const std::uint32_t> types);
void append_function_call_response(ByteBuffer& out, Value result);
// ParseComplete, BindComplete, CloseComplete, EmptyQueryResponse, NoData, PortalSuspended: type alone.
void append_empty_message(ByteBuffer& out, char type);

}  // namespace understudy::wire
