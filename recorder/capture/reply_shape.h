// Do these answers fit these requests? Kind by kind, in order, up to each ReadyForQuery. Stricter than the
// proxy's tracker, which must follow whatever passes: this one is to tell a true beginning of a conversation
// from a place that only looks like one. (PostgreSQL documentation, "Message Flow".) Pure; bounded.
#pragma once

#include <deque>

namespace understudy::recorder {

class ReplyShape {
 public:
  // False when it does not fit, or more is outstanding than is worth following.
  [[nodiscard]] bool asked(char type);
  [[nodiscard]] bool answered(char type);

 private:
  bool answers_statement(char type);
  bool ready();

  std::deque<char> asked_;  // unanswered
  bool error_ = false;      // since the last ReadyForQuery
  bool completed_ = false;  // a simple query's statement, likewise
};

}  // namespace understudy::recorder
