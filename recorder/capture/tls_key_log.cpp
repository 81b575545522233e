#include "recorder/capture/tls_key_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <system_error>

namespace understudy::recorder {
namespace {

constexpr std::size_t kRandomBytes = 32;
constexpr std::size_t kMostSecretBytes = 64;
constexpr std::size_t kMostLineBytes = 1024;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<ByteBuffer> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  ByteBuffer bytes;
  for (std::size_t at = 0; at < text.size(); at += 2) {
    const int high = digit(text[at]);
    const int low = digit(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<Byte>(high * 16 + low));
  }
  return bytes;
}

std::string_view next_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

}  // namespace

TlsKeyLog::TlsKeyLog(const std::string& file) : descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), file);
  read_more();
}

TlsKeyLog::~TlsKeyLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void TlsKeyLog::add(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    take_line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void TlsKeyLog::take_line(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.empty() || line.front() == '#' || secrets_.size() == kMostSecrets) return;
  const std::string_view label = next_word(line);
  const auto random = from_hex(next_word(line));
  const auto secret = from_hex(next_word(line));
  if (!random || !secret || random->size() != kRandomBytes || secret->empty() ||
      secret->size() > kMostSecretBytes) {
    return;
  }
  secrets_[{std::string(label), std::string(as_text(*random))}] = *secret;
}

// A line counts once it has its end: whoever writes it may be in the middle.
void TlsKeyLog::read_more() {
  char piece[16'384];
  ssize_t got = 0;
  while (descriptor_ >= 0 && (got = ::read(descriptor_, piece, sizeof piece)) > 0) {
    unfinished_.append(piece, static_cast<std::size_t>(got));
    const std::size_t end = unfinished_.rfind('\n');
    if (end != std::string::npos) {
      add(std::string_view(unfinished_).substr(0, end));
      unfinished_.erase(0, end + 1);
    }
    if (unfinished_.size() > kMostLineBytes) unfinished_.clear();
  }
}

const ByteBuffer* TlsKeyLog::find(std::string_view label, ByteView client_random) {
  const std::pair<std::string, std::string> key(label, as_text(client_random));
  auto found = secrets_.find(key);
  if (found == secrets_.end()) {
    read_more();
    found = secrets_.find(key);
  }
  return found == secrets_.end() ? nullptr : &found->second;
}

}  // namespace understudy::recorder
