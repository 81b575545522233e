// A connection on an event loop, with the bytes that could not be written yet. Both sides of a session are
// one. Reading is switched off while the other side is backlogged, so back-pressure travels through the
// session and a side holds at most what one read returned.
//
// Owned by a session; used on its worker.
#pragma once

#include <memory>
#include <span>

#include "proxy/connection.h"
#include "proxy/event_loop.h"

namespace understudy::proxy {

class Endpoint {
 public:
  Endpoint(EventLoop& loop, Runnable& owner, Runnable::Slot slot) : loop_(loop), owner_(owner), slot_(slot) {}
  ~Endpoint() { close(); }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  void attach(std::unique_ptr<Connection> connection);
  void close();
  // Gives the connection up, unwatched.
  [[nodiscard]] std::unique_ptr<Connection> release();
  [[nodiscard]] bool attached() const { return connection_ != nullptr; }
  [[nodiscard]] bool in_process() const { return connection_ && connection_->descriptor() < 0; }
  [[nodiscard]] Connection& connection() { return *connection_; }
  [[nodiscard]] const Connection& connection() const { return *connection_; }

  // Whether a turn with these epoll events should read: the descriptor says so, or the connection does.
  [[nodiscard]] bool ready_to_read(std::uint32_t events) const {
    return (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 || (connection_ && connection_->holds_bytes()) ||
           ((events & EPOLLOUT) != 0 && connection_ && connection_->read_wants_write());
  }
  [[nodiscard]] ReadResult read(std::span<Byte> scratch) { return connection_->read(scratch); }
  // Writes now what can be, keeps the rest. False when the peer is gone.
  [[nodiscard]] bool send(ByteView bytes);
  // Keeps them for the next send() or flush(), to be written with what that brings.
  void hold(ByteView bytes) { append_bytes(backlog_, bytes); }
  // Writes what was kept. False when the peer is gone.
  [[nodiscard]] bool flush();
  [[nodiscard]] bool backlogged() const { return sent_ < backlog_.size(); }
  // End of file to the peer after everything sent so far.
  void finish_writing();

  // What the loop should watch for; applied when it differs from what it does. A descriptor nothing is wanted
  // of leaves the poll set, else a hang-up would be reported for ever. Bytes that the connection already
  // holds make the owner runnable: the descriptor will not speak of them.
  void set_interest(bool readable, bool writable);
  void want_read(bool wanted) { set_interest(wanted, backlogged()); }

 private:
  EventLoop& loop_;
  Runnable& owner_;
  Runnable::Slot slot_;
  std::unique_ptr<Connection> connection_;
  ByteBuffer backlog_;
  std::size_t sent_ = 0;  // of the backlog
  std::uint32_t interest_ = 0;
  bool finish_when_flushed_ = false;
};

}  // namespace understudy::proxy
