// A client inside this process: what a transcript client in a replay is to a ClientSession. Its connection
// stands where a socket would, so everything behind it (routing, recording, limits) is the same code.
//
// Threads: everything here runs on the worker that owns the session (Worker::post brings work there).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/connection.h"

namespace understudy::proxy {

// Implemented by whoever plays the client.
class InProcessClient {
 public:
  virtual ~InProcessClient() = default;
  // The session wrote to its client. Valid during the call only. Sending from inside is allowed: it takes
  // effect after the session's present turn.
  virtual void on_bytes(ByteView bytes) = 0;
  // What was sent has been taken over by the session (back-pressure: send the next piece from here).
  virtual void on_drained() = 0;
  // The session closed the connection; the last call. `error` is empty for an orderly end.
  virtual void on_closed(const std::string& error) = 0;
};

// The session's end of the stream. Created by the client, handed to Worker::adopt; the client keeps a pointer
// to it until on_closed.
class InProcessConnection final : public Connection {
 public:
  // `client` must outlive the session. `peer` names the client in transcripts ("replay of 1.17").
  InProcessConnection(InProcessClient& client, std::string peer) : client_(client), peer_(std::move(peer)) {}
  ~InProcessConnection() override { client_.on_closed(error_); }

  // Client side. Bytes are copied; the session is made runnable.
  void send(ByteView bytes);
  // Client side: end-of-file after what was sent.
  void close();
  // Bytes sent that the session has not read yet.
  [[nodiscard]] std::size_t pending_bytes() const { return pending_.size() - read_offset_; }
  // Set once by the worker that adopts the connection: makes the session runnable.
  void on_readable(std::function<void()> wake) { wake_ = std::move(wake); }

  [[nodiscard]] ReadResult read(std::span<Byte> scratch) override;
  [[nodiscard]] WriteResult write(ByteView bytes) override;
  void shutdown_write() override {}
  [[nodiscard]] int descriptor() const override { return -1; }
  [[nodiscard]] const std::string& peer() const override { return peer_; }
  [[nodiscard]] std::string error_text() const override { return error_; }

 private:
  InProcessClient& client_;
  std::string peer_;
  std::string error_;
  std::function<void()> wake_;
  ByteBuffer pending_;
  std::size_t read_offset_ = 0;
  bool shown_ = false;   // pending_ was handed out by the last read and may be dropped at the next
  bool closed_ = false;  // the client sent end-of-file
};

}  // namespace understudy::proxy
