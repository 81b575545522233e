// What keeps secrets in: the filter over authentication, and the keys clients are given.
#include <gtest/gtest.h>

#include "proxy/authentication_filter.h"
#include "proxy/cancel_registry.h"

namespace understudy::proxy {
namespace {

ByteBuffer authentication(std::uint32_t code) {
  ByteBuffer payload;
  append_be32(payload, code);
  append_be32(payload, 0x5A175A17);
  return payload;
}

TEST(AuthenticationFilter, WithholdsEveryServerMessageThatHelpsAGuesser) {
  AuthenticationFilter filter;
  EXPECT_EQ(filter.server_message('R', authentication(5)), RedactionKind::kAuthSalt);
  for (const std::uint32_t code : {7U, 8U, 9U, 11U, 12U}) {
    EXPECT_EQ(filter.server_message('R', authentication(code)), RedactionKind::kSasl) << code;
  }
  EXPECT_EQ(filter.server_message('K', authentication(1)), RedactionKind::kCancelKey);
}

TEST(AuthenticationFilter, WithholdsMethodsItDoesNotKnow) {
  AuthenticationFilter filter;
  EXPECT_EQ(filter.server_message('R', authentication(99)), RedactionKind::kSasl);
}

TEST(AuthenticationFilter, ShowsWhatIsNoSecret) {
  AuthenticationFilter filter;
  EXPECT_EQ(filter.server_message('R', authentication(0)), std::nullopt);
  EXPECT_EQ(filter.server_message('R', authentication(3)), std::nullopt);
  EXPECT_EQ(filter.server_message('R', authentication(10)), std::nullopt);
  EXPECT_EQ(filter.server_message('S', as_bytes("TimeZone")), std::nullopt);
}

TEST(AuthenticationFilter, NamesTheClientsResponseByWhatWasAsked) {
  AuthenticationFilter filter;
  (void)filter.server_message('R', authentication(3));
  EXPECT_EQ(filter.client_response(), RedactionKind::kPassword);
  (void)filter.server_message('R', authentication(10));
  EXPECT_EQ(filter.client_response(), RedactionKind::kSasl);
}

CancelTarget target(std::uint32_t process_id, std::size_t key_bytes) {
  CancelTarget result;
  result.process_id = process_id;
  result.server_key.assign(key_bytes, 7);
  result.noticed = [](bool) {};
  return result;
}

TEST(CancelRegistry, GivesKeysOfTheServersLengthThatAreNotTheServers) {
  CancelRegistry registry;
  for (const std::size_t length : {4U, 32U, 256U}) {
    const ByteBuffer key = registry.enroll(target(1, length));
    EXPECT_EQ(key.size(), length);
    EXPECT_NE(key, ByteBuffer(length, 7));
    EXPECT_FALSE(registry.find(1, ByteBuffer(length, 7)));
    ASSERT_TRUE(registry.find(1, key));
    EXPECT_EQ(registry.find(1, key)->server_key, ByteBuffer(length, 7));
  }
}

TEST(CancelRegistry, NeedsTheWholeKeyAndTheProcess) {
  CancelRegistry registry;
  const ByteBuffer key = registry.enroll(target(1, 32));
  EXPECT_FALSE(registry.find(2, key));
  EXPECT_FALSE(registry.find(1, ByteView(key).first(31)));
  EXPECT_FALSE(registry.find(1, {}));
}

TEST(CancelRegistry, TellsSessionsOfOneProcessIdApart) {
  CancelRegistry registry;
  const ByteBuffer first = registry.enroll(target(1, 8));
  CancelTarget other = target(1, 8);
  other.session_number = 2;
  const ByteBuffer second = registry.enroll(std::move(other));
  EXPECT_EQ(registry.find(1, second)->session_number, 2U);
  registry.remove(1, first);
  EXPECT_FALSE(registry.find(1, first));
  EXPECT_TRUE(registry.find(1, second));
}

}  // namespace
}  // namespace understudy::proxy
