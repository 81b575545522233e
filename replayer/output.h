// Where a command writes its result: standard output or a file. A reader that has seen enough and closed the
// pipe (`show | head`) ends a command quietly; a full disk ends it with an error. One thread at a time.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace understudy::replayer {

// Nobody reads any more: thrown by Output, caught where a command begins.
struct OutputClosed {};

class Output {
 public:
  // Standard output; or `path`, created or overwritten (std::runtime_error when it cannot be).
  Output();
  explicit Output(const std::string& path);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Throws OutputClosed, or std::runtime_error when it cannot be written.
  void write(std::string_view text);
  void line(std::string_view text) {
    write(text);
    write("\n");
  }
  // All that was written is out; call it last, for its errors.
  void finish();
  // For a command whose exit code is its result: a pipe that was closed is written to no more, and no error.
  void go_on_when_closed() { goes_on_ = true; }
  [[nodiscard]] bool is_terminal() const;

 private:
  void fail();

  std::FILE* file_;
  std::string name_;  // empty: standard output
  bool goes_on_ = false;
  bool closed_ = false;
};

}  // namespace understudy::replayer
