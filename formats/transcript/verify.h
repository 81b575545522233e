// Reads every byte of a segment and says what is whole: every record's checksum, every chunk's, every column,
// and whether the index tells what is there. Streams: one chunk in memory at a time.
#pragma once

#include <optional>
#include <vector>

#include "formats/transcript/segment_reader.h"
#include "formats/transcript/session_set.h"

namespace understudy {

// The digest that a segment was closed with, beside what is there.
struct DigestReport {
  std::uint64_t offset = 0;
  SegmentDigest digest;
  bool fits = false;  // the file up to it hashes to what it says
};

struct SegmentReport {
  std::string name;
  SegmentHeader header;
  bool clean = false;    // closed by its writer: footer and index are whole
  bool chained = false;  // says which segment it follows; those of format 1.0 do not
  bool encrypted = false;
  bool contents_seen = true;           // false: it is encrypted and there was no key, so nothing was decoded
  std::uint64_t unread_losses = 0;     // then: losses that the recorder told of
  std::optional<DigestReport> digest;  // of a segment that was closed
  bool index_agrees = true;            // what the index lists is what a walk finds; false is damage
  std::uint64_t size_bytes = 0;
  std::uint64_t whole_bytes = 0;  // of records and chunks that are intact
  std::uint64_t lost_bytes = 0;   // the rest: size_bytes == whole_bytes + lost_bytes
  std::uint64_t chunks = 0;       // intact ones
  std::uint64_t damaged_chunks = 0;
  SessionSet sessions;             // with events in intact chunks; marks are of none
  std::uint64_t events = 0;        // in intact chunks
  std::uint64_t data_bytes = 0;    // what these events carry
  std::uint64_t gaps = 0;          // among them: holes in sessions that the recorder told of
  std::uint64_t gap_bytes = 0;     // that are missing in these holes
  std::uint64_t stored_bytes = 0;  // what intact chunks take in the file, heads included
  TimeNs first_time = 0;           // of intact chunks; both 0 when there is none
  TimeNs last_time = 0;
  std::vector<LossRecord> losses;  // written by the recorder: lost before it reached the file
  std::vector<Damage> damage;      // found by reading: lost since, or cut off by a crash

  // Nothing is missing: closed, whole, and the recorder lost nothing.
  [[nodiscard]] bool whole() const {
    return clean && index_agrees && damage.empty() && losses.empty() && unread_losses == 0 && gaps == 0;
  }
};

// Throws RecordingError when the file is no transcript, a newer one, cannot be read, or is encrypted with
// another key than `keys` (null: none) hold. `file` is borrowed.
[[nodiscard]] SegmentReport verify_segment(const ReadableFile& file, const std::string& name,
                                           const Keyring* keys = nullptr);

}  // namespace understudy
