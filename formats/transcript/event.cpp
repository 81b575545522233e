#include "formats/transcript/event.h"

#include "formats/transcript/text_fields.h"

namespace understudy {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string find(const Pairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return value;
  }
  return {};
}

// Flags of a session descriptor.
constexpr std::uint64_t kClientTls = 1;
constexpr std::uint64_t kServerTls = 2;

}  // namespace

std::string SessionDescriptor::parameter(std::string_view name) const {
  return find(startup_parameters, name);
}

std::string SessionDescriptor::database() const {
  std::string name = parameter("database");
  return name.empty() ? user() : name;
}

std::string SessionDescriptor::attribute(std::string_view name) const { return find(attributes, name); }

void encode(const SessionDescriptor& value, ByteBuffer& out) {
  append_varint(out, value.id.run);
  append_varint(out, value.id.number);
  append_le64(out, static_cast<std::uint64_t>(value.opened_at));
  append_le32(out, value.protocol_version);
  append_varint(out, (value.client_tls ? kClientTls : 0) | (value.server_tls ? kServerTls : 0));
  append_text(out, value.peer);
  append_text(out, value.backend);
  append_pairs(out, value.startup_parameters);
  append_pairs(out, value.attributes);
}

bool decode(ByteView bytes, SessionDescriptor& out) {
  ByteReader reader(bytes);
  const std::uint64_t run = reader.varint();
  const std::uint64_t number = reader.varint();
  if (run > UINT32_MAX || number > UINT32_MAX) return false;
  out.id = {static_cast<std::uint32_t>(run), static_cast<std::uint32_t>(number)};
  out.opened_at = static_cast<TimeNs>(reader.le64());
  out.protocol_version = reader.le32();
  const std::uint64_t flags = reader.varint();
  out.client_tls = (flags & kClientTls) != 0;
  out.server_tls = (flags & kServerTls) != 0;
  out.peer = read_text(reader);
  out.backend = read_text(reader);
  return read_pairs(reader, out.startup_parameters) && read_pairs(reader, out.attributes) && !reader.failed();
}

void encode(const CloseDetail& value, ByteBuffer& out) {
  out.push_back(static_cast<Byte>(value.reason));
  append_text(out, value.text);
}

bool decode(ByteView bytes, CloseDetail& out) {
  ByteReader reader(bytes);
  out.reason = static_cast<CloseReason>(reader.u8());
  out.text = read_text(reader);
  return !reader.failed();
}

void encode(const Redaction& value, ByteBuffer& out) {
  out.push_back(static_cast<Byte>(value.direction));
  out.push_back(static_cast<Byte>(value.kind));
}

bool decode(ByteView bytes, Redaction& out) {
  ByteReader reader(bytes);
  const std::uint8_t direction = reader.u8();
  if (direction > static_cast<std::uint8_t>(Direction::kFromServer)) return false;
  out.direction = static_cast<Direction>(direction);
  out.kind = static_cast<RedactionKind>(reader.u8());
  return !reader.failed();
}

void encode(const Gap& value, ByteBuffer& out) {
  out.push_back(static_cast<Byte>(value.reason));
  append_le64(out, static_cast<std::uint64_t>(value.from));
  append_le64(out, static_cast<std::uint64_t>(value.to));
  append_varint(out, value.client_bytes);
  append_varint(out, value.server_bytes);
  append_varint(out, value.events);
}

bool decode(ByteView bytes, Gap& out) {
  ByteReader reader(bytes);
  out.reason = static_cast<GapReason>(reader.u8());
  out.from = static_cast<TimeNs>(reader.le64());
  out.to = static_cast<TimeNs>(reader.le64());
  out.client_bytes = reader.varint();
  out.server_bytes = reader.varint();
  out.events = reader.varint();
  return !reader.failed();
}

}  // namespace understudy
