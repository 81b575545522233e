// What asks for a large object, and what tells its OID. The input is what a client sent, a zero byte, and
// what the server said. What is held: with an OID the piece differs from what was sent in one message, and
// that one is as long as it says, so that all behind it is where it was; it asks for nothing more to be
// chosen; an answer tells the same however it is cut; a text without its OID has none to lose.
#include <algorithm>

#include "replayer/object_creation.h"
#include "tests/fuzz/require.h"

namespace understudy::replayer {
namespace {

struct Frame {
  char type;
  std::uint32_t payload_length;
  std::size_t missing;  // of its payload, in a piece that ends too early
  bool operator==(const Frame&) const = default;
};

std::vector<Frame> frames(ByteView piece) {
  std::vector<Frame> out;
  wire::FrameScanner scanner;
  (void)scanner.feed(piece, [&](const wire::FrameHeader& frame) {
    out.push_back({frame.type, frame.payload_length, frame.payload_length - frame.payload_here.size()});
    return true;
  });
  return out;
}

void check_request(ByteView piece) {
  const auto creation = ObjectCreation::in(piece);
  if (!creation) return;
  const ByteBuffer made = creation->with_oid(piece, 4'000'000'000);
  require(!ObjectCreation::in(made));
  const auto before = frames(piece);
  const auto after = frames(made);
  require(before.size() == after.size());
  std::size_t changed = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    require(before[i].type == after[i].type && before[i].missing == after[i].missing);
    if (before[i].payload_length != after[i].payload_length) ++changed;
  }
  require(changed <= 1);
}

std::optional<std::uint32_t> told(ByteView answer, std::size_t cut) {
  CreationAnswer out;
  for (std::size_t at = 0; at < answer.size(); at += cut)
    out.feed(answer.subspan(at, std::min(cut, answer.size() - at)));
  return out.oid();
}

void check_text(std::string_view sql) {
  const auto without = without_object_oid(sql);
  if (without) require(without_object_oid(*without) == without);
}

}  // namespace
}  // namespace understudy::replayer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  const ByteView input{data, size};
  const auto zero = std::find(input.rbegin(), input.rend(), Byte{0});
  const auto split = static_cast<std::size_t>(input.rend() - zero);
  replayer::check_request(input.first(split));
  replayer::check_request(input);
  const ByteView answer = input.subspan(split);
  require(replayer::told(input, SIZE_MAX / 2) == replayer::told(input, 1));
  require(replayer::told(answer, SIZE_MAX / 2) == replayer::told(answer, 3));
  replayer::check_text(as_text(input));
  return 0;
}
