// The transcript's readers against arbitrary bytes. What is held: nothing crashes or takes memory that the
// input does not justify; reading through the index and walking agree on what they hand out; verify's sums
// are the file's size; what an encoder wrote comes back.
//
// Checksums would keep a fuzzer out, so the input's first byte chooses how deep it goes: as a whole file, as
// a file whose checksums are set right first, as the columns of a chunk, as single payloads, as events to be
// written.
#include <fuzzer/FuzzedDataProvider.h>
#include <zstd.h>

#include "formats/crc32c.h"
#include "formats/transcript/chunk_head.h"
#include "formats/transcript/record.h"
#include "formats/transcript/segment_records.h"
#include "formats/transcript/verify.h"
#include "tests/formats/reseal.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/require.h"

namespace understudy {
namespace {

void touch(const Chunk& chunk, const ChunkHead& head) {
  require(chunk.size() == head.event_count);
  std::size_t in_sessions = 0;
  unsigned sum = 0;
  for (const ChunkHead::Session& session : head.sessions) in_sessions += chunk.events_of(session.id).size();
  require(in_sessions == chunk.size());
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    const Event event = chunk.event(i);
    require(event.time >= head.first_time && event.time <= head.last_time);
    for (const Byte byte : event.data) sum += byte;  // a view out of bounds is seen here
  }
  volatile unsigned sink = sum;
  static_cast<void>(sink);
}

void read_file(const ByteBuffer& contents) {
  try {
    const SegmentReader reader(std::make_unique<InputFile>(contents), "input");
    for (std::size_t i = 0; i < reader.chunk_count(); ++i) {
      Damage damage;
      const auto chunk = reader.load(i, damage);
      require(chunk != nullptr || !damage.what.empty());
      if (chunk) touch(*chunk, reader.chunk_head(i));
    }
    const SegmentReport report = verify_segment(InputFile(contents), "input");
    require(report.whole_bytes + report.lost_bytes == contents.size());
  } catch (const RecordingError& error) {
    require(std::string_view(error.what()).find("input") != std::string_view::npos);
  }
}

void read_columns(FuzzedDataProvider& input) {
  ChunkHead head;
  head.first_time = input.ConsumeIntegral<TimeNs>();
  head.last_time = std::max(head.first_time, input.ConsumeIntegral<TimeNs>());
  head.event_count = input.ConsumeIntegralInRange<std::uint32_t>(0, 200);
  const std::uint32_t sessions = input.ConsumeIntegralInRange<std::uint32_t>(0, 20);
  for (std::uint32_t i = 0; i < sessions; ++i) head.sessions.push_back({{1, i}, false, false});
  const std::vector<Byte> raw = input.ConsumeRemainingBytes<Byte>();
  head.raw_bytes = static_cast<std::uint32_t>(raw.size());
  ByteBuffer body(ZSTD_compressBound(raw.size()));
  body.resize(ZSTD_compress(body.data(), body.size(), raw.data(), raw.size(), 1));
  std::string error;
  const auto chunk = Chunk::decode(head, body, error);
  require((chunk == nullptr) == !error.empty());
  if (chunk) touch(*chunk, head);
}

// What decodes is encoded and decoded to the same value.
template <typename Value>
void check_value(ByteView bytes) {
  Value value;
  if (!decode(bytes, value)) return;
  ByteBuffer encoded;
  encode(value, encoded);
  Value again;
  require(decode(encoded, again) && again == value);
}

void write_and_read(FuzzedDataProvider& input) {
  Slab slab(0);
  while (input.remaining_bytes() > 0) {
    const SessionId session{input.ConsumeIntegral<std::uint8_t>(), input.ConsumeIntegral<std::uint8_t>()};
    const TimeNs time =
        input.ConsumeBool() ? input.ConsumeIntegral<TimeNs>() : input.ConsumeIntegral<std::uint16_t>();
    const auto kind = static_cast<EventKind>(input.ConsumeIntegralInRange<int>(0, 12));
    slab.append(session, time, kind, as_bytes(input.ConsumeRandomLengthString(300)));
  }
  if (slab.empty()) return;
  ByteBuffer out;
  const ChunkHead head = ChunkEncoder().encode(slab, out);
  std::string error;
  const auto chunk = Chunk::decode(head, ByteView(out).last(head.stored_bytes), error);
  require(chunk != nullptr);
  touch(*chunk, head);
  const Byte* data = slab.data().data();
  for (std::size_t i = 0; i < slab.heads().size(); ++i) {
    const Slab::Head& wrote = slab.heads()[i];
    const Event event = chunk->event(i);
    require(event.session == wrote.session && event.time == wrote.time && event.kind == wrote.kind);
    require(std::equal(event.data.begin(), event.data.end(), data, data + wrote.length_bytes));
    data += wrote.length_bytes;
  }
}

}  // namespace
}  // namespace understudy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  if (size == 0) return 0;
  FuzzedDataProvider rest(data + 1, size - 1);
  const ByteView bytes(data + 1, size - 1);
  ByteBuffer contents(bytes.begin(), bytes.end());
  switch (data[0] % 6) {
    case 'W' % 6:  // how a segment begins: golden files are a corpus as they are
      contents.insert(contents.begin(), data[0]);
      read_file(contents);
      break;
    case 0:
      check_value<SessionDescriptor>(bytes);
      check_value<CloseDetail>(bytes);
      check_value<Redaction>(bytes);
      check_value<Gap>(bytes);
      break;
    case 1:
      test::set_checksums_right(contents);
      read_file(contents);
      break;
    case 2:
      read_columns(rest);
      break;
    case 4:
      check_value<ChunkHead>(bytes);
      check_value<LossRecord>(bytes);
      check_value<SegmentIndex>(bytes);
      break;
    default:
      write_and_read(rest);
  }
  return 0;
}
