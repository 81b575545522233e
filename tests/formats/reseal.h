// For tests and fuzzers: a segment harmed by somebody who sets its checksums right again. Pure functions.
#pragma once

#include <algorithm>
#include <cstring>

#include "formats/crc32c.h"
#include "formats/transcript/chunk_head.h"
#include "formats/transcript/record.h"

namespace understudy::test {

// Makes every record and chunk body that is where one should be a valid one.
inline void set_checksums_right(ByteBuffer& contents) {
  std::uint32_t stamp = 0;
  for (std::size_t at = 0; at + kRecordOverheadBytes <= contents.size();) {
    const std::uint32_t magic = kRecordMagic;
    std::memcpy(contents.data() + at, &magic, sizeof magic);
    contents[at + 11] = 0;
    const std::size_t left = contents.size() - at;
    std::size_t length = record_length(ByteView(contents).subspan(at));
    if (length == 0 || length > left) {
      length = std::min(left, kRecordOverheadBytes + contents[at + 4] % 64);
      const std::uint32_t size = static_cast<std::uint32_t>(length - 8);
      std::memcpy(contents.data() + at + 4, &size, sizeof size);
    }
    ChunkHead head;
    std::size_t body = 0;
    const std::size_t head_at = at + kRecordPrefixBytes;
    if (contents[at + 8] == 'C' &&
        decode(ByteView(contents).subspan(head_at, length - kRecordOverheadBytes), head) &&
        head.stored_bytes <= left - length) {
      body = head.stored_bytes;
      const std::uint32_t crc = crc32c(ByteView(contents).subspan(at + length, body));
      std::memcpy(contents.data() + head_at + 28, &crc, sizeof crc);
    }
    if (at == 0) stamp = load_le32(contents.data() + 12);
    seal_record(std::span(contents).subspan(at, length), stamp, at);
    at += length + body;
  }
}

}  // namespace understudy::test
