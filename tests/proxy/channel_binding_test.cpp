// What is taken out of a relayed SCRAM exchange, and which client cannot be served then.
#include "proxy/channel_binding.h"

#include <gtest/gtest.h>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"

namespace understudy::proxy {
namespace {

ByteBuffer offer(std::vector<std::string_view> mechanisms) {
  ByteBuffer message;
  wire::append_authentication_sasl(message, mechanisms);
  return message;
}

ByteBuffer without_binding(ByteBuffer message) {
  message.resize(take_out_channel_binding(message));
  return message;
}

TEST(ChannelBinding, IsTakenOutWhereverItStands) {
  const ByteBuffer plain = offer({"SCRAM-SHA-256"});
  EXPECT_EQ(without_binding(offer({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"})), plain);
  EXPECT_EQ(without_binding(offer({"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"})), plain);
  EXPECT_EQ(without_binding(offer({"SCRAM-SHA-256-PLUS"})), offer({}));
}

TEST(ChannelBinding, LeavesEveryOtherMessageAsItIs) {
  ByteBuffer ok;
  wire::append_authentication_ok(ok);
  ByteBuffer status;
  wire::append_parameter_status(status, "s", "SCRAM-SHA-256-PLUS");
  for (const ByteBuffer& message : {offer({"SCRAM-SHA-256"}), offer({}), ok, status}) {
    EXPECT_EQ(without_binding(message), message);
  }
}

TEST(ChannelBinding, SurvivesTruncatedOffers) {
  const ByteBuffer whole = offer({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ByteBuffer cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_LE(take_out_channel_binding(cut), size);
  }
}

bool believes(std::string_view mechanism, std::string_view response) {
  ByteBuffer message;
  wire::append_sasl_initial_response(message, mechanism, {as_bytes(response)});
  return believes_server_cannot_bind(ByteView(message).subspan(5));
}

TEST(ChannelBinding, SeesWhichClientsBelieveThatTheServerCannot) {
  EXPECT_TRUE(believes("SCRAM-SHA-256", "y,,n=,r=abc"));
  EXPECT_FALSE(believes("SCRAM-SHA-256", "n,,n=,r=abc"));
  EXPECT_FALSE(believes("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abc"));
  EXPECT_FALSE(believes("SCRAM-SHA-256", ""));
  EXPECT_FALSE(believes("OTHER", "y,,n=,r=abc"));
  EXPECT_FALSE(believes_server_cannot_bind(as_bytes("a password that is long enough")));
  EXPECT_FALSE(believes_server_cannot_bind({}));
}

}  // namespace
}  // namespace understudy::proxy
