// Messages and events of a session as JSON objects: what `show --json` and `export --format jsonl` write.
//
// Text is JSON text. Bytes that are none (values in the binary format, text that is not UTF-8) are an object
// {"hex": "00ff", "format": "binary"|"text"}. Nothing of an authentication is ever written, nor a cancel key.
// Any thread.
#pragma once

#include <Poco/JSON/Object.h>

#include "replayer/message_splitter.h"

namespace understudy::replayer {

[[nodiscard]] inline Poco::JSON::Object json_object() {
  return Poco::JSON::Object(Poco::JSON_PRESERVE_KEY_ORDER);
}
// On one line.
[[nodiscard]] std::string to_line(const Poco::JSON::Object& object);
// Text as it is when it is UTF-8, else the object with its bytes.
[[nodiscard]] Poco::Dynamic::Var json_text(std::string_view text);

// {"session", "time", "direction", "type", and the fields of the message} or {"session", "time", "type", and
// the fields of the event}. `row_formats`: of the columns, when it is a DataRow (request_tracker.h).
[[nodiscard]] Poco::JSON::Object item_json(SessionId session, const SessionItem& item,
                                           const std::vector<std::int16_t>& row_formats);
// Startup parameters, addresses, protocol version.
void add_descriptor(Poco::JSON::Object& out, const SessionDescriptor& descriptor);

}  // namespace understudy::replayer
