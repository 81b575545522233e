// A stream with something taken out or put in; a view of the stream as long as nothing is. Lives for one
// turn.
#pragma once

#include <utility>

#include "formats/bytes.h"

namespace understudy::proxy {

class Splice {
 public:
  Splice(ByteView source, ByteBuffer& out) : source_(source), out_(out) {}
  void pass(std::size_t count) { at_ += count; }
  void drop(std::size_t count) {
    flush();
    at_ += count;
    run_ = at_;
  }
  void insert(ByteView bytes) {
    flush();
    append_bytes(out_, bytes);
  }
  [[nodiscard]] ByteView result() {
    if (!spliced_) return source_;
    flush();
    return out_;
  }

 private:
  void flush() {
    if (!std::exchange(spliced_, true)) out_.clear();
    append_bytes(out_, source_.subspan(run_, at_ - run_));
    run_ = at_;
  }
  ByteView source_;
  ByteBuffer& out_;
  std::size_t at_ = 0;
  std::size_t run_ = 0;
  bool spliced_ = false;
};

}  // namespace understudy::proxy
