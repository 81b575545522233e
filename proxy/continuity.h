// What lets a session outlive its server. While all is well it stands between the client's stream and the
// server's, keeps what a move would need, and changes nothing that either sees:
//
//   - the history that makes another server session like this one (session_history.h);
//   - a journal: the client's bytes since the last safe point, and a digest of what it was answered;
//   - with commit_guard, the id of each writing transaction, asked for right behind its first write, in the
//     same breath: no round trip of its own. A write outside of a transaction is put into one (BEGIN before
//     it, in the same breath; COMMIT when its id is known) and its answer kept until it is committed.
//
// When the server is lost:
//
//     RELAYING --lost--> NO_SERVER --found--> [ASKING] --> RESTORING --> REPLAYING --> RELAYING
//                             ^                  |                           |
//                             +-- the transaction is given up: 40001, 08007 -+
//
//   ASKING     a COMMIT is in doubt: its fate is asked for (txid_status)
//   RESTORING  the history is said to the new server, its answers are swallowed
//   REPLAYING  the journal is said again; of the answers as many bytes are swallowed as the client already
//   has,
//              and their digest must be the same; then it goes on as if nothing had happened
//
// An id alone proves nothing: ids lost with an old primary are given out again by the new one. So the write
// position is learned with the id, and compared with where the new primary's timeline left the old one: left
// it before, the transaction never arrived; left it after, the id is the same transaction's. (PostgreSQL
// documentation, "Transaction ID and Snapshot Information Functions", "Timelines".)
//
// No I/O, no clock. Owned by a ClientSession; used on its worker.
#pragma once

#include <optional>
#include <string>

#include "proxy/message_walker.h"
#include "proxy/open_requests.h"
#include "proxy/read_floor.h"
#include "proxy/reported_settings.h"
#include "proxy/session_history.h"
#include "proxy/session_requests.h"
#include "proxy/topology.h"
#include "proxy/unseen_settings.h"
#include "proxy/whole_messages.h"

namespace understudy::proxy {

// The transaction's id; the position of a record in the write-ahead log that carries it (an id alone is not
// written, and would be given out again after a crash); and which life of the server that was in.
inline constexpr std::string_view kAskForMark =
    "SELECT pg_catalog.txid_current(), pg_catalog.pg_logical_emit_message(true, 'understudy', ''), "
    "(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * 1000000)::pg_catalog.int8";
// As far as a replica must be to have what the session has seen or written.
inline constexpr std::string_view kAskForPosition = "SELECT pg_catalog.pg_current_wal_insert_lsn()";
// Why a session cannot be made again, where the server is not asked what it has.
inline constexpr std::string_view kChangedUnseen =
    "what DO, CALL or a text that the proxy did not parse may have changed";
// The proxy's own statements and portals: the client's unnamed ones stay what they are.
inline constexpr std::string_view kOwnName = "understudy_own";

struct ContinuityLimits {
  std::size_t transaction_bytes = std::size_t{1} << 20;  // of the client's requests, kept for a replay
  std::size_t history_bytes = std::size_t{1} << 20;
  bool commit_guard = false;
  // Of reads at replicas: what the session read at the primary may be missing there, what it wrote may not.
  bool own_writes_only = false;
  // The servers are replicas, which write nothing (mode replica).
  bool replicas_only = false;
  // Functions that are not PostgreSQL's own leave the session's settings alone.
  bool trust_functions = false;
  // May put questions of its own to the server: not where it only listens.
  bool asks = true;
};

class Continuity {
 public:
  enum class Stage : std::uint8_t { kRelaying, kNoServer, kAsking, kRestoring, kReplaying };

  Continuity(const ContinuityLimits& limits, StatementTraitsCache& traits)
      : limits_(limits), traits_(traits) {}

  // What to send of the client's bytes (judged before by the tracker), good until the next call.
  [[nodiscard]] ByteView to_server(ByteView bytes);
  // Nothing more of the client's is to be read now: a write of it is being committed, its COMMIT waits until
  // the transaction's id is known, the server is asked what the session still holds, or something is asked
  // again.
  [[nodiscard]] bool holds_client() const {
    return (wrapped_ && !wrapped_->copying) || holding_ || asking_held_ || stopped_by_recovery_ ||
           stage_ != Stage::kRelaying;
  }
  // A question of the proxy's own is not answered yet.
  [[nodiscard]] bool is_asking() const;
  // What of the server's bytes the client shall see, likewise.
  [[nodiscard]] ByteView to_client(ByteView bytes);
  // What the proxy itself has to say after either call; empties it.
  [[nodiscard]] ByteBuffer take_for_server() { return std::exchange(for_server_, {}); }
  [[nodiscard]] ByteBuffer take_for_client() { return std::exchange(for_client_, {}); }

