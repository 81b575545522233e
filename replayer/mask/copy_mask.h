// Masks COPY data, message by message. Text format: field by field, a field that is cut by a message's end is
// hidden. CSV: lines without quotes as text, others hidden. The binary format and other delimiters are hidden
// whole. Owned by the SessionMask; one thread at a time.
#pragma once

#include <span>

#include "replayer/mask/value_masker.h"

namespace understudy::replayer {

class CopyMask {
 public:
  // A copy begins, of so many columns. `shape`: of its statement; null: nothing can be told of it.
  void begin(const ResultShape* shape, bool binary, std::size_t columns, bool from_client);
  void data(ValueMasker& masker, std::span<Byte> bytes);

 private:
  void field(ValueMasker& masker, std::span<Byte> bytes, bool whole);
  void header_field(ValueMasker& masker, std::span<Byte> bytes, const masking::Rule* rule) const;
  void mask_escaped(ValueMasker& masker, std::span<Byte> bytes, const masking::Rule& rule);

  bool judged_ = false;
  ResultShape shape_;
  std::size_t column_ = 0;
  bool inside_field_ = false;  // its beginning was in the message before
  bool escaped_ = false;       // the message before ended with a backslash
  bool header_ = false;        // the line at hand names columns
  bool names_hold_ = false;    // and surely: the server wrote it, or compares it
};

}  // namespace understudy::replayer
