#include "formats/capture/decompressor.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <new>

namespace understudy::capture {
namespace {

constexpr std::size_t kPlainBytes = std::size_t{256} << 10;
constexpr std::size_t kMagicBytes = 4;

}  // namespace

struct Decompressor::Gzip {
  Gzip() {
    if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::bad_alloc();  // 15: any window; 16: gzip only
  }
  ~Gzip() { inflateEnd(&stream); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;
  z_stream stream{};
};

struct Decompressor::Zstd {
  Zstd() : stream(ZSTD_createDStream()) {
    if (stream == nullptr) throw std::bad_alloc();
  }
  ~Zstd() { ZSTD_freeDStream(stream); }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;
  ZSTD_DStream* stream;
};

Decompressor::Decompressor() = default;
Decompressor::~Decompressor() = default;

bool Decompressor::refuse(std::string why) {
  error_ = std::move(why);
  return false;
}

void Decompressor::decide() {
  const std::uint32_t magic = first_.size() < kMagicBytes ? 0 : load_le32(first_.data());
  const bool skippable = (magic & 0xFFFFFFF0U) == ZSTD_MAGIC_SKIPPABLE_START;
  if (magic == ZSTD_MAGICNUMBER || skippable) {
    kind_ = Kind::kZstd;
    zstd_ = std::make_unique<Zstd>();
  } else if ((magic & 0xFFFFU) == 0x8B1F) {
    kind_ = Kind::kGzip;
    gzip_ = std::make_unique<Gzip>();
  } else {
    kind_ = Kind::kPlain;
  }
  if (kind_ != Kind::kPlain) plain_.resize(kPlainBytes);
}

bool Decompressor::feed(ByteView piece, const Sink& sink) {
  if (!error_.empty()) return false;
  if (kind_ != Kind::kUndecided) return pass(piece, sink);
  append_bytes(first_, piece);
  if (first_.size() < kMagicBytes) return true;
  decide();
  const ByteBuffer first = std::move(first_);
  return pass(first, sink);
}

bool Decompressor::finish(const Sink& sink) {
  if (!error_.empty()) return false;
  if (kind_ == Kind::kUndecided) {
    decide();
    const ByteBuffer first = std::move(first_);
    if (!first.empty() && !pass(first, sink)) return false;
  }
  return !inside_ || refuse("the compressed stream ends in the middle");
}

bool Decompressor::pass(ByteView piece, const Sink& sink) {
  if (piece.empty()) return true;
  if (kind_ == Kind::kGzip) return feed_gzip(piece, sink);
  if (kind_ == Kind::kZstd) return feed_zstd(piece, sink);
  return sink(piece);
}

bool Decompressor::feed_gzip(ByteView piece, const Sink& sink) {
  z_stream& stream = gzip_->stream;
  stream.next_in = const_cast<Byte*>(piece.data());  // zlib's old signature; it only reads
  stream.avail_in = static_cast<uInt>(piece.size());
  while (true) {
    if (!inside_) {
      // Between members; behind the last one tape drives and the like leave zeroes.
      while (stream.avail_in > 0 && *stream.next_in == 0) ++stream.next_in, --stream.avail_in;
      if (stream.avail_in == 0) return true;
      if (inflateReset(&stream) != Z_OK) return refuse("zlib refuses to go on");
      inside_ = true;
    }
    stream.next_out = plain_.data();
    stream.avail_out = static_cast<uInt>(plain_.size());
    const int result = inflate(&stream, Z_NO_FLUSH);
    // What came before the damage is handed on.
    const std::size_t made = plain_.size() - stream.avail_out;
    if (made > 0 && !sink(ByteView(plain_).first(made))) return false;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return refuse(std::string("damaged gzip data: ") +
                    (stream.msg == nullptr ? "no reason given" : stream.msg));
    }
    inside_ = result != Z_STREAM_END;
    if (inside_ && stream.avail_in == 0 && stream.avail_out > 0) return true;
  }
}

bool Decompressor::feed_zstd(ByteView piece, const Sink& sink) {
  ZSTD_inBuffer in{piece.data(), piece.size(), 0};
  while (true) {
    ZSTD_outBuffer out{plain_.data(), plain_.size(), 0};
    const std::size_t left = ZSTD_decompressStream(zstd_->stream, &out, &in);
    if (ZSTD_isError(left) != 0) return refuse(std::string("damaged zstd data: ") + ZSTD_getErrorName(left));
    inside_ = left != 0;
    if (out.pos > 0 && !sink(ByteView(plain_).first(out.pos))) return false;
    if (in.pos == in.size && out.pos < out.size) return true;
  }
}

}  // namespace understudy::capture
