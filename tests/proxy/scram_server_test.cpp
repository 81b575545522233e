// The server's side of SCRAM against the published exchange, our own client, and clients that cheat.
#include "proxy/scram_server.h"

#include <gtest/gtest.h>

#include "proxy/authentication.h"

namespace understudy::proxy {
namespace {

const ByteBuffer kSalt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==");

// A whole exchange with our client; what the server said last.
ScramServer::Step exchange(ScramServer& server, ScramClient& client) {
  const auto first = server.first("SCRAM-SHA-256", client.first_message());
  EXPECT_EQ(first.error, "");
  std::string error;
  const std::string answer = client.final_message(first.message, error);
  EXPECT_EQ(error, "");
  return server.final(answer);
}

ScramServer server_for(std::string_view password, ByteBuffer binding = {}) {
  return ScramServer(ScramSecret::from_password(password, kSalt), true, make_scram_nonce(),
                     std::move(binding));
}

TEST(ScramServer, LetsInWhoKnowsThePasswordAndProvesItself) {
  ScramServer server = server_for("pencil");
  ScramClient client("pencil", make_scram_nonce());
  const auto last = exchange(server, client);
  EXPECT_EQ(last.error, "");
  EXPECT_TRUE(server.proven());
  EXPECT_TRUE(client.verify(last.message));
}

TEST(ScramServer, RefusesTheWrongPassword) {
  ScramServer server = server_for("pencil");
  ScramClient client("pen", make_scram_nonce());
  const auto last = exchange(server, client);
  EXPECT_EQ(last.message, "");
  EXPECT_NE(last.error, "");
  EXPECT_FALSE(server.proven());
}

TEST(ScramServer, KeysOfAProofLogInElsewhereWithoutThePassword) {
  ScramServer proxy = server_for("pencil");
  ScramClient client("pencil", make_scram_nonce());
  (void)exchange(proxy, client);
  // The backend keeps the same secret: that is what makes the keys good there.
  ScramServer backend = server_for("pencil");
  ScramClient again(proxy.keys(), make_scram_nonce());
  const auto last = exchange(backend, again);
  EXPECT_TRUE(backend.proven());
  EXPECT_TRUE(again.verify(last.message));
}

TEST(ScramServer, NobodyIsAskedAsLongAndFailsWhateverTheProof) {
  const ScramSecret nobody = ScramSecret::for_nobody("mallory");
  EXPECT_EQ(nobody.salt, ScramSecret::for_nobody("mallory").salt);
  EXPECT_NE(nobody.salt, ScramSecret::for_nobody("trent").salt);
  ScramServer server(nobody, false, make_scram_nonce());
  ScramClient client("anything", make_scram_nonce());
  EXPECT_FALSE(exchange(server, client).error.empty());
  EXPECT_FALSE(server.proven());
}

TEST(ScramServer, AUserWithAPasswordLooksLikeNobody) {
  const ScramSecret ada = ScramSecret::for_user("ada", "pencil");
  const ScramSecret nobody = ScramSecret::for_nobody("ada");
  EXPECT_EQ(ada.salt, nobody.salt);
  EXPECT_EQ(ada.iterations, nobody.iterations);
  ScramServer server(ada, true, make_scram_nonce());
  ScramClient client("pencil", make_scram_nonce());
  (void)exchange(server, client);
  EXPECT_TRUE(server.proven());
}

TEST(ScramCrypto, NothingIsNoSecret) {
  EXPECT_FALSE(same_secret({}, {}));
  EXPECT_FALSE(same_secret({}, as_bytes("a")));
  EXPECT_FALSE(same_secret(as_bytes("a"), as_bytes("ab")));
  EXPECT_FALSE(same_secret(as_bytes("ab"), as_bytes("aa")));
  EXPECT_TRUE(same_secret(as_bytes("ab"), as_bytes("ab")));
}

TEST(ScramServer, AProofIsGoodForOneExchangeOnly) {
  ScramServer first = server_for("pencil");
  ScramClient client("pencil", make_scram_nonce());
  std::string error;
  const std::string answer =
      client.final_message(first.first("SCRAM-SHA-256", client.first_message()).message, error);
  ScramServer second = server_for("pencil");
  (void)second.first("SCRAM-SHA-256", client.first_message());
  EXPECT_FALSE(second.final(answer).error.empty());
  EXPECT_FALSE(second.proven());
}

TEST(ScramServer, AStrippedOfferOfChannelBindingIsNoticed) {
  const ByteBuffer certificate = {1, 2, 3};
  ScramServer server = server_for("pencil", certificate);
  EXPECT_FALSE(server.first("SCRAM-SHA-256", "y,,n=,r=abc").error.empty());
  // Without TLS there was nothing to offer, and the client is right.
  ScramServer plain = server_for("pencil");
  EXPECT_TRUE(plain.first("SCRAM-SHA-256", "y,,n=,r=abc").error.empty());
}

TEST(ScramServer, ABoundExchangeHoldsOnOneCertificateOnly) {
  const auto bound_exchange = [](const ByteBuffer& shown, const ByteBuffer& seen) {
    ScramServer server = server_for("pencil", shown);
    ScramClient client("pencil", make_scram_nonce());
    client.bind_to(seen);
    const auto first = server.first("SCRAM-SHA-256-PLUS", client.first_message());
    EXPECT_EQ(first.error, "");
    std::string error;
    (void)server.final(client.final_message(first.message, error));
    return server.proven();
  };
  EXPECT_TRUE(bound_exchange({1, 2, 3}, {1, 2, 3}));
  EXPECT_FALSE(bound_exchange({1, 2, 3}, {4, 5, 6}));  // somebody between shows a certificate of his own
}

TEST(ScramServer, RefusesMessagesThatAreNone) {
  for (const char* first : {"", ",", ",,", "n", "n,,", "n,,n=", "n,,r=abc", "n,a=root,n=,r=abc",
                            "n,,m=x,n=,r=abc", "p=tls-unique,,n=,r=abc", "x,,n=,r=abc"}) {
    ScramServer server = server_for("pencil");
    EXPECT_FALSE(server.first("SCRAM-SHA-256", first).error.empty()) << first;
  }
  ScramServer other = server_for("pencil");
  EXPECT_FALSE(other.first("SCRAM-SHA-1", "n,,n=,r=abc").error.empty());
  EXPECT_FALSE(other.first("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc").error.empty());
  for (const char* final : {"", "c=biws", ",p=", "c=biws,r=abc,p=!!!!", "c=biws,r=abc,p=AAAA", "p=AAAA"}) {
    ScramServer server = server_for("pencil");
    (void)server.first("SCRAM-SHA-256", "n,,n=,r=abc");
    EXPECT_FALSE(server.final(final).error.empty()) << final;
    EXPECT_FALSE(server.proven());
  }
  ScramServer unbegun = server_for("pencil");
  EXPECT_FALSE(unbegun.final("c=biws,r=abc,p=AAAA").error.empty());
}

TEST(ScramSecret, ReadsWhatPostgresqlStores) {
  // Of `ALTER ROLE ... PASSWORD 'pencil'` with this salt, computed by another implementation of RFC 7677.
  const auto secret = ScramSecret::parse(
      "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
      "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
  ASSERT_TRUE(secret.has_value());
  const ScramSecret made = ScramSecret::from_password("pencil", kSalt);
  EXPECT_EQ(secret->stored_key, made.stored_key);
  EXPECT_EQ(secret->server_key, made.server_key);
}

TEST(ScramSecret, RefusesWhatIsNone) {
  for (const char* text :
       {"", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:W22Z$AAAA:AAAA",
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$a:b", "md5164dbcd37c01a78e869e72965960a754",
        "SCRAM-SHA-256$x:W22ZaJ0SNY7soEsUEjb6gQ==$a:b",
        "SCRAM-SHA-256$99999999999:W22ZaJ0SNY7soEsUEjb6gQ==$a:b"})
    EXPECT_FALSE(ScramSecret::parse(text).has_value()) << text;
}

}  // namespace
}  // namespace understudy::proxy
