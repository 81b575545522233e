// COPY data as it is put into a script: lines up to "\.". Data that brings an end mark of its own, as old
// clients send it, loses it. A value; one thread at a time.
#pragma once

#include <string>

#include "formats/bytes.h"

namespace understudy::replayer {

class CopyLines {
 public:
  // Appends to `out` what of the data belongs into the script; the last bytes of a line may be held back.
  void feed(ByteView data, std::string& out);
  // The rest, so that an end mark can follow on a line of its own.
  void finish(std::string& out);

  // Why this data cannot be in a script; empty when it can.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  bool line_start_ = true;
  bool ended_ = false;  // an end mark has passed
  std::string held_;    // of a line that may be an end mark
  std::string trouble_;
};

}  // namespace understudy::replayer
