// Event payloads and checksums: exact when whole, refused when cut, never believing a length.
#include <gtest/gtest.h>

#include <random>

#include "formats/crc32c.h"
#include "formats/transcript/event.h"
#include "formats/transcript/session_set.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {
namespace {

// What was encoded decodes to the same; nothing shorter decodes; a longer one, of a later version, does.
template <typename Value>
void expect_exact(const Value& value) {
  ByteBuffer bytes;
  encode(value, bytes);
  Value out;
  ASSERT_TRUE(decode(bytes, out));
  EXPECT_EQ(out, value);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    Value cut;
    EXPECT_FALSE(decode(ByteView(bytes).first(length), cut)) << "cut to " << length;
  }
  append_bytes(bytes, as_bytes("appended by a later version"));
  ASSERT_TRUE(decode(bytes, out));
  EXPECT_EQ(out, value);
}

TEST(EventPayload, SessionDescriptorIsExactOrRefused) {
  SessionDescriptor session = descriptor({3, 4'000'000'000}, -5);
  session.protocol_version = 0x00030002;
  session.client_tls = true;
  session.attributes = {{"origin", "1.2"}, {"empty", ""}};
  expect_exact(session);
  session.client_tls = false;
  session.server_tls = true;
  session.startup_parameters.clear();
  expect_exact(session);
}

TEST(EventPayload, CloseDetailIsExactOrRefused) { expect_exact(CloseDetail{CloseReason::kTimeout, "login"}); }

TEST(EventPayload, RedactionIsExactOrRefused) {
  expect_exact(Redaction{Direction::kFromServer, RedactionKind::kCancelKey});
  Redaction out;
  EXPECT_FALSE(decode(ByteBuffer{2, 0}, out)) << "a third direction";
}

TEST(EventPayload, GapIsExactOrRefused) {
  expect_exact(Gap{GapReason::kCaptureLoss, -1, INT64_MAX, UINT64_MAX, 0, 300});
}

TEST(EventPayload, LengthsThatLieTakeNoMemory) {
  ByteBuffer bytes;
  encode(descriptor({1, 1}, 0), bytes);
  const std::size_t peer_at = bytes.size() - as_text(bytes).size() + as_text(bytes).find("192.0.2.7") - 1;
  for (const Byte lie : {Byte{0x7F}, Byte{0xFF}}) {
    ByteBuffer lying = bytes;
    lying[peer_at] = lie;
    SessionDescriptor out;
    EXPECT_FALSE(decode(lying, out));
  }
  // A count of 2^63 pairs.
  ByteBuffer counts(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(peer_at));
  append_varint(counts, 0);
  append_varint(counts, 0);
  append_varint(counts, std::uint64_t{1} << 63);
  SessionDescriptor out;
  EXPECT_FALSE(decode(counts, out));
}

TEST(EventPayload, DatabaseDefaultsToTheUserAsInTheServer) {
  SessionDescriptor session;
  session.startup_parameters = {{"user", "alice"}};
  EXPECT_EQ(session.database(), "alice");
  session.startup_parameters.emplace_back("database", "shop");
  EXPECT_EQ(session.database(), "shop");
  EXPECT_EQ(session.attribute("origin"), "");
}

TEST(Crc32c, AgreesWithPublishedValues) {
  // RFC 3720, B.4.
  EXPECT_EQ(crc32c(ByteBuffer(32, 0)), 0x8A9136AAU);
  EXPECT_EQ(crc32c(ByteBuffer(32, 0xFF)), 0x62A8AB43U);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, ProcessorAndTablesAgreeAtEveryLengthAndSplit) {
  std::mt19937 random(std::hash<std::string>{}("ProcessorAndTablesAgreeAtEveryLengthAndSplit"));
  ByteBuffer bytes(20'000);
  for (Byte& byte : bytes) byte = static_cast<Byte>(random());
  for (std::size_t length = 0; length < 100; ++length) {
    const ByteView part = ByteView(bytes).subspan(length % 9, length);
    EXPECT_EQ(crc32c(part), crc32c_portable(part));
  }
  const std::uint32_t whole = crc32c_portable(bytes);
  EXPECT_EQ(crc32c(bytes), whole);
  for (int i = 0; i < 200; ++i) {
    const std::size_t split = random() % bytes.size();
    EXPECT_EQ(crc32c(ByteView(bytes).subspan(split), crc32c(ByteView(bytes).first(split))), whole);
  }
}

TEST(SessionSet, HoldsExactlyWhatWasInserted) {
  std::mt19937 random(std::hash<std::string>{}("HoldsExactlyWhatWasInserted"));
  SessionSet set;
  std::vector<bool> expected(500, false);
  for (int i = 0; i < 400; ++i) {
    const auto number = static_cast<std::uint32_t>(random() % 500);
    EXPECT_EQ(set.insert({1, number}), !expected[number]);
    expected[number] = true;
    for (std::uint32_t n = 0; n < 500; n += 7) ASSERT_EQ(set.contains({1, n}), expected[n]) << n;
  }
  EXPECT_FALSE(set.contains({0, 1}));
  EXPECT_FALSE(set.contains({2, 1}));
}

}  // namespace
}  // namespace understudy::test
