// The repeated parts of messages (columns, parameters, format codes, error fields) as views into the payload:
// checked once when the message is decoded, then walked without copying. A view lives as long as the payload.
#pragma once

#include <iterator>

#include "formats/bytes.h"

namespace understudy::wire {

// A parameter or a column: Int32 length (-1 for NULL) and that many bytes.
struct Value {
  ByteView bytes;
  bool is_null = false;
  [[nodiscard]] static Value null() { return {{}, true}; }
  [[nodiscard]] std::string_view text() const { return as_text(bytes); }
};

// A column of a RowDescription.
struct FieldDescription {
  std::string_view name;
  std::uint32_t table_oid = 0;
  std::int16_t table_column = 0;
  std::uint32_t type_oid = 0;
  std::int16_t type_size = 0;
  std::int32_t type_modifier = 0;
  std::int16_t format = 0;
  bool operator==(const FieldDescription&) const = default;
};

// A field of an ErrorResponse or NoticeResponse ("Error and Notice Message Fields").
struct ErrorField {
  char code = 0;
  std::string_view text;
  bool operator==(const ErrorField&) const = default;
};

inline void read_item(ByteReader& in, Value& out) {
  const std::uint32_t length = in.be32();
  out.is_null = length == 0xFFFFFFFF;
  // Lengths below -1 are refused by asking for what cannot be there.
  out.bytes = out.is_null ? ByteView() : in.bytes(length > 0x7FFFFFFF ? SIZE_MAX : length);
}
inline void read_item(ByteReader& in, FieldDescription& out) {
  out.name = in.c_string();
  out.table_oid = in.be32();
  out.table_column = static_cast<std::int16_t>(in.be16());
  out.type_oid = in.be32();
  out.type_size = static_cast<std::int16_t>(in.be16());
  out.type_modifier = static_cast<std::int32_t>(in.be32());
  out.format = static_cast<std::int16_t>(in.be16());
}
inline void read_item(ByteReader& in, ErrorField& out) {
  out.code = static_cast<char>(in.u8());
  out.text = in.c_string();
}
inline void read_item(ByteReader& in, std::string_view& out) { out = in.c_string(); }

// Items of differing sizes, one after the other; walk it with a range-for.
template <typename Item>
class ListView {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Item;
    using difference_type = std::ptrdiff_t;
    using pointer = const Item*;
    using reference = const Item&;

    Iterator(ByteView bytes, std::size_t count) : in_(bytes), left_(count) { load(); }
    reference operator*() const { return item_; }
    pointer operator->() const { return &item_; }
    Iterator& operator++() {
      --left_;
      load();
      return *this;
    }
    bool operator==(const Iterator& other) const { return left_ == other.left_; }

   private:
    void load() {
      if (left_ > 0) read_item(in_, item_);
    }
    ByteReader in_;
    std::size_t left_;
    Item item_{};
  };

  ListView() = default;
  // `bytes` hold exactly `count` whole items: read_list() saw to it.
  ListView(ByteView bytes, std::size_t count) : bytes_(bytes), count_(count) {}
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] Iterator begin() const { return {bytes_, count_}; }
  [[nodiscard]] Iterator end() const { return {{}, 0}; }
  // The items as they were sent.
  [[nodiscard]] ByteView encoded() const { return bytes_; }

 private:
  ByteView bytes_;
  std::size_t count_ = 0;
};

// Reads `count` items of `payload`, which `in` walks. A count that lies fails the reader; nothing is taken on
// its word.
template <typename Item>
ListView<Item> read_list(ByteReader& in, ByteView payload, std::size_t count) {
  const std::size_t start = in.offset();
  Item item;
  for (std::size_t i = 0; i < count && !in.failed(); ++i) read_item(in, item);
  if (in.failed()) return {};
  return {payload.subspan(start, in.offset() - start), count};
}

using ValueList = ListView<Value>;

// Integers of one size: format codes (Int16) and type OIDs (Int32).
template <typename Integer>
class IntegerList {
 public:
  IntegerList() = default;
  explicit IntegerList(ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const { return bytes_.size() / sizeof(Integer); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  // Only for index < size().
  [[nodiscard]] Integer operator[](std::size_t index) const {
    const Byte* at = bytes_.data() + index * sizeof(Integer);
    if constexpr (sizeof(Integer) == 2)
      return static_cast<Integer>(load_be16(at));
    else
      return static_cast<Integer>(load_be32(at));
  }

 private:
  ByteView bytes_;
};

using OidList = IntegerList<std::uint32_t>;

class FormatCodes : public IntegerList<std::int16_t> {
 public:
  using IntegerList::IntegerList;
  // The format of a parameter or result column: no codes mean text for all, one code is for all ("Bind").
  // Text as well for an index the message names no format for: the server answers such a Bind with an error.
  [[nodiscard]] std::int16_t of(std::size_t index) const {
    if (size() == 1) return (*this)[0];
    return index < size() ? (*this)[index] : std::int16_t{0};
  }
};

// Int16 count, then that many integers. Counts are unsigned: a Bind may carry 65,535 parameters.
inline FormatCodes read_format_codes(ByteReader& in) {
  const std::size_t count = in.be16();
  return FormatCodes(in.bytes(count * 2));
}
inline OidList read_oids(ByteReader& in) {
  const std::size_t count = in.be16();
  return OidList(in.bytes(count * 4));
}

}  // namespace understudy::wire