  using Settings = ReportedSettings;
  // The session's first server, and the settings it reported at the login.
  void served_by(std::uint32_t timeline, Settings settings) {
    timeline_ = timeline;
    client_settings_ = server_settings_ = std::move(settings);
    const std::string* const user = server_settings_.find("session_authorization");
    if (user != nullptr) user_ = *user;
  }
  // What the server reports now.
  [[nodiscard]] const Settings& settings() const { return server_settings_; }
  // ParameterStatus messages for what the client was told otherwise; while nothing of a message is with it in
  // part.
  [[nodiscard]] ByteBuffer settings_to_tell();
  // The server announced its end (SQLSTATE 57P01 to 57P03), which was not shown; or what it answered does not
  // fit what the client has: it must be given up for another.
  [[nodiscard]] bool server_leaves() const { return server_leaves_ || unfit_; }
  // What it said then.
  [[nodiscard]] ByteBuffer take_good_bye() { return std::exchange(good_bye_, {}); }
  // Why the session cannot outlive its server, in words for an error's detail; empty when it can.
  [[nodiscard]] std::string cannot_move() const;
  // The server is gone.
  void server_lost();
  // Without one: the client waits for what may have been done, or not.
  [[nodiscard]] bool outcome_unknown() const;
  // Another was reached and has logged in; its timeline, and the switches that led to it.
  void server_found(std::uint32_t timeline, std::vector<TimelineSwitch> switches, Settings settings);

  // --- What the client has cancelled (continuity_cancel.cpp)

  // A cancel came for the session; `sent`: its server is told. `unread`: the client has said something that
  // was not read yet, because the session moves.
  void note_cancel(bool sent, bool unread);
  // While there is no server: ends the one request that waits with 57014, if nothing can have come of it;
  // false when it does not (then the server that is found is told of the cancel).
  [[nodiscard]] bool stop_waiting();
  // Likewise for `request`, which no server has been sent: it ends if it is one, and nothing else is open.
  [[nodiscard]] bool refuse_unsent(ByteView request);
  // Whether the present server is to be told of a cancel that came while there was none; said once.
  [[nodiscard]] bool cancels_again();
  // Something that the client has asked is not answered.
  [[nodiscard]] bool client_waits() const;
  // What was cancelled is not answered yet.
  [[nodiscard]] bool cancelled() const { return cancelled_; }

  // --- A session with two servers: its primary, and a replica for reads (continuity_split.cpp) ---

  // What the client asks, judged before it is sent.
  struct Batch {
    bool whole = false;          // ends where a request ends
    bool asks = false;           // of the database
    bool on_replica = false;     // and a replica may answer all of it
    bool takes_unnamed = false;  // by the unnamed statement, prepared before
  };
  [[nodiscard]] Batch judge_batch(ByteView bytes) const;
  // Between two requests outside of a transaction, with nothing held.
  [[nodiscard]] bool quiet() const;
  // What the session is allows that another server answers it for a while.
  [[nodiscard]] bool may_read_elsewhere() const;
  // A server that the session has left, or has yet to come to.
  struct Copy {
    Settings settings;
    std::uint64_t version = 0;  // of the history
    std::uint32_t timeline = 0;
  };
  // While quiet: goes on at the server that `other` tells of, which then tells of the present one.
  void switch_to(Copy& other, bool replica, bool with_unnamed);
  // Makes the client's unnamed statement here, if it was made at the other server.
  void bring_unnamed();
  // The same as switch_to() without a word to the server.
  void take_copy(Copy& other);
  // Appends what makes a third server like this session (SessionHistory::catch_up()); how many answers that
  // is due. `version` is the history's that it has, and then has.
  [[nodiscard]] unsigned bring_elsewhere(ByteBuffer& out, std::uint64_t& version, bool with_unnamed) const;
  // The SQL that a batch begins with.
  [[nodiscard]] std::string text_of(ByteView batch) const;
  [[nodiscard]] bool at_replica() const { return at_replica_; }
  // The replica was given up (server_lost()): back to the primary, as it was left.
  void server_regained(Copy primary);
  // Behind what the client just asked of the primary.
  void ask_position();
  [[nodiscard]] const ReadFloor& floor() const { return floor_; }

