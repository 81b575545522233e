// A stream that may be compressed, as plain bytes: gzip (also several members one after the other) and zstd
// (also several frames), told by their first bytes; anything else passes as it is. In pieces of any size, so
// that a file of any length takes the memory of one window. One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "formats/bytes.h"

namespace understudy::capture {

class Decompressor {
 public:
  // Called with each piece of plain bytes; false stops.
  using Sink = std::function<bool(ByteView)>;

  Decompressor();
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // False when the sink said so, or the stream is damaged: error() tells them apart.
  bool feed(ByteView piece, const Sink& sink);
  // No more bytes come. False when the stream ended in the middle.
  bool finish(const Sink& sink);
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  enum class Kind : std::uint8_t { kUndecided, kPlain, kGzip, kZstd };
  struct Gzip;
  struct Zstd;
  void decide();
  bool pass(ByteView piece, const Sink& sink);
  bool feed_gzip(ByteView piece, const Sink& sink);
  bool feed_zstd(ByteView piece, const Sink& sink);
  bool refuse(std::string why);

  Kind kind_ = Kind::kUndecided;
  ByteBuffer first_;  // until there are enough to decide
  ByteBuffer plain_;  // where the next piece is written
  bool inside_ = false;
  std::unique_ptr<Gzip> gzip_;
  std::unique_ptr<Zstd> zstd_;
  std::string error_;
};

}  // namespace understudy::capture
