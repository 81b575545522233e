// IP packets as a pcapng file (draft-ietf-opsawg-pcapng): a section, one interface of raw IP with times in
// nanoseconds, a block a packet. Appends to a buffer that the caller writes out and empties. Any thread.
#pragma once

#include <string_view>

#include "formats/bytes.h"
#include "formats/transcript/event.h"

namespace understudy::capture {

// What the file begins with. `application` is who wrote it.
void append_pcapng_head(ByteBuffer& out, std::string_view application);
// `comment`: shown with the packet; empty: none. At most 64 KiB of it.
void append_pcapng_packet(ByteBuffer& out, TimeNs time, ByteView ip_packet, std::string_view comment);

}  // namespace understudy::capture
