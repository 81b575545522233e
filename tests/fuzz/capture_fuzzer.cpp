// Capture files, from (compressed) bytes to sessions. What is held: nothing crashes; how the file is cut into
// pieces changes nothing; every byte that is handed on was in a packet, holes are not bytes; memory stays
// bounded; times never run backwards; a secret's message is never shown.
#include <random>

#include "formats/capture/capture_file.h"
#include "formats/capture/decompressor.h"
#include "formats/capture/reassembler.h"
#include "recorder/capture/capture_sessions.h"
#include "tests/fuzz/require.h"

namespace understudy {
namespace {

struct Seen {
  std::uint64_t relayed = 0;
  std::uint64_t hash = 0;
  std::uint64_t sessions = 0;
  bool damaged = false;  // as compressed data: how much of it is read depends on the pieces
  bool operator==(const Seen&) const = default;
};

class Watcher final : public proxy::TrafficObserver {
 public:
  Seen seen;
  std::unique_ptr<proxy::SessionObserver> open_session(unsigned,
                                                       const SessionDescriptor& descriptor) override {
    ++seen.sessions;
    require(descriptor.id.number == seen.sessions);
    return std::make_unique<Watch>(seen, descriptor.opened_at);
  }

 private:
  class Watch final : public proxy::SessionObserver {
   public:
    Watch(Seen& seen, TimeNs opened_at) : seen_(seen), last_(opened_at) {}
    void relayed(Direction direction, TimeNs time, ByteView bytes) override {
      note(time);
      require(!closed_);
      seen_.relayed += bytes.size();
      for (const Byte byte : bytes) seen_.hash = seen_.hash * 31 + byte + static_cast<unsigned>(direction);
    }
    void redacted(Redaction what, TimeNs time) override {
      note(time);
      seen_.hash = seen_.hash * 31 + static_cast<unsigned>(what.kind) + 7;
    }
    void cancelled(TimeNs time) override { note(time); }
    void backend_switched(const std::string&, TimeNs) override { require(false); }
    void closed(const CloseDetail&, TimeNs time) override {
      note(time);
      closed_ = true;
    }
    void missing(const Gap& gap, TimeNs time) override {
      note(time);
      require(gap.from <= gap.to && gap.reason == GapReason::kCaptureLoss);
      seen_.hash = seen_.hash * 31 + gap.client_bytes + gap.server_bytes;
    }

   private:
    void note(TimeNs time) {
      require(time >= last_);
      last_ = time;
    }
    Seen& seen_;
    TimeNs last_;
    bool closed_ = false;
  };
};

constexpr std::size_t kConnectionBytes = 20'000;
constexpr std::size_t kTotalBytes = 50'000;
constexpr std::size_t kLargestPacket = 70'000;

Seen capture_in_pieces(ByteView file, std::size_t piece, bool keep_last) {
  Watcher watcher;
  recorder::CaptureSessions sessions(watcher, {});
  capture::ReassemblyOptions options;
  options.overlap = keep_last ? capture::OverlapPolicy::kKeepLast : capture::OverlapPolicy::kKeepFirst;
  options.connection_bytes = kConnectionBytes;
  options.total_bytes = kTotalBytes;
  options.max_connections = 8;
  capture::Reassembler reassembler(options, sessions);
  capture::CaptureFileParser parser;
  std::uint64_t plain_bytes = 0;
  std::uint64_t handed_out = 0;
  const auto take = [&](const capture::CapturedPacket& packet) {
    handed_out += packet.bytes.size();
    reassembler.take(packet);
    require(reassembler.counts().held_peak_bytes <= kTotalBytes + 2 * kLargestPacket);
  };
  const auto parse = [&](ByteView plain) {
    plain_bytes += plain.size();
    (void)parser.feed(plain, take);
    return plain_bytes < (std::uint64_t{4} << 20);  // a bomb is only slow
  };
  capture::Decompressor decompressor;
  bool going = true;
  for (std::size_t at = 0; going && at < file.size(); at += piece) {
    going = decompressor.feed(file.subspan(at, std::min(piece, file.size() - at)), parse);
  }
  if (going && decompressor.finish(parse)) (void)parser.finish();
  reassembler.finish();
  const capture::ReassemblyCounts& counts = reassembler.counts();
  require(handed_out <= plain_bytes && handed_out == counts.packet_bytes);
  require(watcher.seen.relayed <= handed_out);
  const recorder::CaptureCounts& told = sessions.counts();
  require(told.whole + told.joined + told.partial == watcher.seen.sessions);
  require(told.lost_bytes <= counts.lost_bytes);
  require(parser.error().empty() || parser.error_offset() <= plain_bytes);
  watcher.seen.damaged = !decompressor.error().empty();
  return watcher.seen;
}

}  // namespace
}  // namespace understudy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  const ByteView file(data, size);
  for (const bool keep_last : {false, true}) {
    const Seen whole = capture_in_pieces(file, std::max<std::size_t>(size, 1), keep_last);
    const Seen pieces = capture_in_pieces(file, 1 + size / 7, keep_last);
    require(pieces == whole || (pieces.damaged && whole.damaged));
  }
  return 0;
}
