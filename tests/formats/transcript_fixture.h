// A transcript segment in memory, with verbs to write it, harm it and read it back. Used by the
// transcript_*_test files; a test owns its fixture.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/recording.h"
#include "formats/transcript/segment_reader.h"
#include "formats/transcript/segment_writer.h"

namespace understudy::test {

// What a test wrote, or read back, as values that can be compared and printed.
struct Seen {
  SessionId session;
  TimeNs time = 0;
  EventKind kind = EventKind::kClientBytes;
  std::string data;
  bool operator==(const Seen&) const = default;
};
inline void PrintTo(const Seen& seen, std::ostream* out) {
  *out << seen.session.to_string() << "@" << seen.time << " kind "
       << int{static_cast<std::uint8_t>(seen.kind)} << " " << testing::PrintToString(seen.data);
}
inline Seen seen(const Event& event) {
  return {event.session, event.time, event.kind, std::string(as_text(event.data))};
}

// A file that can be told to fail.
class MemoryFile final : public WritableFile {
 public:
  std::error_code append(ByteView bytes) override {
    if (bytes.size() > room_) {
      append_bytes(contents, bytes.first(room_));
      room_ = 0;
      return std::make_error_code(std::errc::no_space_on_device);
    }
    room_ -= bytes.size();
    append_bytes(contents, bytes);
    return {};
  }
  std::error_code sync() override { return {}; }
  void fill_up_after(std::size_t bytes) { room_ = bytes; }

  ByteBuffer contents;

 private:
  std::size_t room_ = SIZE_MAX;
};

class MemoryReadableFile final : public ReadableFile {
 public:
  explicit MemoryReadableFile(ByteBuffer contents) : contents_(std::move(contents)) {}
  std::error_code read(std::uint64_t offset, std::size_t length, ByteBuffer& out) const override {
    if (broken_) return std::make_error_code(std::errc::io_error);
    const std::size_t begin = std::min<std::size_t>(offset, contents_.size());
    const std::size_t end = begin + std::min(length, contents_.size() - begin);
    out.assign(contents_.begin() + static_cast<std::ptrdiff_t>(begin),
               contents_.begin() + static_cast<std::ptrdiff_t>(end));
    return {};
  }
  std::uint64_t size() const override { return contents_.size(); }
  void break_down() { broken_ = true; }

 private:
  ByteBuffer contents_;
  bool broken_ = false;
};

inline SessionDescriptor descriptor(SessionId id, TimeNs opened_at, std::string user = "alice") {
  SessionDescriptor session;
  session.id = id;
  session.opened_at = opened_at;
  session.startup_parameters = {
      {"user", std::move(user)}, {"database", "shop"}, {"application_name", "till"}};
  session.peer = "192.0.2.7:49152";
  session.backend = "127.0.0.1:5432";
  return session;
}

class TranscriptTest : public testing::Test {
 protected:
  // Writing.
  void begin(const std::vector<SessionDescriptor>& continuing = {}, SegmentHeader header = default_header()) {
    file_.contents.clear();
    written_.clear();
    chunk_ends_.clear();
    writer_.emplace(file_, header, continuing, key_.get());
    header_end_ = file_.contents.size();
  }
  void event(SessionId session, TimeNs time, EventKind kind, std::string_view data) {
    slab_.append(session, time, kind, as_bytes(data));
    written_.push_back({session, time, kind, std::string(data)});
  }
  void open_session(SessionId session, TimeNs time) {
    ByteBuffer payload;
    encode(descriptor(session, time), payload);
    event(session, time, EventKind::kOpened, as_text(payload));
  }
  void from_client(SessionId session, TimeNs time, std::string_view data) {
    event(session, time, EventKind::kClientBytes, data);
  }
  void from_server(SessionId session, TimeNs time, std::string_view data) {
    event(session, time, EventKind::kServerBytes, data);
  }
  void close_session(SessionId session, TimeNs time) {
    ByteBuffer payload;
    encode(CloseDetail{}, payload);
    event(session, time, EventKind::kClosed, as_text(payload));
  }
  // Seals what was said since the last chunk.
  ChunkHead seal() {
    ByteBuffer records;
    const ChunkHead head = encoder_.encode(slab_, records);
    slab_.clear();
    EXPECT_FALSE(writer_->append_chunk(head, records));
    chunk_ends_.push_back(file_.contents.size());
    return head;
  }
  void finish() {
    link_ = writer_->link();
    EXPECT_FALSE(writer_->finish());
  }

  // Harming.
  [[nodiscard]] std::size_t size() const { return file_.contents.size(); }
  void flip_byte(std::size_t offset, Byte bits = 0xFF) { file_.contents[offset] ^= bits; }
  void shrink_to(std::size_t bytes) { file_.contents.resize(bytes); }

  // Reading.
  [[nodiscard]] std::unique_ptr<SegmentReader> open() const {
    return std::make_unique<SegmentReader>(std::make_unique<MemoryReadableFile>(file_.contents), "memory",
                                           keys_.get());
  }
  // Everything readable, chunk by chunk; damage met on the way is appended to `damage`.
  static std::vector<Seen> read_all(const SegmentReader& reader, std::vector<Damage>& damage) {
    std::vector<Seen> events;
    damage.insert(damage.end(), reader.damage().begin(), reader.damage().end());
    for (std::size_t i = 0; i < reader.chunk_count(); ++i) {
      Damage found;
      const std::shared_ptr<const Chunk> chunk = reader.load(i, found);
      if (!chunk) {
        damage.push_back(found);
        continue;
      }
      for (std::size_t at = 0; at < chunk->size(); ++at) events.push_back(seen(chunk->event(at)));
    }
    return events;
  }
  // What opening says when it refuses.
  [[nodiscard]] std::string refusal() const {
    try {
      static_cast<void>(open());
    } catch (const RecordingError& error) {
      return error.what();
    }
    return {};
  }

  static SegmentHeader default_header() {
    return {"0123456789abcdef0123456789abcdef", 1, 1, 1'000, "understudy test", {{"source", "a test"}}};
  }

  MemoryFile file_;
  std::optional<SegmentWriter> writer_;
  ChunkEncoder encoder_;
  Slab slab_;
  std::vector<Seen> written_;            // in order of writing
  std::vector<std::size_t> chunk_ends_;  // offsets in the file
  std::size_t header_end_ = 0;
  SegmentLink link_;                         // of the segment that was closed last
  std::shared_ptr<const RecordingKey> key_;  // what is written is encrypted with it
  std::shared_ptr<const Keyring> keys_;      // what is read is decrypted with them
};

}  // namespace understudy::test
