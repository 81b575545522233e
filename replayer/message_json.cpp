#include "replayer/message_json.h"

#include <Poco/JSON/Array.h>

#include <sstream>

#include "formats/command.h"
#include "formats/wire/backend_messages.h"
#include "replayer/recorded_names.h"
#include "replayer/value_text.h"

namespace understudy::replayer {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

std::string format_name(std::int16_t format) { return format == 0 ? "text" : "binary"; }

Var json_bytes(ByteView bytes, std::int16_t format) {
  if (format == 0 && is_utf8(as_text(bytes))) return std::string(as_text(bytes));
  Object out = json_object();
  out.set("hex", hex_text(bytes));
  out.set("format", format_name(format));
  return out;
}

Var json_value(const wire::Value& value, std::int16_t format) {
  return value.is_null ? Var() : json_bytes(value.bytes, format);
}

template <typename Formats>
Array json_values(const wire::ValueList& values, const Formats& formats) {
  Array out;
  std::size_t index = 0;
  for (const wire::Value& value : values) out.add(json_value(value, formats(index++)));
  return out;
}

Array json_values(const wire::ValueList& values, const wire::FormatCodes& formats) {
  return json_values(values, [&](std::size_t index) { return formats.of(index); });
}

Array json_formats(const wire::FormatCodes& formats) {
  Array out;
  for (std::size_t i = 0; i < formats.size(); ++i) out.add(format_name(formats[i]));
  return out;
}

Array json_oids(const wire::OidList& oids) {
  Array out;
  for (std::size_t i = 0; i < oids.size(); ++i) out.add(oids[i]);
  return out;
}

Array json_list(const wire::ListView<std::string_view>& texts) {
  Array out;
  for (const std::string_view text : texts) out.add(json_text(text));
  return out;
}

// Puts the fields of a message into an object, one overload a message.
class Fields {
 public:
  Fields(Object& out, const std::vector<std::int16_t>& row_formats) : out_(out), row_formats_(row_formats) {}

  void operator()(const wire::Query& query) { text("sql", query.sql); }
  void operator()(const wire::Parse& parse) {
    text("statement", parse.statement);
    text("sql", parse.sql);
    out_.set("parameter_types", json_oids(parse.parameter_types));
  }
  void operator()(const wire::Bind& bind) {
    text("portal", bind.portal);
    text("statement", bind.statement);
    out_.set("parameters", json_values(bind.parameters, bind.parameter_formats));
    out_.set("result_formats", json_formats(bind.result_formats));
  }
  void operator()(const wire::Describe& describe) { target(describe.target, describe.name); }
  void operator()(const wire::Close& close) { target(close.target, close.name); }
  void operator()(const wire::Execute& execute) {
    text("portal", execute.portal);
    out_.set("max_rows", execute.max_rows);
  }
  void operator()(const wire::FunctionCall& call) {
    out_.set("function_oid", call.function_oid);
    out_.set("arguments", json_values(call.arguments, call.argument_formats));
    out_.set("result_format", format_name(call.result_format));
  }
  void operator()(const wire::CopyFail& fail) { text("reason", fail.reason); }
  void operator()(const wire::Flush&) {}
  void operator()(const wire::Sync&) {}
  void operator()(const wire::Terminate&) {}
  void operator()(const wire::CopyDone&) {}
  void operator()(const wire::CopyData& copy) { out_.set("data", json_bytes(copy.data, 0)); }
  // Never what it holds.
  void operator()(const wire::AuthenticationResponse& response) {
    out_.set("bytes", response.payload.size());
  }

  void operator()(const wire::Authentication& authentication) {
    out_.set("code", static_cast<std::uint32_t>(authentication.code));
    if (!authentication.mechanisms.empty()) out_.set("mechanisms", json_list(authentication.mechanisms));
  }
  void operator()(const wire::BackendKeyData& key) { out_.set("process_id", key.process_id); }
  void operator()(const wire::NegotiateProtocolVersion& negotiate) {
    out_.set("protocol_version", negotiate.protocol_version);
    out_.set("unrecognized_options", json_list(negotiate.unrecognized_options));
  }
  void operator()(const wire::ParameterStatus& status) {
    text("name", status.name);
    text("value", status.value);
  }
  void operator()(const wire::ReadyForQuery& ready) {
    out_.set("transaction_status", std::string(1, static_cast<char>(ready.status)));
  }
  void operator()(const wire::RowDescription& row) {
    Array columns;
    for (const wire::FieldDescription& field : row.fields) {
      Object column = json_object();
      column.set("name", json_text(field.name));
      column.set("type_oid", field.type_oid);
      column.set("type_modifier", field.type_modifier);
      column.set("table_oid", field.table_oid);
      column.set("table_column", field.table_column);
      column.set("format", format_name(field.format));
      columns.add(column);
    }
    out_.set("columns", columns);
  }
  void operator()(const wire::DataRow& row) {
    out_.set("values", json_values(row.columns, [this](std::size_t index) -> std::int16_t {
               if (row_formats_.size() == 1) return row_formats_.front();
               return index < row_formats_.size() ? row_formats_[index] : std::int16_t{0};
             }));
  }
  void operator()(const wire::CommandComplete& complete) { text("tag", complete.tag); }
  void operator()(const wire::ErrorFields& error) {
    out_.set("severity", json_text(error.severity()));
    out_.set("sqlstate", json_text(error.sqlstate()));
    static constexpr std::pair<char, const char*> kNames[] = {
        {'M', "message"}, {'D', "detail"},     {'H', "hint"},          {'P', "position"},
        {'W', "where"},   {'s', "schema"},     {'t', "table"},         {'c', "column"},
        {'d', "type"},    {'n', "constraint"}, {'q', "internal_query"}};
    for (const auto& [code, name] : kNames) {
      if (const std::string_view field = error.field(code); !field.empty()) text(name, field);
    }
  }
  void operator()(const wire::CopyFormats& copy) {
    out_.set("format", format_name(copy.overall_format));
    out_.set("column_formats", json_formats(copy.column_formats));
  }
  void operator()(const wire::NotificationResponse& notification) {
    out_.set("process_id", notification.process_id);
    text("channel", notification.channel);
    text("payload", notification.payload);
  }
  void operator()(const wire::ParameterDescription& description) {
    out_.set("parameter_types", json_oids(description.types));
  }
  void operator()(const wire::FunctionCallResponse& response) {
    out_.set("result", json_value(response.result, is_utf8(response.result.text()) ? 0 : 1));
  }
  void operator()(const wire::ParseComplete&) {}
  void operator()(const wire::BindComplete&) {}
  void operator()(const wire::CloseComplete&) {}
  void operator()(const wire::EmptyQueryResponse&) {}
  void operator()(const wire::NoData&) {}
  void operator()(const wire::PortalSuspended&) {}

