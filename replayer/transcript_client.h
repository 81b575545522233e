// A recorded client on stage again: speaks to a ClientSession as a socket would, logs itself in, sends what
// it is told to, and knows how far the live server has come. When to send is the Replay's to say.
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

// Who logs in, where the recorded client did.
struct Login {
  std::string user;
  std::string database;
  std::string password;  // empty when there is none
};

class TranscriptClient : public proxy::InProcessClient {
 public:
  // `continuing`: its recorded login came before the recording.
  TranscriptClient(Audience& audience, SessionDescriptor recorded, const Login& login, bool continuing);
  ~TranscriptClient() override;
  TranscriptClient(const TranscriptClient&) = delete;
  TranscriptClient& operator=(const TranscriptClient&) = delete;

  // The session's end of the stream, to be adopted by a worker.
  [[nodiscard]] std::unique_ptr<proxy::Connection> connect();
  // Sends the start-up message. `session` is what the worker made of the connection.
  void start(proxy::ClientSession& session);

  [[nodiscard]] const SessionDescriptor& recorded_as() const { return recorded_as_; }
  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] bool ended() const { return started_ && connection_ == nullptr; }
  [[nodiscard]] bool open() const { return connection_ != nullptr; }

  // The rest, unless it says otherwise, while open.
  [[nodiscard]] bool logged_in() const { return progress_.ready_count() > 0; }  // at any time
  // Nothing is outstanding at the live server.
  [[nodiscard]] bool quiescent() const;
  // The live server has come as far as the recorded one had. Where that one had answered everything, the two
  // are aligned anew, so that an exchange that went another way does not shift those after it.
  [[nodiscard]] bool reached(const Checkpoint& recorded);
  // In the answer that the recorded client left in the middle of, this one has been sent as much.
  [[nodiscard]] bool answered_as_much(const Checkpoint& recorded) const;
  // What was sent waits for the server to take it.
  [[nodiscard]] bool congested() const { return connection_->pending_bytes() > kMaxPendingBytes; }

  void send(ByteView bytes);
  // Sends a cancel request. Nothing may be sent before it has been taken: it could stop the wrong statement.
  void cancel();
  [[nodiscard]] bool cancelling() const { return cancels_under_way_ > 0; }
  // End of file, as a client that just leaves. The server answers yet what it was asked.
  void hang_up();
  // Gone: hears no more of the answer. Not from within a call of the audience.
  void vanish();
  [[nodiscard]] bool hung_up() const { return hung_up_; }  // at any time

  // The recorded client is done with an exchange in which the live server waits for more of it, and for ever:
  // ends a COPY that gets no more data, and a failed pipeline that gets no Sync. True when something was
  // sent.
  bool unstick();
  // A server may keep answers to a pipeline until it is asked to flush them: asks. True when there was cause.
  bool nudge();

  // At any time:
  [[nodiscard]] char transaction_status() const { return progress_.transaction_status(); }
  [[nodiscard]] wire::ServerProgress::Mark mark() const { return progress_.mark(); }
  [[nodiscard]] std::uint64_t errors() const { return progress_.errors(); }
  [[nodiscard]] std::uint64_t received_bytes() const { return received_bytes_; }
  [[nodiscard]] std::uint32_t process_id() const { return process_id_; }
  // SQLSTATE and message of an error during the login; empty when there was none.
  [[nodiscard]] const std::string& login_error() const { return login_error_; }

  void on_bytes(ByteView bytes) override;
  void on_drained() override { audience_.progressed(*this); }
  void on_closed(const std::string& error) override;

  static constexpr std::size_t kMaxPendingBytes = std::size_t{1} << 20;

 private:
  void log_in(ByteView bytes);
  void login_message(char type, ByteView payload);

  Audience& audience_;
  SessionDescriptor recorded_as_;
  std::string user_;
  std::string database_;
  proxy::ClientAuthenticator authenticator_;
  proxy::InProcessConnection* connection_ = nullptr;  // owned by the session
  proxy::ClientSession* session_ = nullptr;
  wire::ServerProgress progress_;
  // ReadyForQuery messages the live server is ahead by since the last alignment.
  std::int64_t ready_ahead_;
  std::uint64_t received_bytes_ = 0;
  std::uint64_t answer_bytes_ = 0;  // since the last ReadyForQuery, or a little more
  wire::ServerProgress::Mark nudged_at_;
  // Shared with the cancel requests under way, which may outlive this client.
  std::shared_ptr<TranscriptClient*> self_;
  unsigned cancels_under_way_ = 0;
  std::uint32_t process_id_ = 0;
  std::string login_error_;
  ByteBuffer login_bytes_;
  bool started_ = false;
  bool hung_up_ = false;
};

}  // namespace understudy::replayer