  [[nodiscard]] Stage stage() const { return stage_; }
  // The new server has not answered for too long; a transaction that is replayed is given up.
  void out_of_patience();
  // What is in doubt and still in progress is not waited for any longer.
  void stop_asking() {
    if (stage_ == Stage::kAsking) patience_ended_ = true;
  }
  // Why moving came to nothing for good, in words; empty when it did not.
  [[nodiscard]] const std::string& broken() const { return broken_; }
  // The last transaction that the client was told to be committed, if the new server does not have it, or may
  // not (its history does not say where it left the timeline of the commit, and the id may be another's);
  // told once.
  struct MissingCommit {
    TransactionMark mark;
    bool unclear = false;
  };
  [[nodiscard]] std::optional<MissingCommit> take_missing_commit() {
    return std::exchange(missing_commit_, std::nullopt);
  }
  // With commit_guard: how many commits whose ids are not known the client was told of since this was asked
  // last (CALL, DO, VACUUM; also what may only have written).
  [[nodiscard]] unsigned take_commits_without_id() { return std::exchange(commits_without_id_, 0); }
  // The last that was told of and has one.
  [[nodiscard]] const std::optional<TransactionMark>& last_commit() const { return committed_; }
  // Puts a read that a replica broke off to that replica again, once it is ready (continuity_conflict.cpp).
  void ask_here_again();
  // Nothing is outstanding, as the tracker sees it.
  void at_rest();
  // While quiet: appends what makes another session like this one.
  void append_state(ByteBuffer& out) const { (void)history_.restore(out); }
  // More than limits.history_bytes, what came since the last safe point included.
  [[nodiscard]] bool history_is_long() const {
    return history_.size_bytes() + history_.changed_bytes() > limits_.history_bytes;
  }

 private:
  struct ClientSide;
  struct ServerSide;
  struct Delivered {
    std::uint64_t bytes = 0;  // of messages that are answers: not notices, notifications, settings
    std::uint32_t digest = 0;
    std::uint32_t errors = 0;
  };
  struct Failure {
    std::string sqlstate;
    std::string message;
    std::string detail;
  };

  // A single write in a transaction of the proxy's own.
  struct Wrapped {
    OpenRequest request;  // once it is answered
    ByteBuffer reply;     // kept until the COMMIT is done; without its ReadyForQuery
    bool answered = false;
    bool failed = false;
    bool ending = false;   // COMMIT or ROLLBACK was sent
    bool through = false;  // the answer is too long to be kept, and shown as it comes
    bool copies = false;   // COPY FROM STDIN: its id is asked for when the data is there
    bool copying = false;  // the client sends data
  };

  // A write in a transaction of its own (continuity_write.cpp).
  [[nodiscard]] bool may_wrap() const;
  [[nodiscard]] bool is_wrappable(ByteView bytes) const;
  [[nodiscard]] bool begins_copy(ByteView bytes) const;
  [[nodiscard]] ByteView wrap_copy(ByteView bytes);
  [[nodiscard]] ByteView pass_copy(ByteView bytes);
  [[nodiscard]] ByteView wrap(ByteView bytes);
  [[nodiscard]] bool keeps(char type) const;
  [[nodiscard]] ByteView keep(ByteView raw);
  void wrapped_answered(OpenRequest request);
  void end_wrapped();
  void wrapped_ended();

  // The client's messages.
  [[nodiscard]] ByteView pass_on(ByteView bytes);
  [[nodiscard]] ByteView pass_client(ByteView bytes);
  void give_up_journal(std::string_view why);
  [[nodiscard]] ByteView guard(ByteView bytes, bool waited);
  [[nodiscard]] bool must_wait(char type, ByteView payload) const;
  [[nodiscard]] bool commits(char type, ByteView payload) const;
  void hold(ByteView rest);
  void release_held();
  void ask_for_held(ByteBuffer& out);
  void ask_in_pipeline(ByteBuffer& out, OpenRequest& request);
  void hold_over(std::uint64_t already_sent);
  void take_mark(ByteView payload);
  void journal(ByteView raw);
  void client_message(char type, ByteView payload, bool whole);
  OpenRequest& open_request(bool pipeline);
  void add_statements(OpenRequest& request, std::string_view sql, bool whole);
  void add_parse(OpenRequest& request, ByteView payload, bool whole);
  void add_bind(OpenRequest& request, ByteView payload, bool whole);
  void add_execute(OpenRequest& request, ByteView payload, bool whole);
  void add_close(OpenRequest& request, ByteView payload, bool whole);
  void predict(OpenRequest& request, const StatementEffect& effect);
  void end_request(OpenRequest& request);
  void begin_transaction(OpenRequest& request);
  void end_transaction(OpenRequest& request, bool again);
  // Puts a question of the proxy's own behind what the client has asked.
  void ask(ByteBuffer& out, std::string_view sql, bool mark = false);
  [[nodiscard]] bool mark_is_known() const { return mark_ && mark_->number == transaction_; }
  [[nodiscard]] bool mark_is_asked() const;
  [[nodiscard]] const std::string* sql_of(std::string_view statement) const;
  [[nodiscard]] bool refused(char type, ByteView payload);
  [[nodiscard]] bool is_rollback(char type, ByteView payload) const;

