// Appends the messages a client sends after start-up to a buffer. Strings end at their first NUL (see
// message_writer.h). Any thread.
#pragma once

#include <span>

#include "formats/wire/frontend_messages.h"

namespace understudy::wire {

void append_query(ByteBuffer& out, std::string_view sql);
void append_parse(ByteBuffer& out, std::string_view statement, std::string_view sql,
                  std::span<const std::uint32_t> parameter_types = {});
// At most 65,535 formats and parameters: what is beyond is not sent, for their counts are two bytes.
struct BindArguments {
  std::string_view portal{};
  std::string_view statement{};
  std::span<const std::int16_t> parameter_formats{};
  std::span<const Value> parameters{};
  std::span<const std::int16_t> result_formats{};
};
void append_bind(ByteBuffer& out, const BindArguments& bind);
void append_describe(ByteBuffer& out, Target target, std::string_view name);
void append_close(ByteBuffer& out, Target target, std::string_view name);
void append_execute(ByteBuffer& out, std::string_view portal, std::uint32_t max_rows = 0);
void append_flush(ByteBuffer& out);
void append_sync(ByteBuffer& out);
void append_terminate(ByteBuffer& out);
void append_function_call(ByteBuffer& out, std::uint32_t function_oid,
                          std::span<const std::int16_t> argument_formats, std::span<const Value> arguments,
                          std::int16_t result_format);
// CopyData and CopyDone are the same in both directions.
void append_copy_data(ByteBuffer& out, ByteView data);
void append_copy_done(ByteBuffer& out);
void append_copy_fail(ByteBuffer& out, std::string_view reason);
void append_password(ByteBuffer& out, std::string_view password);
void append_sasl_initial_response(ByteBuffer& out, std::string_view mechanism, Value response);
void append_sasl_response(ByteBuffer& out, ByteView response);

}  // namespace understudy::wire
