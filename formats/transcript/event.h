// What a transcript holds: sessions and the events that passed on them. Values only; the encoding of
// each is in formats/README.md. These types are also the vocabulary of proxy/observer.h, so that what
// the proxy publishes is what a transcript can say.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/bytes.h"

namespace understudy {

// Nanoseconds since 1970-01-01T00:00:00Z. Taken from a monotonic clock anchored to the wall clock once,
// so times within one recording never run backwards.
using TimeNs = std::int64_t;

// Names a session within a recording: `run` counts the processes that appended to the recording's
// directory (1, 2, ...), `number` the sessions of that run (1, 2, ...). Printed "run.number".
struct SessionId {
  std::uint32_t run = 0;
  std::uint32_t number = 0;
  auto operator<=>(const SessionId&) const = default;
  [[nodiscard]] std::uint64_t packed() const { return (std::uint64_t{run} << 32) | number; }
  [[nodiscard]] static SessionId unpack(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed >> 32), static_cast<std::uint32_t>(packed)};
  }
  // What carries marks and is no session of anybody's.
  [[nodiscard]] bool of_marks() const { return run == 0 && number == 0; }
  [[nodiscard]] std::string to_string() const { return std::to_string(run) + "." + std::to_string(number); }
};

enum class Direction : std::uint8_t { kFromClient = 0, kFromServer = 1 };

enum class EventKind : std::uint8_t {
  kClientBytes = 0,      // data: bytes the client sent, exactly, seen together
  kServerBytes = 1,      // data: bytes the server sent, exactly, seen together
  kOpened = 2,           // data: encoded SessionDescriptor
  kClosed = 3,           // data: encoded CloseDetail
  kRedacted = 4,         // data: encoded Redaction; stands where the redacted bytes were
  kCancelled = 5,        // data: empty; a CancelRequest naming this session was forwarded to its server
  kGap = 6,              // data: encoded Gap
  kBackendSwitched = 7,  // data: the new backend's address as text
  kMark = 8,             // data: text set by an operator; session {0,0}
};

// The key of an attribute: the session was open before it could be followed ("mid-stream"). Its login is not
// in the recording, nor who it is; its events begin between messages, where nothing was outstanding.
inline constexpr std::string_view kJoinedAttribute = "joined";
// Of such a session: so many requests at its beginning make the state it had when it was joined (settings,
// channels, prepared statements). They and their answers stand in for what came before: they did not pass
// then.
inline constexpr std::string_view kRestoredAttribute = "restored_requests";

// How a session began. Everything but the startup packet's bytes themselves (which carry nothing else).
struct SessionDescriptor {
  SessionId id;
  TimeNs opened_at = 0;
  std::uint32_t protocol_version = 0x00030000;  // as in the startup packet: major << 16 | minor
  // Every startup parameter in order, "user" and "database" included as the client sent them.
  std::vector<std::pair<std::string, std::string>> startup_parameters;
  std::string peer;     // client address: "192.0.2.7:49152", "[::1]:49152", "unix:"
  std::string backend;  // server address: "127.0.0.1:5432", "/run/postgresql/.s.PGSQL.5432"
  bool client_tls = false;
  bool server_tls = false;
  // Facts about the session that are not the protocol's. Known keys: "origin" = the recorded session this
  // one replays, as "run.number"; "recording" = the replayed recording's id; "shadow_of" = the number of the
  // session of the same run whose reads this one ran again, on another server; kJoinedAttribute.
  std::vector<std::pair<std::string, std::string>> attributes;

  bool operator==(const SessionDescriptor&) const = default;
  // The value of a startup parameter, or "" when absent; database defaults to the user as in the server.
  [[nodiscard]] std::string parameter(std::string_view name) const;
  [[nodiscard]] std::string user() const { return parameter("user"); }
  [[nodiscard]] std::string database() const;
  [[nodiscard]] std::string attribute(std::string_view name) const;
};

enum class CloseReason : std::uint8_t {
  kClientLeft = 0,     // Terminate message, or the client closed its socket
  kServerLeft = 1,     // the server closed its socket
  kProtocolError = 2,  // either side broke the protocol; text says which and how
  kTimeout = 3,        // login, connect or idle time-out; text says which
  kShutdown = 4,       // the proxy was asked to end
  kRecordingEnded = 5  // the session went on; the recording did not
};
struct CloseDetail {
  CloseReason reason = CloseReason::kClientLeft;
  std::string text;
  bool operator==(const CloseDetail&) const = default;
};

enum class RedactionKind : std::uint8_t {
  kPassword = 0,    // PasswordMessage (clear text or md5); removed whole, so its length is not told
  kSasl = 1,        // SASL initial response, challenge, response or final message; removed whole
  kAuthSalt = 2,    // AuthenticationMD5Password; removed whole
  kCancelKey = 3,   // BackendKeyData follows in the bytes with its key zeroed (length and pid kept)
  kSqlPassword = 4  // that side's next bytes hold 'x' where a password in SQL was (lengths kept)
};
struct Redaction {
  Direction direction = Direction::kFromClient;
  RedactionKind kind = RedactionKind::kPassword;
  bool operator==(const Redaction&) const = default;
};

enum class GapReason : std::uint8_t { kOverload = 0, kDiskError = 1, kCaptureLoss = 2 };
// Bytes of this session known to be missing between `from` and `to`. After an overload the session stays
// shed: nothing of it follows but a second gap with the rest of what is missing, and its closing. After a
// disk error the session goes on behind the gap, not necessarily at a message's boundary; after a capture
// loss both sides go on between messages, with nothing outstanding.
struct Gap {
  GapReason reason = GapReason::kOverload;
  TimeNs from = 0;
  TimeNs to = 0;
  std::uint64_t client_bytes = 0;
  std::uint64_t server_bytes = 0;
  std::uint64_t events = 0;
  bool operator==(const Gap&) const = default;
};

// One event as a reader hands it out; `data` points into a decoded chunk and lives as long as that chunk.
struct Event {
  SessionId session;
  TimeNs time = 0;
  EventKind kind = EventKind::kClientBytes;
  ByteView data;
};

// Encodings of the payloads above (formats/README.md, "Event payloads"). Decoders return false on
// malformed bytes and never throw; unknown trailing bytes are ignored (a later version may append).
void encode(const SessionDescriptor& value, ByteBuffer& out);
void encode(const CloseDetail& value, ByteBuffer& out);
void encode(const Redaction& value, ByteBuffer& out);
void encode(const Gap& value, ByteBuffer& out);
[[nodiscard]] bool decode(ByteView bytes, SessionDescriptor& out);
[[nodiscard]] bool decode(ByteView bytes, CloseDetail& out);
[[nodiscard]] bool decode(ByteView bytes, Redaction& out);
[[nodiscard]] bool decode(ByteView bytes, Gap& out);

}  // namespace understudy

template <>
struct std::hash<understudy::SessionId> {
  std::size_t operator()(const understudy::SessionId& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.packed());
  }
};
