#include "replayer/show/message_text.h"

#include "formats/command.h"
#include "formats/wire/backend_messages.h"
#include "replayer/counted.h"
#include "replayer/readable.h"
#include "replayer/recorded_names.h"
#include "replayer/recording_lookup.h"
#include "replayer/value_text.h"

namespace understudy::replayer {
namespace {

// What a message says, one overload a message.
class Details {
 public:
  Details(const std::vector<std::int16_t>& row_formats, std::size_t limit_bytes)
      : row_formats_(row_formats), limit_bytes_(limit_bytes) {}

  std::string operator()(const wire::Query& query) const { return text(query.sql); }
  std::string operator()(const wire::Parse& parse) const {
    return name("statement", parse.statement) + oids(parse.parameter_types) + ": " + text(parse.sql);
  }
  std::string operator()(const wire::Bind& bind) const {
    std::string out = name("portal", bind.portal) + " of " + name("statement", bind.statement);
    if (bind.parameters.empty()) return out;
    return out + ": " + values(bind.parameters, [&](std::size_t i) { return bind.parameter_formats.of(i); });
  }
  std::string operator()(const wire::Describe& describe) const {
    return target(describe.target, describe.name);
  }
  std::string operator()(const wire::Close& close) const { return target(close.target, close.name); }
  std::string operator()(const wire::Execute& execute) const {
    return name("portal", execute.portal) +
           (execute.max_rows > 0 ? ", at most " + counted(execute.max_rows, "row") : "");
  }
  std::string operator()(const wire::FunctionCall& call) const {
    return "function " + std::to_string(call.function_oid) + ": " +
           values(call.arguments, [&](std::size_t i) { return call.argument_formats.of(i); });
  }
  std::string operator()(const wire::CopyFail& fail) const { return text(fail.reason); }
  std::string operator()(const wire::Flush&) const { return {}; }
  std::string operator()(const wire::Sync&) const { return {}; }
  std::string operator()(const wire::Terminate&) const { return {}; }
  std::string operator()(const wire::CopyDone&) const { return {}; }
  std::string operator()(const wire::CopyData& copy) const {
    return readable_value({copy.data, false}, limit_bytes_);
  }
  // Never what it holds.
  std::string operator()(const wire::AuthenticationResponse& response) const {
    return std::to_string(response.payload.size()) + " bytes, not shown";
  }

  std::string operator()(const wire::Authentication& authentication) const {
    if (authentication.code == wire::AuthenticationCode::kOk) return "ok";
    std::string out = "code " + std::to_string(static_cast<std::uint32_t>(authentication.code));
    for (const std::string_view mechanism : authentication.mechanisms) out += " " + text(mechanism);
    return out;
  }
  std::string operator()(const wire::BackendKeyData& key) const {
    return "process " + std::to_string(key.process_id);
  }
  std::string operator()(const wire::NegotiateProtocolVersion& negotiate) const {
    return std::to_string(negotiate.protocol_version >> 16) + "." +
           std::to_string(negotiate.protocol_version & 0xFFFF);
  }
  std::string operator()(const wire::ParameterStatus& status) const {
    return text(status.name) + " = " + text(status.value);
  }
  std::string operator()(const wire::ReadyForQuery& ready) const {
    switch (ready.status) {
      case wire::TransactionStatus::kIdle:
        return "idle";
      case wire::TransactionStatus::kInTransaction:
        return "in a transaction";
      case wire::TransactionStatus::kFailed:
        return "in a failed transaction";
    }
    return {};
  }
  std::string operator()(const wire::RowDescription& row) const {
    std::string out;
    for (const wire::FieldDescription& field : row.fields) {
      if (out.size() > limit_bytes_) return out + ", ...";
      out += (out.empty() ? "" : ", ") + text(field.name) + " " + std::to_string(field.type_oid) +
             (field.format == 0 ? "" : " binary");
    }
    return out;
  }
  std::string operator()(const wire::DataRow& row) const {
    return values(row.columns, [this](std::size_t i) -> std::int16_t {
      if (row_formats_.size() == 1) return row_formats_.front();
      return i < row_formats_.size() ? row_formats_[i] : std::int16_t{0};
    });
  }
  std::string operator()(const wire::CommandComplete& complete) const { return text(complete.tag); }
  std::string operator()(const wire::ErrorFields& error) const {
    std::string out = readable_state(error.severity(), error.sqlstate()) + ": " + text(error.message());
    for (const auto& [code, words] : {std::pair{'D', " (detail: "}, std::pair{'H', " (hint: "}}) {
      if (!error.field(code).empty()) out += words + text(error.field(code)) + ")";
    }
    return out;
  }
  std::string operator()(const wire::CopyFormats& copy) const {
    return std::string(copy.overall_format == 0 ? "text" : "binary") + ", " +
           counted(copy.column_formats.size(), "column");
  }
  std::string operator()(const wire::NotificationResponse& notification) const {
    return text(notification.channel) + ": " + text(notification.payload) + " (from process " +
           std::to_string(notification.process_id) + ")";
  }
  std::string operator()(const wire::ParameterDescription& description) const {
    return "types" + oids(description.types);
  }
  std::string operator()(const wire::FunctionCallResponse& response) const {
    return readable_value(response.result, limit_bytes_);
  }
  std::string operator()(const wire::ParseComplete&) const { return {}; }
  std::string operator()(const wire::BindComplete&) const { return {}; }
  std::string operator()(const wire::CloseComplete&) const { return {}; }
  std::string operator()(const wire::EmptyQueryResponse&) const { return {}; }
  std::string operator()(const wire::NoData&) const { return {}; }
  std::string operator()(const wire::PortalSuspended&) const { return {}; }

