// One session of a recording as a replay reads it: what its client did, and how far its server had come when
// it did it. Holds a cursor, not data. Owned by the session's actor, or by the reader of causal order; the
// replay's thread.
#pragma once

#include <deque>
#include <optional>

#include "formats/transcript/recording.h"
#include "formats/wire/server_progress.h"
#include "proxy/protocol_tracker.h"
#include "replayer/idle_moment.h"
#include "replayer/object_creation.h"

namespace understudy::replayer {

// How far a recorded server had come.
struct Checkpoint {
  wire::ServerProgress::Mark mark;
  std::uint64_t errors = 0;       // since the session began
  char transaction_status = 'I';  // as of the last ReadyForQuery
  bool logged_in = false;
  bool quiescent = false;  // nothing was asked that it had not answered
  bool fatal = false;      // it has said that it will close the connection
  // Bytes of its answers since the last ReadyForQuery, or a little less.
  std::uint64_t answer_bytes = 0;
  // Of the client: cancel requests that came too late to stop anything, since the session began.
  std::uint64_t late_cancels = 0;
};

// Why nothing of a session follows.
enum class RecordedEnd : std::uint8_t {
  kClientLeft,  // it said good-bye, or just went
  kServerLeft,  // the server, or the proxy, closed it
  kUnfinished,  // it went on; the recording did not
  kHole         // something is missing here: a gap, a damaged chunk, bytes that make no sense
};

// Of requests that met those of other sessions: why this one was the one to fail.
enum class Refusal : std::uint8_t {
  kNone,
  kKeyTaken,  // a value that must be unique was there already
  kDeadlock   // of those that waited for each other, it was ended
};

// What one event of the recording means to a replay.
struct RecordedStep {
  enum class Kind : std::uint8_t {
    kNothing,  // no matter: a part of a login, rows that are not the end of an answer, a mark
    kSend,     // the client sent `bytes`
    kCancel,   // the server answers next that it was told to stop what it was doing
    kReply,    // the server came as far as `checkpoint` says
    kEnd       // the last step
  };
  Kind kind = Kind::kNothing;
  TimeNs time = 0;
  ByteView bytes;         // valid until the next call
  Checkpoint checkpoint;  // after this step
  RecordedEnd end = RecordedEnd::kClientLeft;
  // kCancel: none when a client of the recording asked for it. Else somebody out of sight did, or a time-out
  // that this server may have as well: for so long it had run. kReply: a wait for a lock may have come to
  // nothing (a time-out, a deadlock, a cancel), so long after it was asked for; none otherwise. kEnd: the
  // client left in the middle of an answer, so long after it had asked; none otherwise.
  std::optional<TimeNs> ran_for;
  Refusal refusal = Refusal::kNone;  // kReply
  bool password_hidden = false;      // kSend: x stands in `bytes` where a password was (RedactionKind)
};

class RecordedSession {
 public:
  // `continuing`: the session was open before the recording began, so its login is not in it. Where its
  // opening is not, either, it is taken up between transactions (idle_moment.h); what comes before is
  // kNothing.
  RecordedSession(const Recording& recording, const SessionSummary& summary, bool continuing);

  // Of a continuing session: that it was logged in when the recording began.
  [[nodiscard]] RecordedStep logged_in_before() const {
    return {RecordedStep::Kind::kReply, last_time_, {}, checkpoint_, {}, {}};
  }
  // Takes the next event. Once kEnd was returned it is returned again. What makes a large object asks for the
  // OID that it was given (object_creation.h).
  RecordedStep next();
  // When the next event happened; none at the end. The first is known without reading it and may be earlier.
  [[nodiscard]] std::optional<TimeNs> next_time_lower_bound();
  [[nodiscard]] std::optional<TimeNs> next_time();
  // The same, of what is not before `at_least`: also of the end, which comes without delay. Decodes nothing
  // to tell that it is later.
  [[nodiscard]] TimeNs next_turn(TimeNs at_least);
  // Lets go of decoded data; the session keeps its place.
  void release() { cursor_.release(); }

  [[nodiscard]] const Checkpoint& checkpoint() const { return checkpoint_; }

 private:
  // A step that was read before its turn.
  struct Ahead {
    RecordedStep step;
    ByteBuffer bytes;
  };

  RecordedStep read();
  void name_object(RecordedStep& sent, const ObjectCreation& creation);
  RecordedStep take(const Event& event);
  RecordedStep take_client_bytes(const Event& event);
  RecordedStep take_server_bytes(const Event& event);
  RecordedStep end(RecordedEnd why);
  void follow_server(ByteView bytes);
  void follow_login(ByteView bytes);
  [[nodiscard]] bool says(std::string_view code, ByteView bytes) const;
  void keep_tail(ByteView bytes);

  SessionCursor cursor_;
  FirstIdleMoment first_;
  wire::ServerProgress progress_;
  wire::FrameScanner login_scanner_;  // until the first ReadyForQuery
  bool login_status_due_ = false;     // but for its one byte of payload
  proxy::ProtocolTracker tracker_;    // from then on
  Checkpoint checkpoint_;
  TimeNs last_time_ = 0;
  bool broken_ = false;
  bool password_hidden_ = false;            // in the event that comes next
  std::optional<TimeNs> cancelled_at_;      // and its error has not been seen
  std::string reply_tail_;                  // of the server's bytes, while they end inside a message
  std::optional<RecordedStep> held_;        // of read(): comes next
  TimeNs asked_at_ = 0;                     // the client's last bytes
  std::optional<ObjectCreation> creation_;  // in the step just read
  std::optional<CreationAnswer> answer_;    // while it is looked for
  std::deque<Ahead> ahead_;
  ByteBuffer bytes_;  // of the step last returned, when it is not the event's
  std::optional<RecordedEnd> ended_;
};

}  // namespace understudy::replayer
