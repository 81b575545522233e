#include "recorder/import/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "formats/logs/csv_log.h"
#include "formats/logs/json_log.h"

namespace understudy::recorder {
namespace {

constexpr const char* kStandardInput = "-";
constexpr std::size_t kPieceBytes = std::size_t{256} << 10;
constexpr std::size_t kSurveyBytes = std::size_t{1} << 20;

int open_file(const std::string& name) {
  if (name == kStandardInput) return STDIN_FILENO;
  const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), name);
  return descriptor;
}

ssize_t read_piece(int descriptor, ByteBuffer& buffer) {
  ssize_t got = 0;
  do {
    got = ::read(descriptor, buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  return got;
}

// Pipes and their like give what they hold once: no looking ahead.
bool can_be_read_twice(const std::string& name) {
  if (name == kStandardInput) return false;
  struct stat status {};
  if (::stat(name.c_str(), &status) != 0) throw std::system_error(errno, std::generic_category(), name);
  return S_ISREG(status.st_mode);
}

// The beginning of a file, decompressed; what cannot be read is told when the file is read in earnest.
ByteBuffer beginning_of(const std::string& name, std::uint64_t& bytes) {
  const int descriptor = open_file(name);
  struct stat status {};
  if (::fstat(descriptor, &status) == 0) bytes = static_cast<std::uint64_t>(status.st_size);
  ByteBuffer plain;
  ByteBuffer piece(kPieceBytes);
  capture::Decompressor decompressor;
  const auto keep = [&plain](ByteView more) {
    append_bytes(plain, more.first(std::min(more.size(), kSurveyBytes - plain.size())));
    return plain.size() < kSurveyBytes;
  };
  bool more = true;
  while (more) {
    const ssize_t got = read_piece(descriptor, piece);
    more = got > 0 && decompressor.feed(ByteView(piece).first(static_cast<std::size_t>(got)), keep);
    if (got == 0) (void)decompressor.finish(keep);
  }
  ::close(descriptor);
  return plain;
}

class FirstTime final : public logs::LogHandler {
 public:
  std::optional<TimeNs> time;
  void record(const logs::LogRecord& record) override {
    if (!time) time = record.time;
  }
  void unreadable(std::uint64_t, std::string_view) override {}
};

std::unique_ptr<logs::LogParser> make_parser(logs::LogFormat format, logs::LogHandler& handler,
                                             const LogDialect& dialect) {
  if (format == logs::LogFormat::kCsv) return std::make_unique<logs::CsvLog>(handler);
  if (format == logs::LogFormat::kJson) return std::make_unique<logs::JsonLog>(handler);
  return std::make_unique<logs::StderrLog>(handler, dialect.prefix);
}

std::optional<TimeNs> first_time(ByteView beginning, logs::LogFormat format, const LogDialect& dialect) {
  FirstTime first;
  if (format == logs::LogFormat::kPgreplay) {
    logs::PgreplayFile items;
    (void)items.feed(beginning, [&first](const logs::PgreplayItem& item) {
      if (!first.time) first.time = item.time;
    });
    return first.time;
  }
  const auto parser = make_parser(format, first, dialect);
  parser->feed(beginning);
  parser->finish();
  return first.time;
}

}  // namespace

std::vector<LogFile> survey_logs(const std::vector<std::string>& names, const LogDialect& dialect) {
  std::vector<LogFile> files;
  bool all_surveyed = true;
  for (const std::string& name : names) {
    LogFile file{.name = name, .format = dialect.format, .first = {}, .bytes = 0};
    if (!can_be_read_twice(name)) {
      all_surveyed = false;
    } else {
      const ByteBuffer beginning = beginning_of(name, file.bytes);
      if (!file.format) file.format = logs::detect_format(beginning);
      file.first = first_time(beginning, *file.format, dialect);
    }
    files.push_back(std::move(file));
  }
  // An empty file has no place of its own.
  if (all_surveyed && std::all_of(files.begin(), files.end(),
                                  [](const LogFile& file) { return file.first || file.bytes == 0; })) {
    std::stable_sort(files.begin(), files.end(), [](const LogFile& a, const LogFile& b) {
      return a.first.value_or(0) < b.first.value_or(0);
    });
  }
  return files;
}

LogFileReader::LogFileReader(const LogFile& file, const LogDialect& dialect, std::string likely_prefix,
                             ImportSessions& sessions)
    : name_(file.name),
      dialect_(dialect),
      likely_prefix_(std::move(likely_prefix)),
      sessions_(sessions),
      descriptor_(open_file(file.name)),
      buffer_(kPieceBytes),
      format_(file.format) {
  (void)::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
  sessions_.begin_file(name_ == kStandardInput ? "standard input" : name_);
}

LogFileReader::~LogFileReader() {
  if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
}

bool LogFileReader::read() {
  const auto sink = [this](ByteView plain) {
    take(plain);
    return true;
  };
  const ssize_t got = read_piece(descriptor_, buffer_);
  if (got < 0) error_ = std::generic_category().message(errno);
  if (got > 0) {
    bytes_read_ += static_cast<std::uint64_t>(got);
    if (decompressor_.feed(ByteView(buffer_).first(static_cast<std::size_t>(got)), sink)) return true;
    error_ = decompressor_.error();
  } else if (got == 0 && !decompressor_.finish(sink)) {
    error_ = decompressor_.error();
  }
  end();
  return false;
}

void LogFileReader::take(ByteView plain) {
  if (parser_ || items_) return parse(plain);
  append_bytes(first_, plain);
  if (first_.size() >= logs::kDetectionBytes) begin();
}

void LogFileReader::begin() {
  if (!format_) format_ = logs::detect_format(first_);
  if (*format_ == logs::LogFormat::kPgreplay) {
    items_ = std::make_unique<logs::PgreplayFile>();
  } else if (*format_ == logs::LogFormat::kStderr) {
    auto parser = std::make_unique<logs::StderrLog>(sessions_, dialect_.prefix, likely_prefix_);
    stderr_ = parser.get();
    parser_ = std::move(parser);
  } else {
    parser_ = make_parser(*format_, sessions_, dialect_);
  }
  const ByteBuffer first = std::move(first_);
  first_ = {};
  parse(first);
}

void LogFileReader::parse(ByteView plain) {
  if (parser_) return parser_->feed(plain);
  (void)items_->feed(plain, [this](const logs::PgreplayItem& item) { sessions_.item(item); });
}

void LogFileReader::end() {
  if (!parser_ && !items_) begin();
  if (parser_) return parser_->finish();
  (void)items_->finish([this](const logs::PgreplayItem& item) { sessions_.item(item); });
  if (!items_->error().empty() && error_.empty())
    error_ = items_->error() + " at byte " + std::to_string(items_->offset());
}

}  // namespace understudy::recorder
