// Capture files on disk or on standard input, as packets: opened, read, decompressed, parsed. Used by the
// main thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "formats/capture/capture_file.h"
#include "formats/capture/decompressor.h"
#include "recorder/capture/capture_report.h"

namespace understudy::recorder {

// Rotated files in the order in which they were written, by their first packets. As given where one is
// standard input ("-") or has no first packet. Throws std::system_error naming a file that cannot be opened.
[[nodiscard]] std::vector<std::string> in_order_of_capture(std::vector<std::string> files);

class CaptureFileReader {
 public:
  // Throws std::system_error naming the file.
  explicit CaptureFileReader(std::string name, capture::SecretsHandler on_secrets = {});
  ~CaptureFileReader();
  CaptureFileReader(const CaptureFileReader&) = delete;
  CaptureFileReader& operator=(const CaptureFileReader&) = delete;

  // Hands out the packets of the next piece of the file. False when there are no more.
  bool read(const capture::PacketHandler& on_packet);
  // Why it could not be read to its end; null when it could.
  [[nodiscard]] const UnreadFile* unread() const { return unread_.error.empty() ? nullptr : &unread_; }
  [[nodiscard]] std::uint64_t packets() const { return parser_.packets(); }
  [[nodiscard]] capture::CaptureDrops drops() const { return parser_.drops(); }

 private:
  bool end(const std::string& error, std::uint64_t offset, std::uint64_t bytes_left);

  std::string name_;
  int descriptor_;
  ByteBuffer buffer_;
  std::uint64_t raw_bytes_ = 0;
  std::unique_ptr<capture::Decompressor> decompressor_;
  capture::CaptureFileParser parser_;
  UnreadFile unread_;
};

}  // namespace understudy::recorder
