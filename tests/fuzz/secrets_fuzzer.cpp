// Passwords in SQL against arbitrary text and arbitrary streams of messages. What is held: nothing crashes;
// what is recorded is as long as what came, and differs in Query and Parse alone, in bytes that are now 'x';
// however a stream is cut into pieces, no less is hidden.
//
// Input: one byte of choices, one of the pieces' size; the rest is the text or the stream.
#include <algorithm>

#include "formats/wire/client_secrets.h"
#include "formats/wire/message_types.h"
#include "tests/fuzz/require.h"

namespace understudy::wire {
namespace {

// In pieces, each in memory of exactly its size so that a sanitizer sees a view kept too long.
ByteBuffer hidden(ByteView bytes, std::size_t piece_bytes) {
  ClientSecrets secrets;
  ByteBuffer out;
  for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
    const ByteView view = bytes.subspan(at, std::min(piece_bytes, bytes.size() - at));
    const ByteBuffer piece(view.begin(), view.end());
    append_bytes(out, secrets.hide(piece));
  }
  return out;
}

// Whether a byte at that place may be hidden at all.
std::vector<bool> in_sql(ByteView bytes) {
  std::vector<bool> may(bytes.size(), false);
  FrameScanner frames;
  (void)frames.feed(bytes, [&](const FrameHeader& frame) {
    if (frame.type != frontend::kQuery && frame.type != frontend::kParse) return true;
    const auto at = static_cast<std::size_t>(frame.payload_here.data() - bytes.data());
    std::fill_n(may.begin() + static_cast<std::ptrdiff_t>(at), frame.payload_here.size(), true);
    return true;
  });
  return may;
}

void check(ByteView bytes, std::size_t piece_bytes) {
  const ByteBuffer whole = hidden(bytes, std::max<std::size_t>(bytes.size(), 1));
  const ByteBuffer cut_up = hidden(bytes, piece_bytes);
  const std::vector<bool> may = in_sql(bytes);
  require(whole.size() == bytes.size() && cut_up.size() == bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    require(whole[i] == bytes[i] || (may[i] && whole[i] == 'x'));
    require(cut_up[i] == bytes[i] || (may[i] && cut_up[i] == 'x'));
    if (whole[i] != bytes[i]) require(cut_up[i] != bytes[i]);
  }
}

}  // namespace
}  // namespace understudy::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  if (size < 2) return 0;
  const ByteView rest(data + 2, size - 2);
  const std::size_t piece_bytes = std::size_t{data[1]} + 1;
  if (data[0] % 2 == 0) {
    wire::check(rest, piece_bytes);
    return 0;
  }
  ByteBuffer query{static_cast<Byte>(data[0] % 4 == 1 ? 'Q' : 'P')};
  append_be32(query, static_cast<std::uint32_t>(rest.size() + 5));
  append_bytes(query, rest);
  query.push_back(0);
  wire::check(query, piece_bytes);
  return 0;
}
