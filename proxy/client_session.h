// A session: one client, the server that answers it, and what both have said. The client is anything that
// speaks through a Connection; a socket in production, a transcript in a replay.
//
// How bytes pass: read into the worker's scratch buffer, followed by the tracker (states, transactions,
// outstanding requests), shown to the observer, written to the other side. What the other side does not take
// yet is kept, and reading stops until it is taken. Nothing larger than one read is held.
//
// Owned by a Worker, used on its thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/authentication_filter.h"
#include "proxy/endpoint.h"
#include "proxy/failover.h"
#include "proxy/observer.h"
#include "proxy/own_login.h"
#include "proxy/protocol_tracker.h"
#include "proxy/recording_join.h"
#include "proxy/server_session.h"
#include "proxy/session_context.h"
#include "proxy/session_status.h"

namespace understudy::proxy {

struct AdoptOptions {
  // Go into the session's descriptor ("origin", "recording").
  std::vector<std::pair<std::string, std::string>> attributes;
  // False: the observer is not told of this session (a replay's own monitor).
  bool observed = true;
};

class ClientSession final : public Runnable {
 public:
  ClientSession(SessionContext& context, std::unique_ptr<Connection> client, AdoptOptions options);
  ~ClientSession() override;

  void run(std::uint32_t client_events, std::uint32_t server_events) override;

  // Cancels what its server is running, as a CancelRequest with this session's key would. `done` is called on
  // this thread once the server has taken it, or cannot be told; never when false is returned: there was
  // nobody to tell.
  bool request_cancel(std::function<void()> done = {});
  // A CancelRequest for this session was accepted somewhere.
  // `sent`: its server is being told; else the session moves, and it is for it to see to it.
  void note_cancelled(bool sent);
  void cancel_taken();
  // Its turn in the queue for a server has come.
  void called();
  // Ends the session at its next idle moment; at once if that is now.
  void drain();
  // Ends the session now, telling the client why in PostgreSQL's words.
  void terminate(CloseReason reason, std::string_view sqlstate, const std::string& message,
                 std::string_view hint = {}, std::string_view detail = {});
  // Ends a replication stream between two messages of its server: an error cannot be told within one. Until
  // then it is called again and again.
  void end_stream();
  // As terminate(), because the proxy ends. What the server still runs for it is cancelled there: it would
  // not notice before it has something to say. True when it is being told; `told` is called once it is, or
  // cannot be.
  bool end_now(const std::string& message, std::function<void()> told);
  // Its client is gone and hears no more, as when a socket's is; for clients that have none. Not from within
  // what their connection calls.
  void client_gone();
  // Another server may be primary.
  void topology_changed();
  // The proxy was paused or resumed (client_status.cpp).
  void pause_changed();
  // A recording has begun, and `tally` is told what becomes of this session in it; or it has ended
  // (client_recording.cpp).
  void recording_began(std::shared_ptr<JoinTally> tally);
  void recording_ended();
  // Time-outs; called a few times a second.
  void check_deadlines(TimeNs now);

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] SessionState state() const { return tracker_.state(); }
  [[nodiscard]] bool idle() const { return tracker_.idle(); }
  [[nodiscard]] bool streams_replication() const { return tracker_.streams_replication(); }
  // A pipeline failed and no Sync was sent yet that would end it.
  [[nodiscard]] bool awaits_sync() const { return tracker_.awaits_sync(); }
  [[nodiscard]] bool awaits_copy_data() const { return tracker_.awaits_copy_data(); }
  [[nodiscard]] bool client_at_boundary() const { return tracker_.client_at_boundary(); }
  [[nodiscard]] bool pipeline_open() const { return tracker_.pipeline_open(); }
  [[nodiscard]] SessionStatus status() const;
  // A pause waits for it: a request or a transaction is under way.
  [[nodiscard]] bool busy() const;
  // Waits until the proxy is resumed: it is new, or its client has asked something.
  [[nodiscard]] bool awaits_resume() const;
  // New, and waits until the proxy is resumed.
  [[nodiscard]] bool held() const { return login_ && login_->held_since != 0; }

