// Builds a decoded message again. Decoders accept one spelling of each message only, so what was decoded and
// built again must be the bytes it came from: tests and the fuzzer hold every message to that.
#pragma once

#include <vector>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"
#include "formats/wire/startup.h"

namespace understudy::wire {

template <typename List>
auto to_vector(const List& list) {
  std::vector<std::decay_t<decltype(*list.begin())>> items;
  for (const auto& item : list) items.push_back(item);
  return items;
}
template <typename Integer>
std::vector<Integer> to_vector(const IntegerList<Integer>& list) {
  std::vector<Integer> items;
  for (std::size_t i = 0; i < list.size(); ++i) items.push_back(list[i]);
  return items;
}
inline std::vector<std::int16_t> to_vector(const FormatCodes& codes) {
  return to_vector(static_cast<const IntegerList<std::int16_t>&>(codes));
}

struct Rebuild {
  ByteBuffer& out;

  void operator()(const Query& m) const { append_query(out, m.sql); }
  void operator()(const Parse& m) const {
    append_parse(out, m.statement, m.sql, to_vector(m.parameter_types));
  }
  void operator()(const Bind& m) const {
    const auto parameter_formats = to_vector(m.parameter_formats);
    const auto parameters = to_vector(m.parameters);
    const auto result_formats = to_vector(m.result_formats);
    append_bind(out, {m.portal, m.statement, parameter_formats, parameters, result_formats});
  }
  void operator()(const Describe& m) const { append_describe(out, m.target, m.name); }
  void operator()(const Close& m) const { append_close(out, m.target, m.name); }
  void operator()(const Execute& m) const { append_execute(out, m.portal, m.max_rows); }
  void operator()(const FunctionCall& m) const {
    append_function_call(out, m.function_oid, to_vector(m.argument_formats), to_vector(m.arguments),
                         m.result_format);
  }
  void operator()(const CopyFail& m) const { append_copy_fail(out, m.reason); }
  void operator()(const Flush&) const { append_flush(out); }
  void operator()(const Sync&) const { append_sync(out); }
  void operator()(const Terminate&) const { append_terminate(out); }
  void operator()(const CopyData& m) const { append_copy_data(out, m.data); }
  void operator()(const CopyDone&) const { append_copy_done(out); }
  void operator()(const AuthenticationResponse& m) const { append_sasl_response(out, m.payload); }
  void operator()(const PasswordMessage& m) const { append_password(out, m.password); }
  void operator()(const SaslInitialResponse& m) const {
    append_sasl_initial_response(out, m.mechanism, m.response);
  }
  void operator()(const SaslResponse& m) const { append_sasl_response(out, m.response); }

  void operator()(const Authentication& m) const {
    if (m.code == AuthenticationCode::kSasl)
      append_authentication_sasl(out, to_vector(m.mechanisms));
    else
      append_authentication(out, m.code, m.data);
  }
  void operator()(const BackendKeyData& m) const { append_backend_key_data(out, m.process_id, m.secret_key); }
  void operator()(const NegotiateProtocolVersion& m) const {
    append_negotiate_protocol_version(out, m.protocol_version, to_vector(m.unrecognized_options));
  }
  void operator()(const ParameterStatus& m) const { append_parameter_status(out, m.name, m.value); }
  void operator()(const ReadyForQuery& m) const { append_ready_for_query(out, m.status); }
  void operator()(const RowDescription& m) const { append_row_description(out, to_vector(m.fields)); }
  void operator()(const DataRow& m) const { append_data_row(out, to_vector(m.columns)); }
  void operator()(const CommandComplete& m) const { append_command_complete(out, m.tag); }
  void operator()(const ErrorResponse& m) const {
    append_error_fields(out, backend::kErrorResponse, to_vector(m.fields));
  }
  void operator()(const NoticeResponse& m) const {
    append_error_fields(out, backend::kNoticeResponse, to_vector(m.fields));
  }
  void operator()(const CopyInResponse& m) const { copy_response(backend::kCopyInResponse, m); }
  void operator()(const CopyOutResponse& m) const { copy_response(backend::kCopyOutResponse, m); }
  void operator()(const CopyBothResponse& m) const { copy_response(backend::kCopyBothResponse, m); }
  void operator()(const NotificationResponse& m) const {
    append_notification_response(out, m.process_id, m.channel, m.payload);
  }
  void operator()(const ParameterDescription& m) const {
    append_parameter_description(out, to_vector(m.types));
  }
  void operator()(const FunctionCallResponse& m) const { append_function_call_response(out, m.result); }
  void operator()(const ParseComplete&) const { append_empty_message(out, backend::kParseComplete); }
  void operator()(const BindComplete&) const { append_empty_message(out, backend::kBindComplete); }
  void operator()(const CloseComplete&) const { append_empty_message(out, backend::kCloseComplete); }
  void operator()(const EmptyQueryResponse&) const {
    append_empty_message(out, backend::kEmptyQueryResponse);
  }
  void operator()(const NoData&) const { append_empty_message(out, backend::kNoData); }
  void operator()(const PortalSuspended&) const { append_empty_message(out, backend::kPortalSuspended); }

  void operator()(const StartupMessage& m) const { append_startup_message(out, m); }
  void operator()(const SslRequest&) const { append_ssl_request(out); }
  void operator()(const GssEncRequest&) const { append_gss_enc_request(out); }
  void operator()(const CancelRequest& m) const { append_cancel_request(out, m.process_id, m.secret_key); }

 private:
  void copy_response(char type, const CopyFormats& m) const {
    append_copy_response(out, type, m.overall_format, to_vector(m.column_formats));
  }
};

// `message` is one of the variants, or any message.
template <typename Message>
ByteBuffer rebuild(const Message& message) {
  ByteBuffer out;
  const Rebuild rebuilder{out};
  if constexpr (requires { std::visit(rebuilder, message); })
    std::visit(rebuilder, message);
  else
    rebuilder(message);
  return out;
}

}  // namespace understudy::wire
