#include "formats/wire/frontend_builders.h"

#include "formats/wire/message_types.h"
#include "formats/wire/message_writer.h"

namespace understudy::wire {

namespace {

void append_empty(ByteBuffer& out, char type) { MessageWriter(out, type); }

void append_target(ByteBuffer& out, char type, Target target, std::string_view name) {
  MessageWriter writer(out, type);
  writer.letter(static_cast<char>(target));
  writer.c_string(name);
}

}  // namespace

void append_query(ByteBuffer& out, std::string_view sql) {
  MessageWriter(out, frontend::kQuery).c_string(sql);
}

void append_parse(ByteBuffer& out, std::string_view statement, std::string_view sql,
                  std::span<const std::uint32_t> parameter_types) {
  MessageWriter writer(out, frontend::kParse);
  writer.c_string(statement);
  writer.c_string(sql);
  writer.oids(parameter_types);
}

void append_bind(ByteBuffer& out, const BindArguments& bind) {
  MessageWriter writer(out, frontend::kBind);
  writer.c_string(bind.portal);
  writer.c_string(bind.statement);
  writer.format_codes(bind.parameter_formats);
  writer.values(bind.parameters);
  writer.format_codes(bind.result_formats);
}

void append_describe(ByteBuffer& out, Target target, std::string_view name) {
  append_target(out, frontend::kDescribe, target, name);
}

void append_close(ByteBuffer& out, Target target, std::string_view name) {
  append_target(out, frontend::kClose, target, name);
}

void append_execute(ByteBuffer& out, std::string_view portal, std::uint32_t max_rows) {
  MessageWriter writer(out, frontend::kExecute);
  writer.c_string(portal);
  writer.be32(max_rows);
}

void append_flush(ByteBuffer& out) { append_empty(out, frontend::kFlush); }

void append_sync(ByteBuffer& out) { append_empty(out, frontend::kSync); }

void append_terminate(ByteBuffer& out) { append_empty(out, frontend::kTerminate); }

void append_function_call(ByteBuffer& out, std::uint32_t function_oid,
                          std::span<const std::int16_t> argument_formats, std::span<const Value> arguments,
                          std::int16_t result_format) {
  MessageWriter writer(out, frontend::kFunctionCall);
  writer.be32(function_oid);
  writer.format_codes(argument_formats);
  writer.values(arguments);
  writer.be16(static_cast<std::uint16_t>(result_format));
}

void append_copy_data(ByteBuffer& out, ByteView data) { MessageWriter(out, frontend::kCopyData).bytes(data); }

void append_copy_done(ByteBuffer& out) { append_empty(out, frontend::kCopyDone); }

void append_copy_fail(ByteBuffer& out, std::string_view reason) {
  MessageWriter(out, frontend::kCopyFail).c_string(reason);
}

void append_password(ByteBuffer& out, std::string_view password) {
  MessageWriter(out, frontend::kPassword).c_string(password);
}

void append_sasl_initial_response(ByteBuffer& out, std::string_view mechanism, Value response) {
  MessageWriter writer(out, frontend::kPassword);
  writer.c_string(mechanism);
  writer.value(response);
}

void append_sasl_response(ByteBuffer& out, ByteView response) {
  MessageWriter(out, frontend::kPassword).bytes(response);
}

}  // namespace understudy::wire
