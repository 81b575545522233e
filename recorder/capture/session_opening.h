// What is this connection? Looks at the first bytes of both sides until it is known: a session of PostgreSQL
// (its start-up packet), a cancel request, an encrypted session, something else, or a connection met in its
// middle. (PostgreSQL documentation, "Message Flow", "Start-up".) Pure; no I/O.
#pragma once

#include <optional>
#include <string>

#include "formats/wire/startup.h"

namespace understudy::recorder {

class SessionOpening {
 public:
  enum class Verdict : std::uint8_t {
    kUndecided,
    kSession,     // startup() is the packet; rest() what the client sent behind it
    kCancel,      // cancel() names whom
    kTls,         // TLS begins; rest() is what the client sent of it already
    kUnreadable,  // reason() says why
    kForeign,     // not PostgreSQL; reason() is what it looks like
    kRefused,     // the server ended it with an error before anybody could log in
    kMidStream    // neither side begins here
  };

  // `from_beginning`: the connection's first bytes are the first fed. `inside_tls`: of what TLS holds.
  explicit SessionOpening(bool from_beginning, bool inside_tls = false)
      : from_beginning_(from_beginning), answered_(inside_tls) {}

  Verdict client(ByteView bytes);
  Verdict server(ByteView bytes);

  [[nodiscard]] const wire::StartupMessage& startup() const {
    return std::get<wire::StartupMessage>(*packet_);
  }
  [[nodiscard]] const wire::CancelRequest& cancel() const { return std::get<wire::CancelRequest>(*packet_); }
  [[nodiscard]] ByteView rest() const { return bytes_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  Verdict read();
  Verdict request(char accepts);
  Verdict direct_tls(bool more_may_come);
  Verdict decide(Verdict verdict, std::string reason);

  bool from_beginning_;
  bool answered_ = false;  // an encryption request was: this is PostgreSQL
  char awaited_ = 0;       // the byte by which the server would accept the one that stands
  ByteBuffer bytes_;       // the client's
  std::optional<wire::StartupPacket> packet_;
  std::string reason_;
};

}  // namespace understudy::recorder
