// A recorded client on stage again: speaks to a ClientSession as a socket would, logs itself in, sends what
// the recorded client sent, and knows how far the live server has come. When to send is the Replay's to say.
//
// Owned by Replay; everything runs on the worker's thread.
#pragma once

#include <optional>
#include <string>

#include "proxy/authentication.h"
#include "proxy/client_session.h"
#include "proxy/in_process_client.h"
#include "replayer/recorded_session.h"

namespace understudy::replayer {

class TranscriptClient;

// Told of what happens on stage.
class Audience {
 public:
  virtual ~Audience() = default;
  // The server answered something, or the client may send more.
  virtual void progressed(TranscriptClient& client) = 0;
  // The session is over. The client must not be deleted before the present turn ends.
  virtual void ended(TranscriptClient& client) = 0;
};

class TranscriptClient final : public proxy::InProcessClient {
 public:
  TranscriptClient(Audience& audience, RecordedSession recorded, std::string user, std::string database,
                   std::string password);

  // The session's end of the stream, to be adopted by a worker.
  [[nodiscard]] std::unique_ptr<proxy::Connection> connect();
  // Sends the start-up message. `session` is what the worker made of the connection.
  void start(proxy::ClientSession& session);

  [[nodiscard]] RecordedSession& recorded() { return recorded_; }
  [[nodiscard]] bool ended() const { return connection_ == nullptr; }
  [[nodiscard]] bool logged_in() const { return progress_.ready_count() > 0; }
  // Nothing is outstanding at the live server.
  [[nodiscard]] bool quiescent() const;
  // The live server has come as far as the recorded one had after the events consumed so far. Where both have
  // answered everything, the two are aligned anew, so that a diverged exchange does not shift those after it.
  [[nodiscard]] bool caught_up();
  // What was sent waits for the server to take it.
  [[nodiscard]] bool congested() const { return connection_->pending_bytes() > kMaxPendingBytes; }

  void send(ByteView bytes);
  void cancel() { session_->request_cancel(); }
  // End of file, as a client that just leaves.
  void hang_up();
  // Where the recorded session is done with an exchange the live one is not: ends a COPY that gets no more
  // data, and a failed pipeline that gets no Sync. True when something was sent.
  bool unstick();

  [[nodiscard]] char transaction_status() const { return progress_.transaction_status(); }
  [[nodiscard]] std::uint64_t ready_count() const { return progress_.ready_count(); }
  [[nodiscard]] std::uint32_t process_id() const { return process_id_; }
  // SQLSTATE and message of an error during the login; empty when there was none.
  [[nodiscard]] const std::string& login_error() const { return login_error_; }

  void on_bytes(ByteView bytes) override;
  void on_drained() override { audience_.progressed(*this); }
  void on_closed(const std::string& error) override;

  // Bookkeeping of the Replay, kept here so that it needs no second table.
  struct Schedule {
    bool ahead = false;            // let through to the end of its transaction
    std::uint64_t ahead_from = 0;  // ready_count when that began
    bool hung_up = false;
    bool answered = false;   // the last reply taken ended an exchange
    bool timer_set = false;  // a paced send waits for its time
  };
  Schedule schedule;

  static constexpr std::size_t kMaxPendingBytes = std::size_t{1} << 20;

 private:
  void log_in(ByteView bytes);
  void login_message(char type, ByteView payload);

  Audience& audience_;
  RecordedSession recorded_;
  std::string user_;
  std::string database_;
  proxy::ClientAuthenticator authenticator_;
  proxy::InProcessConnection* connection_ = nullptr;  // owned by the session
  proxy::ClientSession* session_ = nullptr;
  wire::ServerProgress progress_;
  std::int64_t ready_ahead_ =
      0;  // ReadyForQuery messages the live server is ahead by since the last alignment
  std::uint32_t process_id_ = 0;
  std::string login_error_;
  ByteBuffer login_bytes_;
};

}  // namespace understudy::replayer
