#include "formats/wire/startup.h"

#include <gtest/gtest.h>

#include "tests/formats/wire_rebuild.h"

namespace understudy::wire {
namespace {

ByteBuffer packet(std::uint32_t length, std::uint32_t code, std::string_view rest = {}) {
  ByteBuffer bytes;
  append_be32(bytes, length);
  append_be32(bytes, code);
  append_bytes(bytes, as_bytes(rest));
  return bytes;
}

// With the length that is right for `rest`.
ByteBuffer packet(std::uint32_t code, std::string_view rest) {
  return packet(static_cast<std::uint32_t>(8 + rest.size()), code, rest);
}

std::size_t error_offset(const ByteBuffer& bytes, std::size_t limit = kDefaultStartupLimit) {
  const StartupDecoded decoded = decode_startup(bytes, limit);
  EXPECT_NE(decoded.error(), nullptr);
  EXPECT_EQ(decoded.consumed, 0u);
  return decoded.error() != nullptr ? decoded.error()->offset : SIZE_MAX;
}

std::vector<ByteBuffer> every_kind() {
  std::vector<ByteBuffer> packets(5);
  append_startup_message(
      packets[0], {kProtocol32, {{"user", "ada"}, {"database", ""}, {"_pq_.x", "1"}, {"user", "again"}}});
  append_startup_message(packets[1], {kProtocol30, {}});
  append_ssl_request(packets[2]);
  append_gss_enc_request(packets[3]);
  append_cancel_request(packets[4], 4711, ByteBuffer(32, 0xAB));
  return packets;
}

TEST(WireStartup, DecodedAndBuiltAgainIsTheSameBytes) {
  for (const ByteBuffer& bytes : every_kind()) {
    const StartupDecoded decoded = decode_startup(bytes);
    ASSERT_NE(decoded.packet(), nullptr);
    EXPECT_EQ(decoded.consumed, bytes.size());
    EXPECT_EQ(rebuild(*decoded.packet()), bytes);
  }
}

TEST(WireStartup, ParametersKeepOrderEmptyValuesAndRepetitions) {
  const ByteBuffer bytes = every_kind()[0];
  const StartupDecoded decoded = decode_startup(bytes);
  const auto& message = std::get<StartupMessage>(*decoded.packet());
  EXPECT_EQ(message.protocol_version, kProtocol32);
  ASSERT_EQ(message.parameters.size(), 4u);
  EXPECT_EQ(message.parameters[0].second, "ada");
  EXPECT_EQ(message.parameters[1].second, "");
  EXPECT_EQ(message.parameters[3].second, "again");
}

TEST(WireStartup, EverySplitPointSaysHowMuchIsMissing) {
  for (const ByteBuffer& bytes : every_kind()) {
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const ByteBuffer cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
      const StartupDecoded decoded = decode_startup(cut);
      ASSERT_NE(decoded.need_more(), nullptr) << length;
      EXPECT_GT(decoded.need_more()->bytes, 0u);
      EXPECT_LE(length + decoded.need_more()->bytes, bytes.size());
      if (length >= 4) {
        EXPECT_EQ(length + decoded.need_more()->bytes, bytes.size());
      }
    }
  }
}

TEST(WireStartup, FollowingBytesAreLeftAlone) {
  ByteBuffer bytes = every_kind()[0];
  const std::size_t length = bytes.size();
  append_bytes(bytes, as_bytes("Q\0\0\0"));
  EXPECT_EQ(decode_startup(bytes).consumed, length);
}

TEST(WireStartup, LengthsThatLieAreErrorsAfterFourBytes) {
  for (const std::uint32_t length : {0u, 3u, 4u, 7u, 10'005u, 0x40000000u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    ByteBuffer bytes;
    append_be32(bytes, length);
    EXPECT_EQ(error_offset(bytes), 0u) << length;
  }
}

TEST(WireStartup, LimitCountsAsTheServerDoes) {
  ByteBuffer bytes;
  append_startup_message(bytes, {kProtocol30, {{"user", std::string(20, 'x')}}});
  EXPECT_NE(decode_startup(bytes, bytes.size() - 4).packet(), nullptr);
  EXPECT_EQ(error_offset(bytes, bytes.size() - 5), 0u);
}

TEST(WireStartup, HttpOnThePortIsALengthTooLarge) { EXPECT_EQ(error_offset({'G', 'E', 'T', ' ', '/'}), 0u); }

TEST(WireStartup, TlsClientHelloIsALengthTooLarge) { EXPECT_EQ(error_offset({0x16, 0x03, 0x01, 0x02}), 0u); }

TEST(WireStartup, UnsupportedVersionIsAnErrorBeforeThePacketIsWhole) {
  for (const std::uint32_t version : {0u, 0x00020000u, 0x00040000u, 0xFFFFFFFFu})
    EXPECT_EQ(error_offset(packet(100, version)), 4u) << version;
}

// 3.9999 is what clients send to see whether servers negotiate.
TEST(WireStartup, LaterMinorVersionsAreNotErrors) {
  ByteBuffer bytes;
  append_startup_message(bytes, {0x0003270F, {{"user", "ada"}}});
  EXPECT_NE(decode_startup(bytes).packet(), nullptr);
}

TEST(WireStartup, MissingTerminatorIsAnError) {
  EXPECT_EQ(error_offset(packet(kProtocol30, "")), 8u);
  EXPECT_EQ(error_offset(packet(kProtocol30, std::string_view("user\0ada\0", 9))), 17u);
  EXPECT_EQ(error_offset(packet(kProtocol30, std::string_view("user\0ada", 8))), 13u);
  EXPECT_EQ(error_offset(packet(kProtocol30, std::string_view("user\0", 5))), 13u);
  EXPECT_EQ(error_offset(packet(kProtocol30, "user")), 8u);
}

TEST(WireStartup, BytesAfterTheTerminatorAreAnError) {
  EXPECT_EQ(error_offset(packet(kProtocol30, std::string_view("user\0ada\0\0x", 11))), 18u);
  EXPECT_EQ(error_offset(packet(kProtocol30, std::string_view("\0\0", 2))), 9u);
}

TEST(WireStartup, EncryptionRequestsCarryNothing) {
  EXPECT_EQ(error_offset(packet(kSslRequestCode, "x")), 8u);
  EXPECT_EQ(error_offset(packet(kGssEncRequestCode, "x")), 8u);
}

// The CVE-2021-23222 class: what follows an encryption request is not part of it, and the caller must see it.
TEST(WireStartup, BytesBehindAnEncryptionRequestAreNotConsumed) {
  ByteBuffer bytes;
  append_ssl_request(bytes);
  append_startup_message(bytes, {kProtocol30, {{"user", "mallory"}}});
  EXPECT_EQ(decode_startup(bytes).consumed, 8u);
}

TEST(WireStartup, CancelKeysHaveFourTo256Bytes) {
  for (const std::size_t length : {0u, 3u, 4u, 5u, 32u, 256u, 257u, 1000u}) {
    ByteBuffer bytes;
    append_cancel_request(bytes, 4711, ByteBuffer(length, 7));
    const StartupDecoded decoded = decode_startup(bytes);
    if (length < 4 || length > 256) {
      EXPECT_EQ(error_offset(bytes), 12u) << length;
      continue;
    }
    ASSERT_NE(decoded.packet(), nullptr) << length;
    EXPECT_EQ(std::get<CancelRequest>(*decoded.packet()), (CancelRequest{4711, ByteBuffer(length, 7)}));
  }
}

TEST(WireStartup, CancelRequestWithoutAPidIsAnError) {
  EXPECT_EQ(error_offset(packet(kCancelRequestCode, "")), 8u);
  EXPECT_EQ(error_offset(packet(kCancelRequestCode, "abc")), 8u);
}

TEST(WireStartup, BuiltParametersCannotSmuggleOthers) {
  ByteBuffer bytes;
  append_startup_message(bytes,
                         {kProtocol30, {{"user", std::string("ada\0database\0secret", 19)}, {"", "x"}}});
  const StartupDecoded decoded = decode_startup(bytes);
  ASSERT_NE(decoded.packet(), nullptr);
  EXPECT_EQ(std::get<StartupMessage>(*decoded.packet()), (StartupMessage{kProtocol30, {{"user", "ada"}}}));
}

}  // namespace
}  // namespace understudy::wire
