// The bytes of a chunk's head: in the record before the chunk's body, and again in the segment's index. See
// formats/README.md, "Chunk head". Pure functions, any thread.
#pragma once

#include "formats/transcript/chunk.h"

namespace understudy {

void encode(const ChunkHead& head, ByteBuffer& out);
// False on malformed bytes; sessions must be sorted and there must be room for what is claimed.
[[nodiscard]] bool decode(ByteView bytes, ChunkHead& out);

}  // namespace understudy
