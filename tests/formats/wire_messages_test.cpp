// Properties every message holds to, both directions. What single messages mean is in
// wire_frontend_messages_test.cpp and wire_backend_messages_test.cpp.
#include <gtest/gtest.h>

#include <set>

#include "tests/formats/wire_samples.h"

namespace understudy::wire {
namespace {

// On the heap and of exactly that size, so that a sanitizer sees a decoder reach past the end.
ByteBuffer exactly(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

bool decodes(const Sample& sample, ByteView payload) {
  return with_decoded(sample.direction, sample.type(), payload,
                      [](const auto& decoded) { return decoded.has_value(); });
}

TEST(WireMessages, SamplesCoverEveryMessageType) {
  for (const Direction direction : {Direction::kFromClient, Direction::kFromServer}) {
    std::set<char> seen;
    for (const Sample& sample : samples())
      if (sample.direction == direction) seen.insert(sample.type());
    for (int type = -128; type < 128; ++type)
      EXPECT_EQ(is_message_type(direction, static_cast<char>(type)), seen.contains(static_cast<char>(type)))
          << type;
  }
}

TEST(WireMessages, DecodedAndBuiltAgainIsTheSameBytes) {
  for (const Sample& sample : samples()) {
    const ByteBuffer again =
        with_decoded(sample.direction, sample.type(), sample.payload(), [&](auto decoded) {
          EXPECT_TRUE(decoded) << sample.name << ": " << decoded.error().text;
          return decoded ? rebuild(*decoded) : ByteBuffer();
        });
    EXPECT_EQ(again, sample.bytes) << sample.name;
  }
}

TEST(WireMessages, EveryTruncationIsAnError) {
  for (const Sample& sample : samples()) {
    for (std::size_t length = 0; length < sample.payload().size(); ++length) {
      const ByteBuffer cut = exactly(sample.payload().first(length));
      const bool decoded = decodes(sample, cut);
      if (!sample.open_ended) {
        EXPECT_FALSE(decoded) << sample.name << " cut to " << length;
      }
    }
  }
}

TEST(WireMessages, TruncationErrorsPointIntoThePayload) {
  for (const Sample& sample : samples()) {
    for (std::size_t length = 0; length < sample.payload().size(); ++length) {
      const ByteBuffer cut = exactly(sample.payload().first(length));
      with_decoded(sample.direction, sample.type(), cut, [&](const auto& decoded) {
        if (decoded) return;
        EXPECT_LE(decoded.error().offset, length) << sample.name;
        EXPECT_FALSE(decoded.error().text.empty()) << sample.name;
      });
    }
  }
}

TEST(WireMessages, BytesAfterTheLastFieldAreAnError) {
  for (const Sample& sample : samples()) {
    if (sample.open_ended || sample.type() == backend::kBackendKeyData) continue;
    ByteBuffer longer = exactly(sample.payload());
    longer.push_back(0);
    EXPECT_FALSE(decodes(sample, longer)) << sample.name;
  }
}

// Whatever byte is wrong, the decoder answers, and what it accepts it can build again.
TEST(WireMessages, EveryFlippedByteIsAnErrorOrAnotherValidMessage) {
  for (const Sample& sample : samples()) {
    for (std::size_t at = 0; at < sample.payload().size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xFF}) {
        ByteBuffer flipped = exactly(sample.payload());
        flipped[at] = static_cast<Byte>(flipped[at] ^ flip);
        with_decoded(sample.direction, sample.type(), flipped, [&](const auto& decoded) {
          if (!decoded) return;
          const ByteBuffer again = rebuild(*decoded);
          EXPECT_EQ(exactly(ByteView(again).subspan(5)), flipped) << sample.name << " at " << at;
        });
      }
    }
  }
}

TEST(WireMessages, UnknownTypesAreErrors) {
  EXPECT_FALSE(decode_frontend('Z', {}));
  EXPECT_FALSE(decode_frontend(0, {}));
  EXPECT_FALSE(decode_backend('Q', {}));
  EXPECT_FALSE(decode_backend(static_cast<char>(0xFF), {}));
  EXPECT_EQ(message_name(Direction::kFromClient, 'Z'), "unknown");
}

TEST(WireMessages, SameLetterHasItsDirectionsMeaning) {
  EXPECT_EQ(message_name(Direction::kFromClient, 'D'), "Describe");
  EXPECT_EQ(message_name(Direction::kFromServer, 'D'), "DataRow");
  EXPECT_EQ(message_name(Direction::kFromClient, 'E'), "Execute");
  EXPECT_EQ(message_name(Direction::kFromServer, 'E'), "ErrorResponse");
}

}  // namespace
}  // namespace understudy::wire
