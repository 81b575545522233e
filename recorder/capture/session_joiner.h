// Finds where a conversation of which the beginning, or a part, is missing can be followed again. A place is
// taken for a boundary when everything speaks for it:
//
//     server  ... Z |        answer, Z |        answer, Z |
//     client        | request          | request          |
//                   ^ here             one cycle          two: joined, and recorded from ^ on
//
// - the server's bytes end with a ReadyForQuery, and it then says nothing unasked;
// - the client's next bytes were sent by one who had received that, and are whole messages;
// - the server's answer was sent by one who had received them, and answers them kind by kind (ReplyShape), up
// to
//   a ReadyForQuery with which its bytes end; and nothing contradicts the protocol (ProtocolTracker);
// - and so once more, or the client says good-bye.
//
// Anything else, and the search goes on behind it. What cannot be told by looking is a client that always
// keeps a request in flight: its place is found where it pauses. Pure; memory bounded.
#pragma once

#include <memory>
#include <vector>

#include "formats/transcript/event.h"
#include "proxy/protocol_tracker.h"
#include "recorder/capture/reply_shape.h"

namespace understudy::recorder {

class SessionJoiner {
 public:
  struct Piece {
    Direction direction = Direction::kFromClient;
    TimeNs time = 0;
    ByteBuffer bytes;
  };

  // `outside_transactions`: only where none is open, so that what is recorded can be run by itself.
  explicit SessionJoiner(bool outside_transactions) : outside_transactions_(outside_transactions) {}

  // The next bytes of one side. True once the conversation is joined: pieces() are those from the boundary
  // on, tracker() follows it. Nothing is fed after that.
  [[nodiscard]] bool take(Direction from, TimeNs time, ByteView bytes, bool informed);
  // Whether a server's bytes end with a ReadyForQuery.
  [[nodiscard]] static bool ends_ready(ByteView bytes);
  // Bytes are missing here.
  void lost() { abandon(); }

  [[nodiscard]] const std::vector<Piece>& pieces() const { return kept_; }
  [[nodiscard]] proxy::ProtocolTracker take_tracker() { return std::move(candidate_->tracker); }
  // What came before the boundary, or, while none is found, all that came.
  [[nodiscard]] std::uint64_t passed_over(Direction from) const {
    return passed_over_[static_cast<int>(from)];
  }
  [[nodiscard]] std::uint64_t pieces_passed_over() const { return pieces_passed_over_; }
  // Of the boundary, once joined: the time of the ReadyForQuery before it.
  [[nodiscard]] TimeNs boundary_time() const { return boundary_time_; }
  // The place found looks like encrypted traffic: whole TLS records, both ways.
  [[nodiscard]] bool looks_like_tls() const { return tls_pieces_[0] >= 2 && tls_pieces_[1] >= 2; }

 private:
  struct Candidate {
    Candidate();
    proxy::ProtocolTracker tracker;
    wire::FrameScanner client;
    wire::FrameScanner server;
    ReplyShape shape;
    bool asked = false;     // since the last ReadyForQuery: a cycle is under way
    bool answered = false;  // the server's part of it has begun
    unsigned cycles = 0;
  };

  bool follow_client(ByteView bytes, bool informed);
  bool follow_server(ByteView bytes, bool informed);
  void look_for_boundary(TimeNs time, ByteView bytes);
  void set_boundary(TimeNs time, char status);
  void keep(Direction from, TimeNs time, ByteView bytes);
  void pass_over(Direction from, std::size_t bytes);
  void drop_kept();
  void abandon();
  [[nodiscard]] bool is_proven() const;

  bool outside_transactions_;
  std::unique_ptr<Candidate> candidate_;
  bool keeping_ = false;  // kept_ begins at a boundary
  TimeNs boundary_time_ = 0;
  std::vector<Piece> kept_;
  std::size_t kept_bytes_ = 0;
  std::uint64_t passed_over_[2] = {};
  std::uint64_t pieces_passed_over_ = 0;
  unsigned tls_pieces_[2] = {};
};

}  // namespace understudy::recorder
