// Small things that are known of any message. Any thread.
#pragma once

#include "formats/bytes.h"
#include "formats/wire/message_types.h"

namespace understudy::proxy {

inline ByteBuffer whole_message(char type, ByteView payload) {
  ByteBuffer message;
  message.push_back(static_cast<Byte>(type));
  append_be32(message, static_cast<std::uint32_t>(payload.size() + 4));
  append_bytes(message, payload);
  return message;
}

// An answer that comes when the server likes, whatever was asked.
inline bool is_aside(char type) {
  return type == wire::backend::kNoticeResponse || type == wire::backend::kNotificationResponse ||
         type == wire::backend::kParameterStatus;
}

}  // namespace understudy::proxy