  template <typename Decoded>
  void decoded(const wire::Message& message, const Decoded& value) {
    if (value) {
      std::visit(*this, *value);
    } else {
      out_.set("malformed", std::string(value.error().text));
      out_.set("offset", value.error().offset);
      out_.set("bytes", message.payload_length);
    }
  }

 private:
  void text(const char* name, std::string_view value) { out_.set(name, json_text(value)); }
  void target(wire::Target target, std::string_view name) {
    out_.set("target", target == wire::Target::kStatement ? "statement" : "portal");
    text("name", name);
  }

  Object& out_;
  const std::vector<std::int16_t>& row_formats_;
};

void add_message(Object& out, const SessionItem& item, const std::vector<std::int16_t>& row_formats) {
  const wire::Message& message = item.message;
  out.set("direction", std::string(direction_name(item.direction)));
  out.set("type", std::string(wire::message_name(item.direction, message.type)));
  if (message.truncated) {
    out.set("bytes", message.payload_length);
    out.set("too_large", true);
    out.set("xxh64", hash_text(message.hash));
    return;
  }
  Fields fields(out, row_formats);
  if (item.direction == Direction::kFromClient) {
    fields.decoded(message, wire::decode_frontend(message.type, message.payload));
  } else {
    fields.decoded(message, wire::decode_backend(message.type, message.payload));
  }
}

void add_gap(Object& out, const Gap& gap) {
  out.set("reason", std::string(gap_reason_name(gap.reason)));
  out.set("from", format_time(gap.from, 9));
  out.set("to", format_time(gap.to, 9));
  out.set("client_bytes", gap.client_bytes);
  out.set("server_bytes", gap.server_bytes);
  out.set("events", gap.events);
}

void add_event(Object& out, const Event& event) {
  out.set("type", std::string(event_name(event.kind)));
  SessionDescriptor descriptor;
  CloseDetail closed;
  Redaction redaction;
  Gap gap;
  if (event.kind == EventKind::kOpened && decode(event.data, descriptor)) {
    add_descriptor(out, descriptor);
  } else if (event.kind == EventKind::kClosed && decode(event.data, closed)) {
    out.set("reason", std::string(close_reason_name(closed.reason)));
    if (!closed.text.empty()) out.set("text", json_text(closed.text));
  } else if (event.kind == EventKind::kRedacted && decode(event.data, redaction)) {
    out.set("direction", std::string(direction_name(redaction.direction)));
    out.set("what", std::string(redaction_name(redaction.kind)));
  } else if (event.kind == EventKind::kGap && decode(event.data, gap)) {
    add_gap(out, gap);
  } else if (event.kind == EventKind::kBackendSwitched || event.kind == EventKind::kMark) {
    out.set("text", json_text(as_text(event.data)));
  }
}

}  // namespace

Var json_text(std::string_view text) { return json_bytes(as_bytes(text), 0); }

// Poco escapes what JSON must have escaped. DEL and the C1 control characters are left, which terminals obey;
// they can only be in strings.
std::string to_line(const Object& object) {
  std::ostringstream plain;
  object.stringify(plain);
  const std::string text = plain.str();
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    const bool c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;
    if (byte == 0x7F || c1) {
      const Byte code = c1 ? static_cast<Byte>(text[++i]) : byte;
      out += "\\u00" + hex_text(ByteView(&code, 1));
    } else {
      out += text[i];
    }
  }
  return out;
}

void add_descriptor(Object& out, const SessionDescriptor& descriptor) {
  out.set("peer", json_text(descriptor.peer));
  out.set("backend", json_text(descriptor.backend));
  out.set("protocol_version", std::to_string(descriptor.protocol_version >> 16) + "." +
                                  std::to_string(descriptor.protocol_version & 0xFFFF));
  out.set("client_tls", descriptor.client_tls);
  out.set("server_tls", descriptor.server_tls);
  // An array of pairs: a name may come twice, and need not be UTF-8.
  const auto pairs = [](const auto& list) {
    Array all;
    for (const auto& [name, value] : list) {
      Array pair;
      pair.add(json_text(name));
      pair.add(json_text(value));
      all.add(pair);
    }
    return all;
  };
  out.set("startup_parameters", pairs(descriptor.startup_parameters));
  if (!descriptor.attributes.empty()) out.set("attributes", pairs(descriptor.attributes));
}

Object item_json(SessionId session, const SessionItem& item, const std::vector<std::int16_t>& row_formats) {
  Object out = json_object();
  out.set("session", session.to_string());
  out.set("time", format_time(item.time, 9));
  if (item.is_message) {
    add_message(out, item, row_formats);
  } else {
    add_event(out, item.event);
  }
  return out;
}

}  // namespace understudy::replayer