  // The server's.
  [[nodiscard]] bool shows(char type) const;
  void count(ByteView raw);
  void note_setting(ByteView payload);
  void server_message(char type, ByteView payload, bool whole);
  void reply_came(char type, ByteView payload, bool whole);
  void own_reply(char type, ByteView payload);
  void own_answered();
  void statement_done(const DueReply& reply, ByteView payload, bool whole);
  void note_commit(bool wrote);
  void request_answered(char status);
  void all_answered();
  void known_to_be_open();
  void ask_for_held_now();
  [[nodiscard]] bool announces_end(ByteView payload) const;
  [[nodiscard]] bool may_leave() const { return !server_leaves_ && !unfit_; }

  // continuity_held.cpp
  void ask_what_is_held();
  void take_held(ByteView payload);
  void held_answered(const OpenRequest& own, std::string_view error);
  [[nodiscard]] bool awaits_settings() const;
  void confirm();

  // continuity_split.cpp
  [[nodiscard]] bool answered_by_replica(std::string_view sql) const;
  [[nodiscard]] bool judge_message(char type, ByteView payload, struct BatchNames& names, Batch& batch) const;
  [[nodiscard]] bool better_at_primary(ByteView payload) const;
  [[nodiscard]] bool describes_sequence(ByteView message) const;
  void catch_up(std::uint64_t known, bool with_unnamed);
  void take_position(ByteView payload);
  void silent_answered(bool failed);

  // continuity_conflict.cpp
  [[nodiscard]] bool may_ask_here_again(ByteView error_payload) const;

  // Recovery (continuity_recovery.cpp, continuity_fate.cpp).
  enum class Asking : std::uint8_t { kLastCommit, kCommitInDoubt };
  enum class Fate : std::uint8_t { kCommitted, kAborted, kNeverArrived, kInProgress, kPrepared, kUnknown };
  void note_outstanding();
  void note_asked_again();
  [[nodiscard]] std::ptrdiff_t doubts() const;
  [[nodiscard]] std::string why_unknown() const;
  void judge();
  void ask_again();
  void last_commit_known(Fate fate);
  [[nodiscard]] const TimelineSwitch* left_at(std::uint32_t timeline) const;
  [[nodiscard]] bool history_names(std::uint32_t timeline) const;
  [[nodiscard]] bool never_arrived(const TransactionMark& mark) const;
  void ask_fate(const TransactionMark& mark);
  [[nodiscard]] Fate fate_of(const TransactionMark& mark) const;
  void fate_known();
  void was_committed();
  void restore();
  void restoring_reply(char type, ByteView payload);
  void replay();
  void replayed();
  void give_up(Failure failure, bool server_used);
  void tell_failure();
  [[nodiscard]] ByteBuffer commit_reply(const OpenRequest& request) const;

  ContinuityLimits limits_;
  StatementTraitsCache& traits_;
  Stage stage_ = Stage::kRelaying;
  SessionHistory history_;

