#include "proxy/exchange_digest.h"

#include <algorithm>

#include "formats/crc32c.h"
#include "formats/wire/backend_messages.h"
#include "formats/wire/message_types.h"

namespace understudy::proxy {

namespace backend = wire::backend;

namespace {

constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kMostOfError = 4096;
constexpr std::size_t kMostOfTags = 4096;

bool is_row(char type) { return type == backend::kDataRow || type == backend::kCopyData; }

// Sums of checksums that differ in few bits should not meet.
std::uint64_t spread(std::uint32_t checksum) {
  std::uint64_t value = checksum + 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31U);
}

}  // namespace

struct ExchangeDigester::Handler {
  ExchangeDigester& digester;

  std::size_t begin(char type) {
    digester.type_ = type;
    digester.checksum_ = 0;
    return type == backend::kErrorResponse || type == backend::kCommandComplete ? kMostOfError : 0;
  }
  void part(ByteView raw) {
    if (is_row(digester.type_)) digester.checksum_ = crc32c(raw, digester.checksum_);
  }
  void end(char type, ByteView payload, bool /*whole*/) {
    ExchangeDigest& digest = digester.digest_;
    if (is_row(type)) {
      ++digest.rows;
      digest.sum += spread(digester.checksum_);
    } else if (type == backend::kCommandComplete && digest.tags.size() < kMostOfTags) {
      (digest.tags += as_text(payload.first(payload.empty() ? 0 : payload.size() - 1))) += ';';
    } else if (type == backend::kErrorResponse && digest.sqlstate.empty()) {
      const auto error = wire::ErrorResponse::decode(payload);
      digest.sqlstate = error ? std::string(error->sqlstate()) : "XX000";
    } else if (type == backend::kReadyForQuery && digester.due_ > 0) {
      --digester.due_;
    }
  }
};

void ExchangeDigester::pass(ByteView bytes) {
  Handler handler{*this};
  walker_.feed(bytes, handler);
}

std::size_t ExchangeDigester::feed(ByteView bytes) {
  Handler handler{*this};
  std::size_t at = 0;
  while (at < bytes.size() && due_ > 0) {
    const std::size_t here = bytes.size() - at;
    std::size_t piece = 1;  // of a header that comes in parts
    if (walker_.left() > 0) {
      piece = walker_.left();
    } else if (walker_.at_boundary() && here >= kHeaderBytes) {
      piece = std::size_t{load_be32(bytes.data() + at + 1)} + 1;
    }
    piece = std::min(std::max<std::size_t>(piece, 1), here);
    walker_.feed(bytes.subspan(at, piece), handler);
    at += piece;
  }
  return at;
}

}  // namespace understudy::proxy
