// TLS records of both sides, and a key log. What is held: nothing crashes; how the pieces are cut changes
// nothing that is read; memory stays bounded; what is read was in a record.
//
// Input: the key log up to the first NUL; then pieces: a byte (the side in its first bit, above it the
// length's upper bits), a byte (the length's lower ones), and so many bytes.
#include "recorder/capture/tls_conversation.h"
#include "tests/fuzz/require.h"

namespace understudy::recorder {
namespace {

struct Read {
  std::string talk;
  std::string reason;
  bool operator==(const Read&) const = default;
};

Read read_in_pieces(std::string_view log, ByteView rest, std::size_t largest) {
  TlsKeyLog keys;
  keys.add(log);
  TlsConversation conversation(keys);
  Read read;
  std::size_t fed = 0;
  const auto sink = [&read](Direction from, ByteView data) {
    read.talk += from == Direction::kFromClient ? 'c' : 's';
    read.talk += as_text(data);
  };
  while (rest.size() >= 2) {
    const Direction from = (rest[0] & 1) == 0 ? Direction::kFromClient : Direction::kFromServer;
    const std::size_t length =
        std::min<std::size_t>((std::size_t{rest[0]} >> 1) << 8 | rest[1], rest.size() - 2);
    ByteView piece = rest.subspan(2, length);
    rest = rest.subspan(2 + length);
    while (!piece.empty()) {
      const std::size_t size = std::min(largest, piece.size());
      fed += size;
      if (!conversation.take(from, piece.first(size), sink)) {
        read.reason = conversation.reason();
        require(!read.reason.empty() && read.talk.size() <= 2 * fed);
        return read;
      }
      piece = piece.subspan(size);
    }
  }
  require(read.talk.size() <= 2 * fed);
  return read;
}

}  // namespace
}  // namespace understudy::recorder

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  const ByteView input(data, size);
  const std::size_t log = as_text(input).find('\0');
  if (log == std::string_view::npos) return 0;
  const ByteView rest = input.subspan(log + 1);
  const std::string_view text = as_text(input.first(log));
  require(recorder::read_in_pieces(text, rest, 1) == recorder::read_in_pieces(text, rest, SIZE_MAX));
  return 0;
}
