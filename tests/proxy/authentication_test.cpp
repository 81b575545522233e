// The client's side of a login against published examples and hostile servers.
#include "proxy/authentication.h"

#include <gtest/gtest.h>

#include "formats/wire/message_types.h"

namespace understudy::proxy {
namespace {

// RFC 7677, section 3. The RFC's client names its user; PostgreSQL's leave it empty, so the proof differs,
// and what is compared is computed from the RFC's own exchange with that one change.
constexpr const char* kNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr const char* kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

ByteBuffer request(std::uint32_t code, std::string_view rest = {}) {
  ByteBuffer payload;
  append_be32(payload, code);
  append_bytes(payload, as_bytes(rest));
  return payload;
}

TEST(Scram, FirstMessageHasNoChannelBindingAndNoUser) {
  EXPECT_EQ(ScramClient("pencil", kNonce).first_message(), std::string("n,,n=,r=") + kNonce);
}

// RFC 5802, section 6: "y" is how a client says that it could have bound the channel and was not offered to.
TEST(ClientAuthenticator, SaysThatItCouldHaveBoundTheChannel) {
  using Code = wire::AuthenticationCode;
  const auto first = [](std::string_view mechanisms, const ByteBuffer& end_point) {
    ClientAuthenticator authenticator("ada", "pencil");
    authenticator.bind_to(end_point);
    const auto step = authenticator.answer(request(static_cast<std::uint32_t>(Code::kSasl), mechanisms));
    return std::string(as_text(step.reply));
  };
  const std::string_view plain("SCRAM-SHA-256\0\0", 15);
  const std::string_view both("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 34);
  EXPECT_NE(first(plain, {1, 2, 3}).find("y,,n=,r="), std::string::npos);
  EXPECT_NE(first(both, {1, 2, 3}).find("p=tls-server-end-point,,n=,r="), std::string::npos);
  EXPECT_NE(first(plain, {}).find("n,,n=,r="), std::string::npos);
}

TEST(Scram, FinalMessageKeepsTheServersNonce) {
  ScramClient client("pencil", kNonce);
  std::string error;
  const std::string final = client.final_message(kServerFirst, error);
  EXPECT_TRUE(error.empty());
  EXPECT_TRUE(final.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=")) << final;
}

TEST(Scram, RefusesAChallengeThatIsNoAnswerToOurs) {
  for (const char* challenge :
       {"r=somebodyelse,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000", "", ",,,", "r="}) {
    ScramClient client("pencil", kNonce);
    std::string error;
    EXPECT_EQ(client.final_message(challenge, error), "");
    EXPECT_FALSE(error.empty()) << challenge;
  }
}

TEST(Scram, BelievesNoServerThatCannotSign) {
  ScramClient client("pencil", kNonce);
  EXPECT_FALSE(client.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  std::string error;
  (void)client.final_message(kServerFirst, error);
  EXPECT_FALSE(client.verify("v=AAAA"));
  EXPECT_FALSE(client.verify(""));
}

TEST(ClientAuthenticator, AnswersMd5AsTheServerComputesIt) {
  // "md5" + md5(md5("secret" + "ada") + salt), computed with another implementation.
  ClientAuthenticator login("ada", "secret");
  const auto step = login.answer(request(5, "\x01\x02\x03\x04"));
  ASSERT_TRUE(step.error.empty());
  EXPECT_EQ(as_text(ByteView(step.reply).subspan(5)),
            std::string_view("md5164dbcd37c01a78e869e72965960a754\0", 36));
}

TEST(ClientAuthenticator, SaysWhichPasswordIsMissing) {
  ClientAuthenticator login("ada", "");
  const auto step = login.answer(request(3));
  EXPECT_TRUE(step.reply.empty());
  EXPECT_NE(step.error.find("\"ada\""), std::string::npos);
}

TEST(ClientAuthenticator, RefusesWhatItCannotDo) {
  ClientAuthenticator login("ada", "secret");
  EXPECT_FALSE(login.answer(request(7)).error.empty());
  EXPECT_FALSE(login.answer(request(99)).error.empty());
  EXPECT_FALSE(login.answer({}).error.empty());
  EXPECT_FALSE(login.answer(request(10, std::string_view("SCRAM-SHA-1\0\0", 13))).error.empty());
  EXPECT_FALSE(login.answer(request(11, kServerFirst)).error.empty());
  EXPECT_FALSE(login.answer(request(12, "v=x")).error.empty());
}

}  // namespace
}  // namespace understudy::proxy