 private:
  // Between accept and the first ReadyForQuery; freed after it, so that idle sessions stay small.
  struct Login {
    ByteBuffer client_bytes;  // start-up packet in the making, then what came too early
    ByteBuffer server_bytes;  // whole messages are taken from its front
    ByteBuffer startup_packet;
    SessionDescriptor descriptor;
    AuthenticationFilter filter;
    TimeNs started_at = 0;
    TimeNs connecting_since = 0;
    bool ssl_answered = false;
    bool gss_answered = false;
    bool direct_tls_decided = false;  // the first byte was looked at
    bool binding_taken_out = false;   // the server offered SCRAM-SHA-256-PLUS and the client was not told
    bool server_error = false;        // the server refused; its end of file is announced
    bool shown = false;               // the observer was told of the session
    bool waiting_for_primary = false;
    bool delayed = false;   // after too many failed logins of its like
    TimeNs held_since = 0;  // by a pause; 0: not
    EventLoop::TimerId retry = 0;
    std::shared_ptr<JoinTally> joining;  // a recording began meanwhile
    std::unique_ptr<OwnLogin> own;       // the proxy authenticates the client itself
  };

  void pump_client();
  void pump_server();
  void settle();
  [[nodiscard]] bool client_readable();
  [[nodiscard]] bool server_readable();

  void take_client(ByteView bytes);
  void send_client_bytes(ByteView bytes);
  void take_server(ByteView bytes);
  // What the client shall see: followed, shown to the observer, delivered.
  void show_client(ByteView bytes);
  void client_ended();
  void server_ended(const std::string& error);
  void server_unreachable(const std::string& error);
  void deliver(ByteView bytes);

  // client_tls.cpp
  void look_for_direct_tls();
  [[nodiscard]] bool offer_tls();
  void begin_tls(const ClientTls& tls, bool direct);
  [[nodiscard]] bool admits_client(const SessionDescriptor& descriptor);
  void note_tls_failure();
  [[nodiscard]] std::size_t adapt_mechanisms(std::span<Byte> message);
  [[nodiscard]] bool scram_can_pass(ByteView message);

  // client_login.cpp
  void read_startup();
  void answer_encryption_request(bool& answered, const char* name);
  void begin_session(ByteView packet, std::uint32_t version,
                     std::vector<std::pair<std::string, std::string>> parameters);
  void begin_cancel(std::uint32_t process_id, ByteView key);
  void begin_login();
  // Begins to connect to the primary, or waits for one.
  void start_server();
  void server_connected();
  void open_observer();
  void relay_client_login();
  void relay_server_login();
  [[nodiscard]] bool show_login_message(std::span<Byte> message);
  [[nodiscard]] bool replace_cancel_key(std::span<Byte> payload);
  [[nodiscard]] CancelTarget cancel_target(std::uint32_t process_id, ByteView key);
  [[nodiscard]] CancelTarget cancel_target(const SocketAddress& address, const std::string& host,
                                           std::shared_ptr<const ServerTls> tls, std::uint32_t process_id,
                                           ByteView key);
  // `answer` begins with the rest of the login; what follows `login_bytes` is the session's.
  void finish_login(char status, ByteView answer, std::size_t login_bytes);

  // client_guard.cpp
  [[nodiscard]] bool delay_login();
  void note_failed_login();
  [[nodiscard]] bool delayed() const { return login_ && login_->delayed; }

  // client_lookup.cpp
  void find_secret();
  void secret_found();
  void authenticate(const UserSecret* secret);

  // client_cancel.cpp
  void stop_waiting();
  void refuse_unsent();
  void look_for_unread();
  [[nodiscard]] bool take_unread();
  void pass_cancel();
  void cancel_at_server();
  void send_cancel(const CancelTarget& target, std::function<void()> done);
  void hide_from_cancels();

  // client_own_login.cpp
  void begin_own_login(std::shared_ptr<const AccessPolicy> policy);
  void take_own_client_login();
  void take_own_server_login();
  void follow(ClientAuthentication::Step step);
  void tell_refusal();
  void ask_for_server();
  void take_answer(ServerPool::Answer answer);
  void log_in_at_server();
  void greet();
  [[nodiscard]] bool server_is_reusable() const;
  void leave_server(bool reusable);
  void finish_pooled();
  void take_last(ByteView bytes);
  void give_back(const std::string& key, PooledServer server);

  // client_status.cpp
  [[nodiscard]] bool hold_login();
  void check_hold(TimeNs now);

