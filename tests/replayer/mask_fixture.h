// A session that is masked as it is said.
#pragma once

#include <gtest/gtest.h>

#include "formats/wire/backend_builders.h"
#include "formats/wire/message_types.h"
#include "replayer/mask/masked_session.h"
#include "tests/replayer/support.h"

namespace understudy::replayer {

// Everything a session says, with `*` for what changed.
class MaskFixture : public ::testing::Test {
 protected:
  explicit MaskFixture(const std::string& rules = "column email") : rules_(rules, "rules") {}
  void client(const std::string& bytes) { say(EventKind::kClientBytes, bytes); }
  void server(const std::string& bytes) { say(EventKind::kServerBytes, bytes); }
  // What came out of the side's bytes since the last call, letters that changed as '*'.
  std::string heard() {
    std::string out;
    for (std::size_t i = 0; i < said_.size() && i < out_.size(); ++i)
      out += said_[i] == out_[i] ? said_[i] : '*';
    said_.clear();
    out_.clear();
    return out;
  }
  bool changed() {
    const bool differs = said_ != out_;
    EXPECT_EQ(said_.size(), out_.size());
    said_.clear();
    out_.clear();
    return differs;
  }
  static std::string copy_asked(std::size_t columns) {
    ByteBuffer out;
    wire::append_copy_response(out, wire::backend::kCopyInResponse, 0, std::vector<std::int16_t>(columns));
    return std::string(as_text(out));
  }
  static std::string error(std::vector<wire::ErrorField> fields) {
    ByteBuffer out;
    wire::append_error_fields(out, 'E', fields);
    return std::string(as_text(out));
  }
  void say(EventKind kind, const std::string& bytes) {
    said_ += bytes;
    session_.take({.session = test::kA, .time = ++now_, .kind = kind, .data = as_bytes(bytes)}, emit_);
  }

  const masking::Rules rules_;
  ValueMasker masker_{rules_, "0123456789abcdef"};
  MaskedSession session_{masker_};
  TimeNs now_ = 0;
  std::string said_;
  std::string out_;
  std::vector<Gap> gaps_;
  MaskedSession::Emit emit_ = [this](TimeNs, EventKind kind, ByteView data) {
    Gap gap;
    if (kind == EventKind::kGap && decode(data, gap)) {
      gaps_.push_back(gap);
    } else {
      out_ += as_text(data);
    }
  };
};

}  // namespace understudy::replayer
