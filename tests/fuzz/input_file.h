// A fuzzer's input as a file to read. Borrowed.
#pragma once

#include <algorithm>

#include "formats/transcript/file.h"

namespace understudy {

class InputFile final : public ReadableFile {
 public:
  explicit InputFile(const ByteBuffer& contents) : contents_(contents) {}
  std::error_code read(std::uint64_t offset, std::size_t length, ByteBuffer& out) const override {
    const std::size_t begin = std::min<std::size_t>(offset, contents_.size());
    const std::size_t end = begin + std::min(length, contents_.size() - begin);
    out.assign(contents_.begin() + static_cast<std::ptrdiff_t>(begin),
               contents_.begin() + static_cast<std::ptrdiff_t>(end));
    return {};
  }
  std::uint64_t size() const override { return contents_.size(); }

 private:
  const ByteBuffer& contents_;
};

}  // namespace understudy
