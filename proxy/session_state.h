// The states of a session and what may follow what: one table under one diagram. Everything that is not in
// the table is refused, and a refused transition means that one of the peers broke the protocol.
//
//              startup              first ReadyForQuery
//   STARTUP ------------> AUTHENTICATING ------------> READY <-----------------------+
//                                                      |  ^                          |
//                                              request |  | all requests answered    |
//                                                      v  |                          |
//                           copy begins              QUERY <---- ready, more due --- EXTENDED_ERROR
//                  COPY <--------------------------   |  |                               ^
//                    |                                |  +------ error in a pipeline ----+
//                    +------- copy ends, or an error -+              (skipping to Sync)
//
//   FAILOVER: the server was lost, from any state after the login. DEPENDENCIES: another was found and is
//   made like the first; then the session is again where it was (ProtocolTracker::server_restored). RESET
//   (READY -> pool) is what ServerReset is, without a client. CLOSED is reached from every state and left by
//   none.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace understudy::proxy {

enum class SessionState : std::uint8_t {
  kStartup,
  kAuthenticating,
  kReady,
  kDependencies,
  kQuery,
  kCopy,
  kExtendedError,
  kFailover,
  kReset,
  kClosed
};
inline constexpr std::size_t kSessionStates = 10;

enum class SessionEvent : std::uint8_t {
  kStartupReceived,     // the client's start-up packet is whole and a server is being reached
  kRequestSent,         // a message that asks the server for something
  kCopyStarted,         // CopyInResponse, CopyOutResponse or CopyBothResponse
  kCopyEnded,           // the server's CommandComplete, or an error outside a pipeline
  kPipelineError,       // ErrorResponse to an extended-protocol message: the server skips to the next Sync
  kReadyMoreDue,        // ReadyForQuery while later requests are unanswered
  kReady,               // ReadyForQuery and nothing is unanswered
  kDependenciesNeeded,  // the server does not have the client's settings yet
  kServerLost,          // the server is gone and the session may move
  kServerFound,         // the session has a server again
  kReleased,            // the client left; the server session may live on
  kClose
};
inline constexpr std::size_t kSessionEvents = 12;

// The state after `event`, or nothing when it is refused.
[[nodiscard]] std::optional<SessionState> follow(SessionState state, SessionEvent event);

[[nodiscard]] std::string_view to_string(SessionState state);
[[nodiscard]] std::string_view to_string(SessionEvent event);

}  // namespace understudy::proxy
