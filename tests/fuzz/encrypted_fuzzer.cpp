// An encrypted segment in the hands of somebody without its key, who cuts, copies, moves and changes what he
// likes and sets every checksum right again. What is held: with the key, what is read is what was written, in
// this order, or less of it; without, nothing is; nothing crashes, verify's sums are the file's size, and a
// file that was changed is never called whole. Files made of nothing but input, and key files, too.
#include <fuzzer/FuzzedDataProvider.h>

#include "formats/transcript/keyring.h"
#include "formats/transcript/segment_writer.h"
#include "formats/transcript/verify.h"
#include "tests/formats/reseal.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/require.h"

namespace understudy {
namespace {

constexpr std::string_view kSecret = "open sesame";

class OutputFile final : public WritableFile {
 public:
  std::error_code append(ByteView bytes) override {
    append_bytes(contents, bytes);
    return {};
  }
  std::error_code sync() override { return {}; }
  ByteBuffer contents;
};

SecretKey master_key() { return SecretKey(ByteBuffer(kKeyBytes, 7)); }

const Keyring& keys() {
  static const Keyring* const ring = [] {
    auto* const made = new Keyring;
    made->add_key(master_key());
    return made;
  }();
  return *ring;
}

struct Written {
  ByteBuffer contents;
  std::vector<std::pair<TimeNs, std::string>> events;
};

Written write_segment() {
  Written written;
  OutputFile file;
  const RecordingKey key = RecordingKey::of_key(master_key());
  SessionDescriptor open;
  open.id = {1, 1};
  open.startup_parameters = {{"user", std::string(kSecret)}};
  SegmentWriter writer(file, SegmentHeader{.recording_id = std::string(32, 'a'), .producer = "fuzz"}, {open},
                       &key);
  ChunkEncoder encoder;
  for (int chunk = 0; chunk < 4; ++chunk) {
    Slab slab(0);
    for (int event = 0; event < 3; ++event) {
      const std::string data = std::string(kSecret) + std::to_string(chunk) + std::to_string(event);
      const TimeNs time = 100 * chunk + event;
      slab.append({1, 1}, time, EventKind::kClientBytes, as_bytes(data));
      written.events.emplace_back(time, data);
    }
    ByteBuffer records;
    const ChunkHead head = encoder.encode(slab, records);
    require(!writer.append_chunk(head, records));
    if (chunk == 1) require(!writer.append_loss({.detail = std::string(kSecret)}));
  }
  require(!writer.finish());
  written.contents = file.contents;
  return written;
}

const Written& pristine() {
  static const Written* const written = new Written(write_segment());
  return *written;
}

void harm(ByteBuffer& contents, FuzzedDataProvider& input) {
  while (input.remaining_bytes() > 0 && !contents.empty()) {
    const std::size_t from = input.ConsumeIntegralInRange<std::size_t>(0, contents.size() - 1);
    const std::size_t length =
        std::min<std::size_t>(input.ConsumeIntegral<std::uint16_t>(), contents.size() - from);
    const auto begin = contents.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = begin + static_cast<std::ptrdiff_t>(length);
    switch (input.ConsumeIntegralInRange<int>(0, 4)) {
      case 0:
        contents[from] ^= input.ConsumeIntegral<Byte>();
        break;
      case 1:
        contents.erase(begin, end);
        break;
      case 2: {
        const ByteBuffer piece(begin, end);
        const std::size_t to = input.ConsumeIntegralInRange<std::size_t>(0, contents.size());
        if (contents.size() < 100'000)
          contents.insert(contents.begin() + static_cast<std::ptrdiff_t>(to), piece.begin(), piece.end());
        break;
      }
      case 3: {
        const std::size_t to = input.ConsumeIntegralInRange<std::size_t>(0, contents.size() - 1);
        const std::size_t fits = std::min(length, contents.size() - to);
        const ByteBuffer piece(begin, begin + static_cast<std::ptrdiff_t>(fits));
        std::copy(piece.begin(), piece.end(), contents.begin() + static_cast<std::ptrdiff_t>(to));
        break;
      }
      default:
        contents.resize(from);
    }
  }
}

// Reads all there is; requires that it is what was written, or less.
void read_with_key(const ByteBuffer& contents, bool may_hold_others) {
  const SegmentReader reader(std::make_unique<InputFile>(contents), "input", &keys());
  std::size_t at = 0;
  const auto& written = pristine().events;
  for (std::size_t i = 0; i < reader.chunk_count(); ++i) {
    Damage damage;
    const auto chunk = reader.load(i, damage);
    require(chunk != nullptr || !damage.what.empty());
    if (!chunk || may_hold_others) continue;
    for (std::size_t n = 0; n < chunk->size(); ++n) {
      const Event event = chunk->event(n);
      const std::pair<TimeNs, std::string> seen(event.time, as_text(event.data));
      while (at < written.size() && written[at] != seen) ++at;
      require(at++ < written.size());
    }
  }
  if (may_hold_others) return;
  for (const LossRecord& loss : reader.losses()) require(loss.detail == kSecret);
  for (const SessionDescriptor& session : reader.continuing()) require(session.user() == kSecret);
}

// Behind the digest are index and footer, of whose records some bits mean nothing.
bool same_up_to_digest(const ByteBuffer& contents, const SegmentReport& report) {
  const ByteBuffer& written = pristine().contents;
  if (!report.digest || contents.size() != written.size()) return false;
  return std::equal(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(report.digest->offset),
                    contents.begin());
}

void read_file(const ByteBuffer& contents, bool may_hold_others) {
  try {
    read_with_key(contents, may_hold_others);
    const SegmentReport report = verify_segment(InputFile(contents), "input", &keys());
    require(report.whole_bytes + report.lost_bytes == contents.size());
    const bool whole = report.clean && report.index_agrees && report.damage.empty();
    require(may_hold_others || !whole || same_up_to_digest(contents, report));
  } catch (const RecordingError& error) {
    require(std::string_view(error.what()).find("input") != std::string_view::npos);
  }
  try {
    const SegmentReport report = verify_segment(InputFile(contents), "input");
    require(!report.encrypted || (!report.contents_seen && report.losses.empty()));
  } catch (const RecordingError&) {  // no transcript any more
  }
}

}  // namespace
}  // namespace understudy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  if (size == 0) return 0;
  FuzzedDataProvider input(data + 1, size - 1);
  const ByteView bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: {
      std::vector<SecretKey> keys_read;
      const std::string wrong = parse_keys(as_text(bytes), keys_read);
      require(!wrong.empty() || !keys_read.empty());
      break;
    }
    case 1: {
      // The header as it was written, and then whatever comes.
      ByteBuffer contents = pristine().contents;
      contents.resize(std::min<std::size_t>(contents.size(), record_length(contents)));
      append_bytes(contents, bytes);
      test::set_checksums_right(contents);
      read_file(contents, false);
      break;
    }
    default: {
      ByteBuffer contents = pristine().contents;
      harm(contents, input);
      if (data[0] % 4 == 2) test::set_checksums_right(contents);
      // A header that says nothing of a key may be followed by chunks that anybody can write.
      bool forged = false;
      try {
        forged = !SegmentReader(std::make_unique<InputFile>(contents), "input", &keys()).encrypted();
      } catch (const RecordingError&) {
      }
      read_file(contents, forged);
    }
  }
  return 0;
}