  template <typename Decoded>
  std::string decoded(const wire::Message& message, const Decoded& value) const {
    if (value) return std::visit(*this, *value);
    return "malformed: " + std::string(value.error().text) + " (byte " +
           std::to_string(value.error().offset) + " of " + std::to_string(message.payload_length) + ")";
  }

 private:
  std::string text(std::string_view recorded) const { return readable_text(recorded, limit_bytes_); }
  std::string name(const char* what, std::string_view given) const {
    return given.empty() ? std::string("unnamed ") + what : std::string(what) + " " + text(given);
  }
  std::string target(wire::Target target, std::string_view given) const {
    return name(target == wire::Target::kStatement ? "statement" : "portal", given);
  }
  std::string oids(const wire::OidList& types) const {
    std::string out;
    for (std::size_t i = 0; i < types.size() && out.size() < limit_bytes_; ++i)
      out += (i == 0 ? "" : ", ") + std::to_string(types[i]);
    return " (" + out + ")";
  }
  template <typename Formats>
  std::string values(const wire::ValueList& list, const Formats& format) const {
    std::string out;
    std::size_t index = 0;
    for (const wire::Value& value : list) {
      if (out.size() > limit_bytes_) return out + ", ...";
      out += (index == 0 ? "" : ", ") + one_value(value, format(index));
      ++index;
    }
    return out;
  }
  std::string one_value(const wire::Value& value, std::int16_t format) const {
    if (format == 0 || value.is_null) return readable_value(value, limit_bytes_);
    const bool cut = value.bytes.size() > limit_bytes_;
    return "\\x" + hex_text(value.bytes.first(cut ? limit_bytes_ : value.bytes.size())) + (cut ? "..." : "");
  }

  const std::vector<std::int16_t>& row_formats_;
  std::size_t limit_bytes_;
};

std::string event_details(const Event& event, std::size_t limit_bytes) {
  SessionDescriptor descriptor;
  CloseDetail closed;
  Redaction redaction;
  Gap gap;
  if (event.kind == EventKind::kOpened && decode(event.data, descriptor)) {
    std::string out = "from " + readable_text(descriptor.peer, limit_bytes) + " to " +
                      readable_text(descriptor.backend, limit_bytes);
    for (const auto& [name, value] : descriptor.startup_parameters)
      out += ", " + readable_text(name, limit_bytes) + " = " + readable_text(value, limit_bytes);
    const std::string restored = descriptor.attribute(kRestoredAttribute);
    if (!restored.empty())
      out += "; it was open before: the first " + readable_text(restored, limit_bytes) +
             " requests, which the recorder made, make its state";
    return out;
  }
  if (event.kind == EventKind::kClosed && decode(event.data, closed)) {
    return std::string(close_reason_name(closed.reason)) +
           (closed.text.empty() ? "" : ": " + readable_text(closed.text, limit_bytes));
  }
  if (event.kind == EventKind::kRedacted && decode(event.data, redaction)) {
    return std::string(redaction_name(redaction.kind)) + " of the " +
           std::string(direction_name(redaction.direction)) + ", never recorded";
  }
  if (event.kind == EventKind::kGap && decode(event.data, gap)) {
    return std::string(gap_reason_name(gap.reason)) + ": " + std::to_string(gap.events) + " events, " +
           format_size(gap.client_bytes) + " of the client and " + format_size(gap.server_bytes) +
           " of the server are missing, over " + format_duration(time_between(gap.from, gap.to));
  }
  return readable_text(as_text(event.data), limit_bytes);
}

std::string message_details(const SessionItem& item, const Details& details) {
  const wire::Message& message = item.message;
  if (message.truncated) {
    return std::to_string(message.payload_length) + " bytes, too large to show (XXH64 " +
           hash_text(message.hash) + ")";
  }
  return item.direction == Direction::kFromClient
             ? details.decoded(message, wire::decode_frontend(message.type, message.payload))
             : details.decoded(message, wire::decode_backend(message.type, message.payload));
}

}  // namespace

std::string item_text(const SessionItem& item, const std::vector<std::int16_t>& row_formats,
                      std::size_t limit_bytes) {
  std::string out(item.is_message ? wire::message_name(item.direction, item.message.type)
                                  : event_name(item.event.kind));
  const std::string details = item.is_message ? message_details(item, Details(row_formats, limit_bytes))
                                              : event_details(item.event, limit_bytes);
  return details.empty() ? out : out + "  " + details;
}

}  // namespace understudy::replayer
