// Rules files, values, statements and whole sessions against masking. What is held: nothing crashes; only
// RulesError; a token has its value's length and shape; a masked statement its text's length; of a session,
// what comes out and what is told as left out is as long as what went in.
//
// Input: one byte of choices; the rest is the text, or pieces of a session: a byte of side, one of length,
// bytes.
#include <algorithm>

#include "formats/masking/tokens.h"
#include "formats/masking/value_shape.h"
#include "replayer/mask/masked_session.h"
#include "tests/fuzz/require.h"

namespace understudy::replayer {
namespace {

constexpr std::string_view kKey = "0123456789abcdef";

const masking::Rules& rules() {
  static const masking::Rules rules("column a\ncolumn t.b as f\ntype uuid\npattern secret\ntable t (c, b)",
                                    "rules");
  return rules;
}

// A pattern may ask regcomp() for as much memory as whoever wrote it likes: it is the operator's, and not
// made up here.
void read_rules(std::string_view text) {
  if (text.find("pattern") != std::string_view::npos) return;
  try {
    const masking::Rules read(text, "rules");
    for (const masking::Rule& rule : read.all()) {
      const masking::Rules again(rule.text(), "rules");
      require(again.all().size() == 1);
    }
  } catch (const masking::RulesError&) {
  }
}

void mask_value(std::string_view value) {
  masking::Tokens tokens(kKey);
  const auto token = tokens.mask(value, "");
  if (!token) return;
  require(token->size() == value.size());
  const auto shape = [](std::string_view text) {
    return masking::shape_of(text.substr(0, text.find_last_not_of(' ') + 1));
  };
  require(shape(*token) == shape(value));
}

void mask_statement(std::string_view sql) {
  ValueMasker masker(rules(), kKey);
  ByteBuffer text(sql.begin(), sql.end());
  const auto values = masker.read(sql);
  masker.mask_statement(text, *values, {{"p", values}});
  ByteBuffer again(sql.begin(), sql.end());
  masker.mask_statement(again, *masker.read(sql, {{"u", {"c", "a"}}}), {});
  if (values->understood) return;
  require(again == text);
  for (const Byte byte : text) require(byte <= ' ' || byte == 'x');
}

void mask_session(ByteView input) {
  ValueMasker masker(rules(), kKey);
  MaskedSession session(masker);
  session.begin();
  std::uint64_t fed = 0;
  std::uint64_t told = 0;
  TimeNs now = 1;
  const auto emit = [&](TimeNs, EventKind kind, ByteView data) {
    if (kind == EventKind::kGap) {
      Gap gap;
      require(decode(data, gap));
      told += gap.client_bytes + gap.server_bytes;
    } else {
      told += data.size();
    }
  };
  ByteReader in(input);
  while (in.remaining() > 2) {
    const bool from_client = in.u8() % 2 == 0;
    const std::size_t wanted = in.u8();
    const ByteView piece = in.bytes(std::min(wanted, in.remaining()));
    fed += piece.size();
    session.take({.session = {1, 1},
                  .time = ++now,
                  .kind = from_client ? EventKind::kClientBytes : EventKind::kServerBytes,
                  .data = piece},
                 emit);
  }
  session.finish(now, emit);
  require(told == fed);
}

}  // namespace
}  // namespace understudy::replayer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace understudy;
  if (size < 2) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      replayer::read_rules(as_text(rest));
      break;
    case 1:
      replayer::mask_value(as_text(rest));
      break;
    case 2:
      replayer::mask_statement(as_text(rest));
      break;
    default:
      replayer::mask_session(rest);
  }
  return 0;
}