  // client_home.cpp
  [[nodiscard]] bool replicas_only() const { return context_.shared.mode == Mode::kReplica; }
  [[nodiscard]] std::optional<std::size_t> home(const Topology& topology) const;
  [[nodiscard]] bool find_home(const Topology& topology);
  void leave_home();
  [[nodiscard]] bool is_elsewhere(const Topology& topology) const;
  [[nodiscard]] std::string why_not_home(const Topology& topology) const;
  void route_to_home(ByteView bytes);
  void begin_server();
  [[nodiscard]] std::string home_key(const std::string& pool) const;

  // client_failover.cpp
  void begin_failover(const Login& login, ByteView greeting);
  const BackendState* note_backend(const Topology& topology);
  [[nodiscard]] bool moving() const;
  void lose_server(const std::string& why);
  void drop_server();
  [[nodiscard]] bool was_terminated() const;
  void pass_good_bye();
  void seek_server();
  void take_other_server(ServerPool::Answer answer);
  void connect_to_primary();
  void try_later(const std::string& why);
  void seek_later();
  void await_server();
  void await_home();
  void log_in_elsewhere();
  void take_other_login(ByteView bytes);
  void found_server(const ServerFacts& facts);
  void go_on();
  void tell_missing_commit();
  void enter_commits(bool closing);
  void check_failover(TimeNs now);
  void end_unserved();
  void check_recovery(TimeNs now);

  [[nodiscard]] ClientAuthenticator authenticator() const;

  // client_replication.cpp
  [[nodiscard]] bool replicates() const { return replicates_ && !login_; }
  void strand_replication(const std::string& why);

  // client_silence.cpp
  void leave_silent_replica(const Topology& topology);
  void note_primary(const Topology& topology);
  [[nodiscard]] bool waits_in_vain(TimeNs now) const;
  void leave_silent_server();

  // client_split.cpp
  void route(ByteView bytes);
  void route_from_replica(ByteView bytes);
  void read_at_replica(ByteView bytes);
  void pass_to_server(ByteView bytes, bool ask_position);
  void resume_waiting();
  [[nodiscard]] bool go_to_replica(bool with_unnamed);
  void go_to_primary(ByteView bytes);
  [[nodiscard]] ParkedServer change_server(ParkedServer next, bool replica, bool with_unnamed);
  [[nodiscard]] bool take_nearer_replica(Lsn least);
  [[nodiscard]] bool take_replica(std::optional<std::size_t> chosen);
  void connect_replica(const std::string& key, std::uint64_t epoch, const BackendState& backend);
  void drop_replica(bool reusable);
  void primary_changed(const BackendState& primary);
  void forget_primary();
  void leave_replica(const std::string& why);
  void seek_primary();
  void end_split(bool reusable);

  // client_recording.cpp
  void begin_recording_join(Login& login, ByteView greeting);
  void join_recording();

  // client_shadow.cpp
  void begin_shadow(const SessionDescriptor& descriptor);
  void cast_shadow(ByteView bytes);
  void reach_shadow();
  void end_shadow();

  void protocol_error(bool client, const std::string& what);
  void close(CloseReason reason, const std::string& text);
  void finish_close();

  SessionContext& context_;
  Endpoint client_;
  ServerSession server_;
  ProtocolTracker tracker_;
  std::unique_ptr<SessionObserver> observer_;
  std::unique_ptr<Login> login_;
  std::unique_ptr<PoolMembership> pooled_;  // null when authentication was relayed
  std::unique_ptr<Failover> failover_;      // null where there is but one backend
  std::unique_ptr<SessionNames> names_;     // null where nobody asks for them
  std::unique_ptr<RecordingJoin> join_;     // null where no recording takes in sessions that are open
  AdoptOptions options_;
  std::int32_t home_ = -1;  // the backend it belongs at, where that is not the primary; -1: none
  std::uint32_t number_;
  TimeNs last_activity_ = 0;
  TimeNs request_since_ = 0;  // first byte of what is being answered; 0: nothing is
  TimeNs linger_until_ = 0;   // after close: the client has yet to take its last bytes
  TimeNs stream_ends_ = 0;    // at its server's next message, and at the latest then; 0: it goes on
  std::uint32_t process_id_ = 0;
  ByteBuffer client_key_;
  bool client_eof_ = false;
  bool server_write_failed_ = false;
  bool draining_ = false;
  bool replicates_ = false;  // and there is a primary that may be lost
};

}  // namespace understudy::proxy
