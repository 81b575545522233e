#include "formats/logs/json_log.h"

#include "formats/logs/log_time.h"

namespace understudy::logs {
namespace {

// Reads one flat object. Strict, but for the encoding of its strings: a server writes what it was sent.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }
  [[nodiscard]] bool take(char letter) {
    blanks();
    if (at_ == text_.size() || text_[at_] != letter) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] bool at_end() {
    blanks();
    return at_ == text_.size();
  }
  [[nodiscard]] bool string(std::string& out) {
    out.clear();
    if (!take('"')) return false;
    while (true) {
      const std::size_t stop = text_.find_first_of("\"\\", at_);
      if (stop == std::string_view::npos) return false;
      out += text_.substr(at_, stop - at_);
      at_ = stop + 1;
      if (text_[stop] == '"') return true;
      if (!escape(out)) return false;
    }
  }
  // A string, a number, true, false or null (then empty).
  [[nodiscard]] bool value(std::string& out) {
    blanks();
    if (at_ < text_.size() && text_[at_] == '"') return string(out);
    const std::size_t end = text_.find_first_of(",} \t\r", at_);
    if (end == std::string_view::npos || end == at_) return false;
    out = text_.substr(at_, end - at_);
    if (out.find_first_of("{[\"") != std::string::npos) return false;
    if (out == "null") out.clear();
    at_ = end;
    return true;
  }

 private:
  [[nodiscard]] int hex4() {
    if (text_.size() - at_ < 4) return -1;
    int value = 0;
    for (int n = 0; n < 4; ++n) {
      const char letter = text_[at_++];
      const int digit = letter >= '0' && letter <= '9'   ? letter - '0'
                        : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                        : letter >= 'A' && letter <= 'F' ? letter - 'A' + 10
                                                         : -1;
      if (digit < 0) return -1;
      value = value * 16 + digit;
    }
    return value;
  }
  static void append_utf8(std::string& out, unsigned code) {
    const auto tail = [&out](unsigned bits) { out += static_cast<char>(0x80 | (bits & 0x3F)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | (code >> 6));
      tail(code);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | (code >> 12));
      tail(code >> 6);
      tail(code);
    } else {
      out += static_cast<char>(0xF0 | (code >> 18));
      tail(code >> 12);
      tail(code >> 6);
      tail(code);
    }
  }
  [[nodiscard]] bool unicode(std::string& out) {
    const int first = hex4();
    if (first < 0) return false;
    unsigned code = static_cast<unsigned>(first);
    if (code >= 0xD800 && code < 0xDC00) {
      if (text_.size() - at_ < 6 || text_[at_] != '\\' || text_[at_ + 1] != 'u') return false;
      at_ += 2;
      const int second = hex4();
      if (second < 0xDC00 || second > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (static_cast<unsigned>(second) - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      return false;
    }
    append_utf8(out, code);
    return true;
  }
  [[nodiscard]] bool escape(std::string& out) {
    if (at_ == text_.size()) return false;
    switch (const char letter = text_[at_++]) {
      case 'n':
        out += '\n';
        return true;
      case 't':
        out += '\t';
        return true;
      case 'r':
        out += '\r';
        return true;
      case 'b':
        out += '\b';
        return true;
      case 'f':
        out += '\f';
        return true;
      case 'u':
        return unicode(out);
      case '"':
      case '\\':
      case '/':
        out += letter;
        return true;
      default:
        return false;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

struct Member {
  std::string_view key;
  std::string LogRecord::*field;
};
// PostgreSQL documentation, "Using JSON-Format Log Output".
constexpr Member kMembers[] = {{"user", &LogRecord::user},
                               {"dbname", &LogRecord::database},
                               {"pid", &LogRecord::process},
                               {"remote_host", &LogRecord::client},
                               {"session_id", &LogRecord::session},
                               {"error_severity", &LogRecord::severity},
                               {"state_code", &LogRecord::sqlstate},
                               {"message", &LogRecord::message},
                               {"detail", &LogRecord::detail},
                               {"hint", &LogRecord::hint},
                               {"context", &LogRecord::context},
                               {"statement", &LogRecord::statement},
                               {"internal_query", &LogRecord::query},
                               {"application_name", &LogRecord::application},
                               {"backend_type", &LogRecord::backend_type}};

}  // namespace

void JsonLog::feed(ByteView piece) {
  lines_.feed(piece, [this](const LineSplitter::Line& each) { line(each); });
}

void JsonLog::finish() {
  lines_.finish([this](const LineSplitter::Line& each) { line(each); });
}

void JsonLog::line(const LineSplitter::Line& line) {
  record_.clear();
  record_.line = line.number;
  if (line.cut) return handler_.unreadable(line.number, "a record of more than 64 MiB");
  if (!take(line.text)) return handler_.unreadable(line.number, "not a record of a server's json log");
  handler_.record(record_);
}

bool JsonLog::take(std::string_view object) {
  Reader reader(object);
  port_.clear();
  if (!reader.take('{')) return false;
  do {
    if (!reader.string(key_) || !reader.take(':') || !reader.value(value_)) return false;
    if (!take_member(key_, value_)) return false;
  } while (reader.take(','));
  if (!reader.take('}') || !reader.at_end()) return false;
  if (!port_.empty() && !record_.client.empty()) record_.client += ":" + port_;
  return record_.time != 0 && !record_.severity.empty();
}

bool JsonLog::take_member(const std::string& key, std::string& value) {
  if (key == "timestamp") {
    const auto time = read_log_time(value);
    if (!time) return false;
    record_.time = time->time;
    record_.zone_known = time->zone_known;
  } else if (key == "session_start") {
    if (const auto start = read_log_time(value)) record_.session_start = start->time;
  } else if (key == "remote_port") {
    port_ = value;
  } else {
    for (const Member& member : kMembers) {
      if (member.key == key) (record_.*member.field).swap(value);
    }
  }
  return true;
}

}  // namespace understudy::logs
