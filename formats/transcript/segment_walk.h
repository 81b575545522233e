// Goes through a segment record by record, from the start, trusting nothing: what is damaged is passed over
// up to the next record that is whole and in its place, and counted. Used where there is no index, and to
// verify.
#pragma once

#include <optional>

#include "formats/transcript/chunk.h"
#include "formats/transcript/damage.h"
#include "formats/transcript/encryption.h"
#include "formats/transcript/file.h"
#include "formats/transcript/record.h"

namespace understudy {

enum class ReadStatus { kWhole, kTorn, kBad };  // torn: the record claims to go on past the end of the file

// Reads the record at `offset`; its body points into `buffer`. Throws RecordingError when the file cannot be
// read.
[[nodiscard]] ReadStatus read_record(const ReadableFile& file, const std::string& name, std::uint64_t offset,
                                     ByteBuffer& buffer, Record& out);

// Reads exactly `length` bytes, or fewer at the end of the file. Throws RecordingError when it cannot.
void read_bytes(const ReadableFile& file, const std::string& name, std::uint64_t offset, std::size_t length,
                ByteBuffer& buffer);

// Reads the chunk body at `body_offset` and compares its checksum. False on damage, described in `damage`.
[[nodiscard]] bool read_body(const ReadableFile& file, const std::string& name, std::uint64_t body_offset,
                             const ChunkHead& head, ByteBuffer& body, Damage& damage);
// The same, decrypted (`cipher`: null unless the file is encrypted) and decoded. Null on damage.
[[nodiscard]] std::shared_ptr<const Chunk> read_chunk(const ReadableFile& file, const std::string& name,
                                                      std::uint64_t body_offset, const ChunkHead& head,
                                                      const FileCipher* cipher, Damage& damage);

// Throws RecordingError when the record is one that this version does not know and must not pass over.
void refuse_unknown(const std::string& name, std::uint64_t offset, std::uint8_t type, std::uint8_t flags);

class SegmentWalk {
 public:
  struct Step {
    Record record;  // valid until the next call
    std::uint64_t offset = 0;
    std::uint64_t body_offset = 0;  // of a chunk: where its zstd frame begins
    std::uint64_t end = 0;          // where the record, or the chunk with its body, ends
    ChunkHead head;                 // of a chunk
  };

  // Everything is borrowed. `stamp`: of the segment, or none when its header is damaged: then that of the
  // first whole record is taken. Damage found is added to `damage`.
  SegmentWalk(const ReadableFile& file, const std::string& name, std::uint64_t offset,
              std::optional<std::uint32_t> stamp, std::vector<Damage>& damage);

  // The next record known to this version; none at the end of the file. Throws RecordingError on an unknown
  // required record, and when the file cannot be read.
  [[nodiscard]] std::optional<Step> next();

 private:
  bool read_at(std::uint64_t offset, Step& step, ReadStatus& status);
  bool resynchronise(Step& step, bool torn);
  bool accept(Step& step);

  const ReadableFile& file_;
  const std::string& name_;
  std::uint64_t offset_;
  std::optional<std::uint32_t> stamp_;
  std::vector<Damage>& damage_;
  std::uint64_t search_budget_;
  ByteBuffer buffer_;
};

}  // namespace understudy
