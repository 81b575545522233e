// Reads one segment file, clean or not. A segment with a valid footer is read through its index; without one
// (the writer was killed) its records are walked from the start, every whole chunk is kept, and what is lost
// is counted, never guessed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/chunk.h"
#include "formats/transcript/damage.h"
#include "formats/transcript/file.h"
#include "formats/transcript/keyring.h"
#include "formats/transcript/record.h"
#include "formats/transcript/segment_writer.h"

namespace understudy {

// Whether an encrypted segment is any use without its key: only to see whether its bytes are as written.
enum class Contents : std::uint8_t { kNeeded, kOptional };

class SegmentReader {
 public:
  // Opens and reads header and index (or walks). Throws RecordingError when the file is no transcript, needs
  // a feature this version does not know, or is encrypted and `keys` (borrowed for the call) do not open it;
  // without any keys at all, only if the contents are needed. `name` is used in messages.
  SegmentReader(std::unique_ptr<ReadableFile> file, std::string name, const Keyring* keys = nullptr,
                Contents contents = Contents::kNeeded);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  // True when the footer was there: the file was closed by its writer.
  [[nodiscard]] bool clean() const { return clean_; }
  // The digest it was closed with, as it stands there, and where; none when it was not closed, or before 1.1.
  struct Closing {
    std::uint64_t offset = 0;
    SegmentDigest digest;
  };
  [[nodiscard]] std::optional<Closing> digest() const;
  // Sessions that were open when this segment began.
  [[nodiscard]] const std::vector<SessionDescriptor>& continuing() const { return continuing_; }
  [[nodiscard]] const std::vector<LossRecord>& losses() const { return losses_; }
  [[nodiscard]] const std::vector<Damage>& damage() const { return damage_; }
  [[nodiscard]] std::uint64_t size_bytes() const;
  // Whether it says which segment it follows: false for those of format 1.0, and when the header is damaged.
  [[nodiscard]] bool chained() const { return chained_; }
  [[nodiscard]] bool encrypted() const { return header_.wrapped_key.has_value(); }
  // False when it is encrypted and there was no key.
  [[nodiscard]] bool readable() const { return !encrypted() || cipher_; }
  // Loss records there are, but without the key cannot be read.
  [[nodiscard]] std::uint64_t unread_losses() const { return unread_losses_; }
  // Null unless it is encrypted and there was a key.
  [[nodiscard]] const FileCipher* cipher() const { return cipher_ ? &*cipher_ : nullptr; }
  // What names this segment in each of its records; none when the header is damaged.
  [[nodiscard]] std::optional<std::uint32_t> stamp() const { return stamp_; }

  [[nodiscard]] std::size_t chunk_count() const { return chunks_.size(); }
  [[nodiscard]] const ChunkHead& chunk_head(std::size_t index) const { return chunks_[index].head; }
  [[nodiscard]] std::uint64_t chunk_offset(std::size_t index) const { return chunks_[index].offset; }
  // Reads, checks and decodes one chunk. Null on damage, described in `damage`. Safe from several threads.
  [[nodiscard]] std::shared_ptr<const Chunk> load(std::size_t index, Damage& damage) const;

 private:
  bool read_header(const Keyring* keys, Contents contents);
  void unlock(ByteView header_body, std::size_t key_at, const Keyring* keys, Contents contents);
  bool read_index();
  bool use_index(const SegmentIndex& index, std::uint64_t index_offset);
  bool sealed_by_writer(const SegmentIndex& index, ByteView index_body);
  void read_listed(const SegmentIndex& index);
  void take(const Record& record, std::uint64_t offset, std::uint64_t bytes);
  void walk();

  struct Located {
    std::uint64_t offset;
    std::uint64_t body_offset;
    ChunkHead head;
  };
  std::unique_ptr<ReadableFile> file_;
  std::string name_;
  SegmentHeader header_;
  std::uint64_t first_record_ = 0;      // where the records after the header begin; 0: it is damaged
  std::uint64_t index_offset_ = 0;      // of a clean one
  std::optional<std::uint32_t> stamp_;  // none when the header is damaged
  bool doubtful_ = false;               // a beginning that is only half a segment's, until a record proves it
  bool clean_ = false;
  bool chained_ = false;
  std::optional<FileCipher> cipher_;
  std::uint64_t unread_losses_ = 0;
  std::vector<SessionDescriptor> continuing_;
  std::vector<LossRecord> losses_;
  std::vector<Damage> damage_;
  std::vector<Located> chunks_;
};

}  // namespace understudy
