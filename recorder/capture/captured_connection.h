// One TCP connection as a session, or as what else it is. What it goes through:
//
//     kSide ----------> kOpening ---------> kLogin ------> kFollowing <------+
//       who is the        a start-up packet    first          |  a hole, or  | joined
//       server?             | met in           ReadyForQuery  v  nonsense    |
//                           | the middle                    kSeeking --------+
//                           +----------------------------------^
//     What is encrypted passes TlsConversation first, if there is a key log.
//     kIgnored: encrypted, something else, a cancel request
//
// Behind a hole nothing is recorded before SessionJoiner has found a boundary; the gap event that stands
// there counts what is missing and what was passed over. Owned by the ConnectionTable.
#pragma once

#include <algorithm>

#include "recorder/capture/capture_sessions.h"
#include "recorder/capture/session_joiner.h"
#include "recorder/capture/session_opening.h"
#include "recorder/capture/tls_conversation.h"

namespace understudy::recorder {

class CapturedConnection final : public capture::ConversationListener {
 public:
  CapturedConnection(CaptureSessions& sessions, const capture::ConversationOpening& opening);
  ~CapturedConnection() override;

  void data(capture::Side from, TimeNs time, ByteView bytes, bool informed) override;
  void lost(capture::Side from, TimeNs time, std::uint64_t bytes) override;
  void finished(capture::Side from, TimeNs time) override;
  void closed(capture::ConversationEnd end, std::optional<capture::Side> by, TimeNs time) override;

 private:
  enum class State : std::uint8_t { kSide, kOpening, kLogin, kFollowing, kSeeking, kIgnored };

  [[nodiscard]] bool find_server(capture::Side from, ByteView bytes);
  void handle(Direction from, TimeNs time, ByteView bytes, bool informed);
  void open(Direction from, TimeNs time, ByteView bytes, bool informed);
  void begin_tls(Direction from, TimeNs time, ByteView bytes, bool informed);
  void take_sealed(Direction from, TimeNs time, ByteView bytes, bool informed);
  void give_up_tls(TimeNs time, const std::string& reason);
  void begin_session(TimeNs time);
  void log_in(Direction from, TimeNs time, ByteView bytes);
  void finish_login(TimeNs time);
  void follow(Direction from, TimeNs time, ByteView bytes);
  void seek(Direction from, TimeNs time, ByteView bytes, bool informed);
  void join();
  void begin_seeking(TimeNs time);
  void fall_out_of_step(Direction from, TimeNs time, ByteView bytes);
  void count_passed_over(const SessionJoiner& joiner);
  void tell_gap(TimeNs time);
  void relay(Direction from, TimeNs time, ByteView bytes);
  void open_observer(TimeNs time, SessionDescriptor descriptor);
  void cancel(TimeNs time);
  void forget_cancel_key();
  void ignore(std::map<std::string, Unread>& kind, const std::string& reason);
  void count_session(bool finished);
  void count_connection();
  [[nodiscard]] CloseDetail close_detail(capture::ConversationEnd end, std::optional<capture::Side> by) const;
  [[nodiscard]] Direction direction_of(capture::Side side) const {
    return side == server_ ? Direction::kFromServer : Direction::kFromClient;
  }
  // A session's events are recorded in order of time: what was kept until it was proven comes after what
  // passed meanwhile.
  [[nodiscard]] TimeNs in_order(TimeNs time) { return last_shown_ = std::max(last_shown_, time); }
  [[nodiscard]] const capture::Endpoint& server_end() const { return flow_.end(*server_); }

  CaptureSessions& sessions_;
  const capture::Flow flow_;
  const bool from_beginning_;
  State state_ = State::kSide;
  std::optional<capture::Side> server_;
  std::uint64_t bytes_ = 0;  // all of them
  TimeNs last_shown_ = 0;

  std::unique_ptr<TlsConversation> tls_;
  bool sealed_ = false;  // TLS that cannot be read any more
  std::unique_ptr<SessionOpening> opening_;
  std::unique_ptr<CapturedLogin> login_;
  std::unique_ptr<SessionJoiner> joiner_;
  std::unique_ptr<proxy::SessionObserver> observer_;  // once it is a session
  proxy::ProtocolTracker tracker_;

  std::optional<Gap> gap_;  // while seeking in a session on record
  bool joined_ = false;     // it began in the middle
  bool has_gap_ = false;
  std::optional<Direction> first_finished_;  // who ended its stream first
  Unread* unread_ = nullptr;                 // of an ignored one: where its bytes count
  std::optional<std::uint32_t> cancellable_as_;
  ByteBuffer cancel_key_;
};

}  // namespace understudy::recorder
