// The table of states: what may follow what, and that all else is refused.
#include "proxy/session_state.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

namespace understudy::proxy {
namespace {

using S = SessionState;
using E = SessionEvent;

constexpr S kAllStates[] = {S::kStartup, S::kAuthenticating, S::kReady,    S::kDependencies, S::kQuery,
                            S::kCopy,    S::kExtendedError,  S::kFailover, S::kReset,        S::kClosed};
constexpr E kAllEvents[] = {E::kStartupReceived, E::kRequestSent,  E::kCopyStarted, E::kCopyEnded,
                            E::kPipelineError,   E::kReadyMoreDue, E::kReady,       E::kDependenciesNeeded,
                            E::kServerLost,      E::kServerFound,  E::kReleased,    E::kClose};

struct Step {
  S from;
  E event;
  S to;
};
// Written a second time, by hand, from the diagram: a slip in either shows.
constexpr Step kAllowed[] = {
    {S::kStartup, E::kStartupReceived, S::kAuthenticating},
    {S::kAuthenticating, E::kReady, S::kReady},
    {S::kReady, E::kRequestSent, S::kQuery},
    {S::kReady, E::kDependenciesNeeded, S::kDependencies},
    {S::kReady, E::kServerLost, S::kFailover},
    {S::kReady, E::kReleased, S::kReset},
    {S::kQuery, E::kRequestSent, S::kQuery},
    {S::kQuery, E::kReadyMoreDue, S::kQuery},
    {S::kQuery, E::kReady, S::kReady},
    {S::kQuery, E::kCopyStarted, S::kCopy},
    {S::kQuery, E::kCopyEnded, S::kQuery},
    {S::kQuery, E::kPipelineError, S::kExtendedError},
    {S::kQuery, E::kServerLost, S::kFailover},
    {S::kCopy, E::kRequestSent, S::kCopy},
    {S::kCopy, E::kCopyEnded, S::kQuery},
    {S::kCopy, E::kPipelineError, S::kExtendedError},
    {S::kCopy, E::kReadyMoreDue, S::kQuery},
    {S::kCopy, E::kReady, S::kReady},
    {S::kExtendedError, E::kRequestSent, S::kExtendedError},
    {S::kExtendedError, E::kReadyMoreDue, S::kQuery},
    {S::kExtendedError, E::kReady, S::kReady},
    {S::kExtendedError, E::kServerLost, S::kFailover},
    {S::kCopy, E::kServerLost, S::kFailover},
    {S::kDependencies, E::kRequestSent, S::kDependencies},
    {S::kDependencies, E::kReadyMoreDue, S::kQuery},
    {S::kDependencies, E::kReady, S::kReady},
    {S::kDependencies, E::kServerLost, S::kFailover},
    {S::kFailover, E::kServerFound, S::kDependencies},
};

TEST(SessionState, FollowsEveryAllowedTransition) {
  for (const Step& step : kAllowed) {
    EXPECT_EQ(follow(step.from, step.event), step.to)
        << to_string(step.from) << " on " << to_string(step.event);
  }
}

TEST(SessionState, RefusesEveryOtherTransition) {
  std::set<std::pair<S, E>> allowed;
  for (const Step& step : kAllowed) allowed.emplace(step.from, step.event);
  for (const S state : kAllStates) {
    for (const E event : kAllEvents) {
      if (event == E::kClose || allowed.contains({state, event})) continue;
      EXPECT_EQ(follow(state, event), std::nullopt) << to_string(state) << " on " << to_string(event);
    }
  }
}

TEST(SessionState, ClosesFromEveryStateOnce) {
  for (const S state : kAllStates) {
    if (state == S::kClosed) continue;
    EXPECT_EQ(follow(state, E::kClose), S::kClosed) << to_string(state);
  }
  EXPECT_EQ(follow(S::kClosed, E::kClose), std::nullopt);
}

TEST(SessionState, EveryStateAndEventHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const S state : kAllStates) names.insert(to_string(state));
  for (const E event : kAllEvents) names.insert(to_string(event));
  EXPECT_EQ(names.size(), kSessionStates + kSessionEvents);
}

}  // namespace
}  // namespace understudy::proxy
