#include "formats/logs/pgreplay_file.h"

#include <algorithm>

namespace understudy::logs {
namespace {

using Kind = PgreplayItem::Kind;

constexpr std::uint32_t kNull = 0x80000000U;
constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kYear2000 = TimeNs{946'684'800} * kSecond;

// None of NULL; a failed reader tells the rest.
std::optional<std::string> text(ByteReader& in) {
  const std::uint32_t length = in.be32();
  if (length == kNull) return std::nullopt;
  return std::string(as_text(in.bytes(length)));
}

std::uint64_t be64(ByteReader& in) {
  const std::uint64_t high = in.be32();
  return high << 32 | in.be32();
}

}  // namespace

PgreplayFile::Found PgreplayFile::read_item(ByteView bytes, PgreplayItem& item, std::size_t& length) {
  ByteReader in(bytes);
  item = {};
  const std::uint32_t seconds = in.be32();
  const std::uint32_t microseconds = in.be32();
  item.session = be64(in);
  const std::uint8_t kind = in.u8();
  if (in.failed()) return Found::kNeedMore;
  if (kind > static_cast<std::uint8_t>(Kind::kCancel) || microseconds >= 1'000'000) return Found::kBad;
  item.kind = static_cast<Kind>(kind);
  item.time = kYear2000 + TimeNs{seconds} * kSecond + TimeNs{microseconds} * 1000;
  if (item.kind == Kind::kExecute) {
    item.name = text(in).value_or("");
    const std::uint16_t values = in.be16();
    for (std::uint16_t n = 0; n < values && !in.failed(); ++n) item.parameters.push_back(text(in));
  } else if (item.kind == Kind::kConnect || item.kind == Kind::kPrepare) {
    item.text = text(in).value_or("");
    item.name = text(in).value_or("");
  } else if (item.kind == Kind::kSimple) {
    item.text = text(in).value_or("");
  }
  const std::uint8_t end = in.u8();
  if (in.failed()) return Found::kNeedMore;
  if (end != '\n') return Found::kBad;
  length = in.offset();
  return Found::kItem;
}

bool PgreplayFile::begins_file(ByteView bytes) {
  PgreplayItem item;
  std::size_t length = 0;
  constexpr std::size_t kHead = 17;
  constexpr std::uint32_t kLongName = 10'000;
  if (bytes.size() < kHead + 4) return false;
  switch (read_item(bytes, item, length)) {
    case Found::kItem:
      return true;
    case Found::kBad:
      return false;
    case Found::kNeedMore:
      break;
  }
  // The first item is a connection in all but a damaged file; text would have a length of many millions.
  return bytes[kHead - 1] == 0 && load_be32(bytes.data() + kHead) < kLongName;
}

bool PgreplayFile::feed(ByteView piece, const Take& take) {
  if (!error_.empty()) return false;
  if (at_ > 0 && at_ * 2 >= buffer_.size()) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ = 0;
  }
  append_bytes(buffer_, piece);
  return parse(false, take);
}

bool PgreplayFile::finish(const Take& take) { return error_.empty() && parse(true, take); }

bool PgreplayFile::parse(bool last, const Take& take) {
  PgreplayItem item;
  while (at_ < buffer_.size()) {
    const ByteView left = ByteView(buffer_).subspan(at_);
    if (!last && left.size() < enough_) return true;
    std::size_t length = 0;
    Found found = read_item(left, item, length);
    if (found == Found::kItem && length > max_record_bytes_) return refuse("a record of more than 64 MiB");
    if (found == Found::kNeedMore) {
      if (left.size() > max_record_bytes_) return refuse("a record of more than 64 MiB");
      if (last) return refuse("the file ends in the middle of a record");
      enough_ = std::min(left.size() * 2, max_record_bytes_ + 1);
      return true;
    }
    enough_ = 0;
    if (found == Found::kBad) return refuse("no record of a pgreplay file");
    item.offset = offset_;
    at_ += length;
    offset_ += length;
    take(item);
  }
  return true;
}

bool PgreplayFile::refuse(std::string why) {
  error_ = std::move(why);
  buffer_.clear();
  at_ = 0;
  return false;
}

}  // namespace understudy::logs
