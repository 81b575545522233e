// Between which addresses a session is to be shown on a network: its own where they are addresses of one IP
// version, else some that are nobody's (RFC 2544, RFC 5737, RFC 3849). Any thread.
#pragma once

#include <optional>
#include <string_view>

#include "formats/capture/addresses.h"
#include "formats/transcript/event.h"

namespace understudy::capture {

struct SessionEnds {
  Endpoint client;
  Endpoint server;
  bool invented = false;  // one of them is not what the transcript says
};

// "192.0.2.7:49152", "[::1]:49152"; none for anything else.
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text);
// `own_client`: false when the client's address must be another, as that is in use.
[[nodiscard]] SessionEnds session_ends(const SessionDescriptor& session, bool own_client = true);

}  // namespace understudy::capture
