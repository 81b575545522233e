#include "proxy/endpoint.h"

namespace understudy::proxy {

void Endpoint::attach(std::unique_ptr<Connection> connection) {
  close();
  connection_ = std::move(connection);
}

void Endpoint::close() {
  if (!connection_) return;
  set_interest(false, false);
  connection_.reset();
  backlog_ = {};
  sent_ = 0;
  finish_when_flushed_ = false;
}

std::unique_ptr<Connection> Endpoint::release() {
  set_interest(false, false);
  return std::move(connection_);
}

bool Endpoint::send(ByteView bytes) {
  if (!backlogged()) {
    const WriteResult result = connection_->write(bytes);
    if (result.status == IoStatus::kClosed || result.status == IoStatus::kError) return false;
    if (result.written == bytes.size()) return true;
    bytes = bytes.subspan(result.written);
    backlog_.clear();
    sent_ = 0;
  }
  append_bytes(backlog_, bytes);
  return true;
}

bool Endpoint::flush() {
  while (backlogged()) {
    const WriteResult result = connection_->write(ByteView(backlog_).subspan(sent_));
    if (result.status == IoStatus::kClosed || result.status == IoStatus::kError) {
      // Nobody will take it: kept, it would be waited for, on a descriptor that is always ready.
      backlog_ = {};
      sent_ = 0;
      return false;
    }
    if (result.written == 0) return true;
    sent_ += result.written;
  }
  backlog_ = {};  // idle sessions hold no buffers
  sent_ = 0;
  if (finish_when_flushed_) {
    finish_when_flushed_ = false;
    connection_->shutdown_write();
  }
  return true;
}

void Endpoint::finish_writing() {
  if (backlogged()) {
    finish_when_flushed_ = true;
  } else {
    connection_->shutdown_write();
  }
}

void Endpoint::set_interest(bool readable, bool writable) {
  if (readable && connection_) {
    writable = writable || connection_->read_wants_write();
    if (connection_->holds_bytes()) loop_.make_runnable(owner_);
  }
  const std::uint32_t wanted =
      (readable ? std::uint32_t{EPOLLIN} : 0U) | (writable ? std::uint32_t{EPOLLOUT} : 0U);
  if (wanted == interest_ || !connection_ || connection_->descriptor() < 0) return;
  if (wanted == 0) {
    loop_.unwatch(connection_->descriptor());
  } else if (interest_ == 0) {
    loop_.watch(connection_->descriptor(), wanted, owner_, slot_);
  } else {
    loop_.change(connection_->descriptor(), wanted, owner_, slot_);
  }
  interest_ = wanted;
}

}  // namespace understudy::proxy
