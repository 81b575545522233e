// What a proxy between two TLS connections must do to a SCRAM exchange that it relays. SCRAM-SHA-256-PLUS
// binds the exchange to the certificate of the connection it runs on (RFC 5929), and a client of ours sees
// our certificate, not the server's; so the mechanism must not be offered. No I/O. (PostgreSQL documentation,
// "SASL Authentication".)
#pragma once

#include <span>

#include "formats/bytes.h"

namespace understudy::proxy {

// Takes SCRAM-SHA-256-PLUS out of `message`, which may be any whole message of a server. Returns the size it
// has now; unchanged if it is no AuthenticationSASL that offers it.
[[nodiscard]] std::size_t take_out_channel_binding(std::span<Byte> message);

// `payload` of a client's SASLInitialResponse: the client could have bound the channel and believes that the
// server cannot ("y"). A server that can takes that for an attack and refuses.
[[nodiscard]] bool believes_server_cannot_bind(ByteView payload);

}  // namespace understudy::proxy
