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
#include "formats/transcript/segment_writer.h"

namespace understudy {

class SegmentReader {
 public:
  // Opens and reads header and index (or walks). Throws RecordingError when the file is no transcript, or one
  // that needs a feature this version does not know. `name` is used in messages.
  SegmentReader(std::unique_ptr<ReadableFile> file, std::string name);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  // True when the footer was there: the file was closed by its writer.
  [[nodiscard]] bool clean() const { return clean_; }
  // Sessions that were open when this segment began.
  [[nodiscard]] const std::vector<SessionDescriptor>& continuing() const { return continuing_; }
  [[nodiscard]] const std::vector<LossRecord>& losses() const { return losses_; }
  [[nodiscard]] const std::vector<Damage>& damage() const { return damage_; }
  [[nodiscard]] std::uint64_t size_bytes() const;
  // What names this segment in each of its records; none when the header is damaged.
  [[nodiscard]] std::optional<std::uint32_t> stamp() const { return stamp_; }

  [[nodiscard]] std::size_t chunk_count() const { return chunks_.size(); }
  [[nodiscard]] const ChunkHead& chunk_head(std::size_t index) const { return chunks_[index].head; }
  [[nodiscard]] std::uint64_t chunk_offset(std::size_t index) const { return chunks_[index].offset; }
  // Reads, checks and decodes one chunk. Null on damage, described in `damage`. Safe from several threads.
  [[nodiscard]] std::shared_ptr<const Chunk> load(std::size_t index, Damage& damage) const;

 private:
  bool read_header();
  bool read_index();
  bool use_index(const SegmentIndex& index, std::uint64_t index_offset);
  void read_listed(const SegmentIndex& index);
  void walk();

  struct Located {
    std::uint64_t offset;
    std::uint64_t body_offset;
    ChunkHead head;
  };
  std::unique_ptr<ReadableFile> file_;
  std::string name_;
  SegmentHeader header_;
  std::uint64_t first_record_ = 0;      // where the records after the header begin
  std::optional<std::uint32_t> stamp_;  // none when the header is damaged
  bool doubtful_ = false;               // a beginning that is only half a segment's, until a record proves it
  bool clean_ = false;
  std::vector<SessionDescriptor> continuing_;
  std::vector<LossRecord> losses_;
  std::vector<Damage> damage_;
  std::vector<Located> chunks_;
};

}  // namespace understudy
