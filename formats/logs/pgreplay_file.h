// What `pgreplay -f` writes: records of one item each, big-endian, of which the format was learned by looking
// at its files:
//
//     u32 seconds since 2000-01-01, u32 microseconds, u64 session, u8 kind, what belongs to the kind, "\n"
//     0 connect: user, database           3 prepare: statement, name
//     1 disconnect                        4 execute: name, u16 number of values, values
//     2 simple: statement                 5 cancel
//     text: u32 length, bytes; 0x80000000: NULL
//
// Times are the log's, without its zone; they are taken as UTC. One thread at a time.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "formats/logs/log_message.h"
#include "formats/logs/log_record.h"

namespace understudy::logs {

struct PgreplayItem {
  enum class Kind : std::uint8_t { kConnect, kDisconnect, kSimple, kPrepare, kExecute, kCancel };
  Kind kind = Kind::kConnect;
  TimeNs time = 0;
  std::uint64_t session = 0;
  std::string text;  // the user; the statement
  std::string name;  // the database; of the prepared statement
  std::vector<LogParameter> parameters;
  std::uint64_t offset = 0;  // in the file

  bool operator==(const PgreplayItem&) const = default;
};

class PgreplayFile {
 public:
  using Take = std::function<void(const PgreplayItem&)>;
  explicit PgreplayFile(std::size_t max_record_bytes = kMaxRecordBytes)
      : max_record_bytes_(max_record_bytes) {}

  // False when the file goes on with no such record: error() and offset() say what and where. There is no way
  // to find the next one then.
  bool feed(ByteView piece, const Take& take);
  bool finish(const Take& take);

  [[nodiscard]] const std::string& error() const { return error_; }
  // Of what was not read yet.
  [[nodiscard]] std::uint64_t offset() const { return offset_; }

  // Whether a file may begin so. Asks for one whole record, or as much of it as there is.
  [[nodiscard]] static bool begins_file(ByteView bytes);

 private:
  enum class Found : std::uint8_t { kItem, kNeedMore, kBad };
  [[nodiscard]] static Found read_item(ByteView bytes, PgreplayItem& item, std::size_t& length);
  bool parse(bool last, const Take& take);
  bool refuse(std::string why);

  const std::size_t max_record_bytes_;
  ByteBuffer buffer_;
  std::size_t at_ = 0;
  std::size_t enough_ = 0;  // bytes worth another attempt
  std::uint64_t offset_ = 0;
  std::string error_;
};

}  // namespace understudy::logs
