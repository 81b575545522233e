// The secrets of TLS sessions as their peers log them: lines "LABEL CLIENT_RANDOM SECRET" in hexadecimal (the
// format of SSLKEYLOGFILE; draft-ietf-tls-keylogfile). From a file that may still grow, or from a capture
// file's secrets blocks. Kept in memory, never written or logged. One thread at a time.
#pragma once

#include <map>
#include <string>

#include "formats/bytes.h"

namespace understudy::recorder {

class TlsKeyLog {
 public:
  TlsKeyLog() = default;
  // Opens the file and reads what is there. Throws std::system_error naming it.
  explicit TlsKeyLog(const std::string& file);
  ~TlsKeyLog();
  TlsKeyLog(const TlsKeyLog&) = delete;
  TlsKeyLog& operator=(const TlsKeyLog&) = delete;

  // Takes lines; what is none is passed over.
  void add(std::string_view text);
  // Null when there is none, also after another look at the file. Valid until the next call of add or find.
  [[nodiscard]] const ByteBuffer* find(std::string_view label, ByteView client_random);
  [[nodiscard]] bool has_secrets() const { return !secrets_.empty(); }
  // Whether any secret may be found.
  [[nodiscard]] bool in_use() const { return descriptor_ >= 0 || !secrets_.empty(); }

 private:
  static constexpr std::size_t kMostSecrets = 1'000'000;

  void read_more();
  void take_line(std::string_view line);

  int descriptor_ = -1;
  std::string unfinished_;  // the last line of the file, while it has no end
  std::map<std::pair<std::string, std::string>, ByteBuffer, std::less<>> secrets_;
};

}  // namespace understudy::recorder
