// An Output for what writes to a std::ostream: its errors, and OutputClosed, leave the << that met them. One
// thread at a time.
#pragma once

#include <ostream>
#include <streambuf>

#include "replayer/output.h"

namespace understudy::replayer {

class OutputStream final : public std::ostream {
 public:
  // `output` is borrowed; its finish() is its owner's to call.
  explicit OutputStream(Output& output) : std::ostream(nullptr), buffer_(output) {
    rdbuf(&buffer_);
    exceptions(std::ios::badbit);
  }

 private:
  class Buffer final : public std::streambuf {
   public:
    explicit Buffer(Output& output) : output_(output) {}

   private:
    std::streamsize xsputn(const char* text, std::streamsize bytes) override {
      output_.write({text, static_cast<std::size_t>(bytes)});
      return bytes;
    }
    int_type overflow(int_type character) override {
      if (traits_type::eq_int_type(character, traits_type::eof())) return traits_type::not_eof(character);
      const char one = traits_type::to_char_type(character);
      output_.write({&one, 1});
      return character;
    }

    Output& output_;
  };

  Buffer buffer_;
};

}  // namespace understudy::replayer
