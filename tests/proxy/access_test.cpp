// Who may come in: users' files and rules, and the mistakes people make in them.
#include <gmock/gmock.h>

#include "proxy/access_rules.h"
#include "proxy/user_file.h"

namespace understudy::proxy {
namespace {

using testing::HasSubstr;

template <typename Call>
std::string refusal(Call&& call) {
  try {
    (void)call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(UserFile, KnowsPasswordsHashesAndSecretsApart) {
  const UserFile file = UserFile::parse(
      "; users\n\n\"ada\" \"plain word\"\n"
      "\"bob\" \"md5164dbcd37c01a78e869e72965960a754\" ignored\r\n"
      "  \"eve \"\"x\"\"\" \"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
      "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\"",
      "users.txt");
  ASSERT_EQ(file.size(), 3U);
  EXPECT_EQ(file.find("ada")->password, "plain word");
  EXPECT_EQ(file.find("bob")->md5, "md5164dbcd37c01a78e869e72965960a754");
  ASSERT_NE(file.find("eve \"x\""), nullptr);
  EXPECT_TRUE(file.find("eve \"x\"")->scram.has_value());
  EXPECT_EQ(file.find("mallory"), nullptr);
}

TEST(UserFile, MistakesAreToldWithTheirLine) {
  EXPECT_THAT(refusal([] { return UserFile::parse("\"ada\" \"x\"\nbob x\n", "u"); }),
              HasSubstr("u:2: expected"));
  EXPECT_THAT(refusal([] { return UserFile::parse("\"ada\" \"x\n", "u"); }), HasSubstr("u:1: expected"));
  EXPECT_THAT(refusal([] { return UserFile::parse("\"ada\"\n", "u"); }), HasSubstr("u:1: expected"));
  EXPECT_THAT(refusal([] { return UserFile::parse("\"\" \"x\"\n", "u"); }), HasSubstr("empty"));
  EXPECT_THAT(refusal([] { return UserFile::parse("\"a\" \"x\"\n\"a\" \"y\"\n", "u"); }),
              HasSubstr("u:2: user \"a\" was given before"));
  EXPECT_THAT(refusal([] { return UserFile::read("/nonexistent/users"); }), HasSubstr("/nonexistent/users"));
}

std::optional<AuthenticationMethod> judged(const char* rules, Visitor visitor) {
  return AccessRules::parse(rules, "hba").method_for(visitor);
}

TEST(AccessRules, TheFirstThatFitsDecides) {
  const char* const rules =
      "# comment\n"
      "local  all   all                     trust\n"
      "host   shop  ada,\"Bob, Jr\"  10.0.0.0/8   md5   # inside\n"
      "hostssl all  all    ::/0             scram-sha-256\n"
      "hostssl all  all    all              scram-sha-256\n"
      "host   all   all    0.0.0.0/0        reject\n";
  using M = AuthenticationMethod;
  EXPECT_EQ(judged(rules, {"unix:", false, "any", "one"}), M::kTrust);
  EXPECT_EQ(judged(rules, {"10.1.2.3:4000", false, "shop", "ada"}), M::kMd5);
  EXPECT_EQ(judged(rules, {"10.1.2.3:4000", false, "shop", "Bob, Jr"}), M::kMd5);
  EXPECT_EQ(judged(rules, {"10.1.2.3:4000", false, "shop", "eve"}), M::kReject);
  EXPECT_EQ(judged(rules, {"11.1.2.3:4000", true, "shop", "ada"}), M::kScram);
  EXPECT_EQ(judged(rules, {"[2001:db8::1]:4000", true, "shop", "ada"}), M::kScram);
  EXPECT_EQ(judged(rules, {"[2001:db8::1]:4000", false, "shop", "ada"}), std::nullopt);
}

TEST(AccessRules, AnIpv4ClientOnAnIpv6SocketIsThatIpv4Client) {
  EXPECT_EQ(judged("host all all 10.0.0.0/8 md5\n", {"[::ffff:10.1.2.3]:4000", false, "d", "u"}),
            AuthenticationMethod::kMd5);
}

TEST(AccessRules, SameuserIsTheDatabaseOfTheUsersName) {
  const char* const rules = "host sameuser all all md5\n";
  EXPECT_EQ(judged(rules, {"10.1.2.3:1", false, "ada", "ada"}), AuthenticationMethod::kMd5);
  EXPECT_EQ(judged(rules, {"10.1.2.3:1", false, "shop", "ada"}), std::nullopt);
}

TEST(AccessRules, MistakesAreToldWithTheirLine) {
  const auto wrong = [](const char* text) {
    return refusal([text] { return AccessRules::parse(text, "hba"); });
  };
  EXPECT_THAT(wrong("\nhosts all all all md5\n"), HasSubstr("hba:2: \"hosts\""));
  EXPECT_THAT(wrong("host all all md5\n"), HasSubstr("hba:1: expected 5 fields"));
  EXPECT_THAT(wrong("local all all all md5\n"), HasSubstr("hba:1: expected 4 fields"));
  EXPECT_THAT(wrong("host all all 10.0.0.0/33 md5\n"), HasSubstr("no network"));
  EXPECT_THAT(wrong("host all all 10.0.0/8 md5\n"), HasSubstr("no network"));
  EXPECT_THAT(wrong("host all all all ldap\n"), HasSubstr("\"ldap\""));
  EXPECT_THAT(wrong("host all \"ada all md5\n"), HasSubstr("quote"));
  EXPECT_THAT(wrong("host a,,b all all md5\n"), HasSubstr("empty name"));
}

TEST(Peers, ThisMachineIsKnown) {
  for (const char* peer : {"unix:", "127.0.0.1:5", "127.9.9.9:5", "[::1]:5", "[::ffff:127.0.0.1]:5"})
    EXPECT_TRUE(is_local_peer(peer)) << peer;
  for (const char* peer : {"10.0.0.1:5", "[2001:db8::1]:5", "", "nonsense"})
    EXPECT_FALSE(is_local_peer(peer)) << peer;
}

}  // namespace
}  // namespace understudy::proxy
