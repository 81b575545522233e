// The wire protocol's decoders against arbitrary bytes. What is held: nothing crashes; what is read from a
// stream does not depend on how it is cut into pieces; what decodes builds the same bytes again.
//
// Input: one byte of choices, one of the pieces' size, one of the assembler's cap; the rest is the stream.
#include "formats/wire/message_assembler.h"
#include "formats/wire/server_progress.h"
#include "tests/formats/wire_rebuild.h"
#include "tests/fuzz/require.h"

namespace understudy::wire {
namespace {

bool same(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

// `bytes` in pieces, each in memory of exactly its size so that a sanitizer sees a view kept too long.
template <typename Feed>
void in_pieces(ByteView bytes, std::size_t piece_bytes, Feed&& feed) {
  for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
    const ByteView piece = bytes.subspan(at, std::min(piece_bytes, bytes.size() - at));
    feed(ByteBuffer(piece.begin(), piece.end()));
  }
}

template <typename Message>
void check_decoded(const Decoded<Message>& decoded, ByteView payload) {
  if (!decoded) {
    require(decoded.error().offset <= payload.size() && !decoded.error().text.empty());
    return;
  }
  const ByteBuffer again = rebuild(*decoded);
  require(same(ByteView(again).subspan(5), payload));
}

void check_payload(Direction direction, char type, ByteView payload) {
  if (direction == Direction::kFromClient)
    check_decoded(decode_frontend(type, payload), payload);
  else
    check_decoded(decode_backend(type, payload), payload);
  if (direction == Direction::kFromClient && type == frontend::kPassword) {
    check_decoded(PasswordMessage::decode(payload), payload);
    check_decoded(SaslInitialResponse::decode(payload), payload);
    check_decoded(SaslResponse::decode(payload), payload);
  }
}

// A packet is one packet: no shorter part of it decodes, and none is refused.
void check_startup(ByteView bytes) {
  const StartupDecoded decoded = decode_startup(bytes, 200);
  if (const NeedMore* more = decoded.need_more()) require(more->bytes > 0);
  if (const DecodeError* error = decoded.error())
    require(error->offset <= bytes.size() && !error->text.empty());
  if (decoded.packet() == nullptr) return;
  require(same(rebuild(*decoded.packet()), bytes.first(decoded.consumed)));
  for (std::size_t length = 0; length < decoded.consumed; ++length) {
    const StartupDecoded part = decode_startup(bytes.first(length), 200);
    require(part.need_more() != nullptr && length + part.need_more()->bytes <= decoded.consumed);
  }
}

struct Seen {
  char type;
  ByteBuffer payload;
  std::uint32_t payload_length;
  bool truncated;
  std::uint64_t hash;
  std::uint64_t stream_offset;
  bool operator==(const Seen&) const = default;
};

struct Assembled {
  std::vector<Seen> messages;
  bool broken = false;
  bool at_boundary = false;
  DecodeError error;
  bool operator==(const Assembled&) const = default;
};

Assembled assemble(ByteView stream, std::size_t piece_bytes, std::size_t cap_bytes, Direction direction) {
  Assembled result;
  MessageAssembler assembler(cap_bytes);
  in_pieces(stream, piece_bytes, [&](const ByteBuffer& piece) {
    assembler.feed(piece, [&](const Message& message) {
      require(message.payload.size() <= cap_bytes && message.payload.size() <= message.payload_length);
      result.messages.push_back({message.type,
                                 {message.payload.begin(), message.payload.end()},
                                 message.payload_length,
                                 message.truncated,
                                 message.hash,
                                 message.stream_offset});
      if (!message.truncated) check_payload(direction, message.type, message.payload);
    });
    require(assembler.held_bytes() <= 2 * std::max<std::size_t>(cap_bytes, 64));
  });
  result.broken = assembler.broken();
  if (result.broken)
    result.error = assembler.error();
  else
    result.at_boundary = assembler.at_boundary();
  return result;
}

bool same_progress(const ServerProgress& a, const ServerProgress& b) {
  return a.mark() == b.mark() && a.error_in_cycle() == b.error_in_cycle() &&
         a.transaction_status() == b.transaction_status() && a.copy_in_active() == b.copy_in_active() &&
         a.broken() == b.broken();
}

void check_progress(ByteView stream, std::size_t piece_bytes) {
  ServerProgress whole, pieces;
  whole.feed(stream);
  in_pieces(stream, piece_bytes, [&](const ByteBuffer& piece) {
    const ServerProgress::Mark before = pieces.mark();
    pieces.feed(piece);
    require(pieces.reached(before));
  });
  require(same_progress(whole, pieces));
  require(whole.reached(pieces.mark()));
}

void check_all(ByteView input) {
  if (input.size() < 3) return;
  const Direction direction = (input[0] & 1) != 0 ? Direction::kFromServer : Direction::kFromClient;
  const std::size_t piece_bytes = std::size_t{input[1]} + 1;
  const std::size_t cap_bytes = input[2];
  const ByteView stream = input.subspan(3);
  check_startup(stream);
  if (!stream.empty()) check_payload(direction, static_cast<char>(stream[0]), stream.subspan(1));
  const Assembled whole = assemble(stream, std::max<std::size_t>(stream.size(), 1), cap_bytes, direction);
  require(whole == assemble(stream, piece_bytes, cap_bytes, direction));
  check_progress(stream, piece_bytes);
}

}  // namespace
}  // namespace understudy::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  understudy::wire::check_all({data, size});
  return 0;
}