  // The client's side.
  MessageWalker client_;
  WholeMessages from_client_;  // with commit_guard
  ByteBuffer journal_;
  std::uint64_t journal_from_ = 0;  // where its first byte is in the client's stream
  std::uint64_t client_position_ = 0;
  bool overflowed_ = false;  // the journal was given up until the next safe point
  std::string_view why_overflowed_;
  Portals portals_;
  enum class Predicted : std::uint8_t { kNone, kPerhaps, kOpen };
  Predicted predicted_ = Predicted::kNone;  // a transaction is open once all that was sent is done
  bool predicted_write_ = false;            // and has written
  std::uint64_t transaction_ = 0;           // its number
  bool confused_ = false;          // a COPY swallowed Syncs: the queue is not known until all is quiet
  bool skipping_to_sync_ = false;  // the proxy refused a pipeline
  bool held_message_ = false;      // the message now passing waits to be judged
  ByteBuffer waiting_;             // from a COMMIT on, until the transaction's id is known
  bool holding_ = false;
  std::uint8_t unseen_ = 0;  // kinds of what pins, and settings, that may be there: the server was not asked
  std::string sought_;       // of the settings, by name
  QuietProcedures procedures_;
  std::uint8_t released_ = 0;  // kinds of what pins that may be gone, and the server was not asked
  bool asking_held_ = false;
  // A request whose code may have made settings is only over, for the client as well, when they are known:
  // lost before, nobody could say what they were.
  struct Unconfirmed {
    OpenRequest request;
    char status = 'I';
  };
  std::optional<Unconfirmed> unconfirmed_;
  unsigned unanswered_ = 0;  // times in a row that the question failed
  // Of the question now being answered.
  std::uint8_t there_ = 0;
  std::uint8_t gone_ = 0;
  bool code_sets_ = false;
  std::vector<LearnedSetting> learned_;
  std::size_t learned_bytes_ = 0;
  bool ask_later_ = false;  // what waits has not been asked for: what came before may fail

  // The server's side.
  MessageWalker server_;
  WholeMessages from_server_;
  OpenRequests requests_;
  char status_ = 'I';         // of the last ReadyForQuery
  bool rolled_back_ = false;  // by the last statement
  std::string own_error_;     // of the question now being answered: its SQLSTATE
  Delivered delivered_;
  std::uint64_t request_bytes_ = 0;  // of them, of the request now being answered
  bool showing_ = true;              // the message now passing
  char passing_ = 0;
  bool server_leaves_ = false;
  ByteBuffer good_bye_;
  bool unfit_ = false;
  std::optional<TransactionMark> mark_;       // of the transaction that is open
  std::optional<TransactionMark> committed_;  // of the last one the client was told is committed
  std::optional<MissingCommit> missing_commit_;
  unsigned commits_without_id_ = 0;
  std::uint32_t timeline_ = 0;

  Settings server_settings_;
  Settings client_settings_;
  std::string user_;  // who logged in

  std::optional<Wrapped> wrapped_;
  ByteBuffer release_;  // of a write that was committed

  // While moving.
  std::vector<OpenRequest> outstanding_;  // as the client sees it
  char lost_status_ = 'I';                // likewise
  SessionHistory lost_history_;           // as it was before the replay
  ByteBuffer kept_reply_;                 // of a write whose COMMIT is in doubt
  bool shown_early_ = false;              // a part of the answer of a write that was not committed
  bool half_shown_ = false;               // the client has a part of a message
  char half_type_ = 0;
  std::vector<TimelineSwitch> switches_;
  std::uint32_t new_timeline_ = 0;
  unsigned answers_due_ = 0;
  unsigned times_asked_ = 0;
  bool patience_ended_ = false;
  Asking asking_of_ = Asking::kCommitInDoubt;
  std::vector<std::string> answer_;
  std::string answer_error_;         // SQLSTATE
  unsigned lenient_ = 0;             // so many of the last answers may be errors
  std::uint64_t lost_position_ = 0;  // of the client's stream, as far as the lost server was sent it
  std::optional<Failure> failure_;
  bool poisoned_ = false;         // the new server stands in a failed transaction, as the client's did
  bool failure_pending_ = false;  // the client hears of it at its next request
  Failure pending_;
  Delivered to_swallow_;
  bool swallowing_ = false;
  std::string broken_;
  bool cancelled_ = false;     // what is asked now, at the present server
  bool cancel_again_ = false;  // at the next

  // With two servers.
  bool at_replica_ = false;
  bool unnamed_here_ = true;  // the server has the client's unnamed statement
  bool opaque_ = false;       // a function may have changed the session
  ReadFloor floor_;
  std::optional<std::uint64_t> regained_;  // the history's version that the server found has

  // Of a read that was in the way of what a replica had to replay.
  bool stopped_by_recovery_ = false;  // the server has yet to say that it is ready
  bool asks_here_ = false;            // it is
  unsigned conflicts_ = 0;            // of what is asked now

  ByteBuffer inserted_;  // the proxy's own between the client's messages
  ByteBuffer to_server_out_;
  ByteBuffer wrap_out_;
  ByteBuffer guarded_out_;
  ByteBuffer to_client_out_;
  ByteBuffer for_server_;
  ByteBuffer for_client_;
};

}  // namespace understudy::proxy
