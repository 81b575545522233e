// An HTTP/1 reply to a question that asked for the connection's end after it: what has arrived so far, and
// whether it is whole (RFC 9112, "Message Body Length"). Pure: bytes in, a value out.
//
//     HTTP/1.0 200 OK\r\n name: value\r\n ... \r\n\r\n body, as long as Content-Length says, else up to the
//     end
#pragma once

#include <string>
#include <string_view>

namespace understudy::proxy {

struct HttpReply {
  enum class Progress { kGoesOn, kWhole, kMalformed };

  int status = 0;
  std::string body;
  std::string wrong;  // kMalformed: why

  // `received`: all bytes so far; `ended`: no more will come. A body longer than `most` is malformed.
  [[nodiscard]] static Progress read(std::string_view received, bool ended, std::size_t most,
                                     HttpReply& reply);
};

// So many bytes of header are read, and no more.
inline constexpr std::size_t kMostHttpHeaderBytes = std::size_t{16} << 10;

}  // namespace understudy::proxy
