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

TEST(UserFile, MakesTheScramSecretOfAPasswordOnce) {
  const UserFile file = UserFile::parse(
      "\"ada\" \"plain word\"\n\"bob\" \"md5164dbcd37c01a78e869e72965960a754\"\n\"eve\" \"\"\n", "u");
  const auto& made = file.find("ada")->scram_of_password;
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->salt, ScramSecret::for_nobody("ada").salt);
  EXPECT_EQ(made->stored_key, ScramSecret::from_password("plain word", made->salt).stored_key);
  EXPECT_FALSE(file.find("ada")->scram.has_value());
  EXPECT_FALSE(file.find("bob")->scram_of_password.has_value());
  EXPECT_FALSE(file.find("eve")->scram_of_password.has_value());
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

TEST(AccessRules, AWordInQuotesIsAName) {
  using M = AuthenticationMethod;
  const char* const all = "host \"all\" all all md5\nhost all \"all\",x all reject\n";
  EXPECT_EQ(judged(all, {"10.1.2.3:1", false, "all", "ada"}), M::kMd5);
  EXPECT_EQ(judged(all, {"10.1.2.3:1", false, "shop", "ada"}), std::nullopt);
  EXPECT_EQ(judged(all, {"10.1.2.3:1", false, "shop", "all"}), M::kReject);
  const char* const sameuser = "host \"sameuser\",\"+x\",\"@x\",\"samerole\" samerole,ada all md5\n";
  EXPECT_EQ(judged(sameuser, {"10.1.2.3:1", false, "sameuser", "ada"}), M::kMd5);
  EXPECT_EQ(judged(sameuser, {"10.1.2.3:1", false, "+x", "ada"}), M::kMd5);
  EXPECT_EQ(judged(sameuser, {"10.1.2.3:1", false, "@x", "samerole"}), M::kMd5);
  EXPECT_EQ(judged(sameuser, {"10.1.2.3:1", false, "ada", "ada"}), std::nullopt);
}

TEST(AccessRules, PhysicalReplicationIsOfNoDatabase) {
  using M = AuthenticationMethod;
  const char* const rules =
      "host all,sameuser,r,\"replication\" all all md5\n"
      "host replication r all scram-sha-256\n";
  EXPECT_EQ(judged(rules, {"10.1.2.3:1", false, "r", "r", true}), M::kScram);
  EXPECT_EQ(judged(rules, {"10.1.2.3:1", false, "r", "ada", true}), std::nullopt);
  EXPECT_EQ(judged(rules, {"10.1.2.3:1", false, "r", "r"}), M::kMd5);
  const char* const quoted = "host \"replication\" all all md5\nhost replication all all reject\n";
  EXPECT_EQ(judged(quoted, {"10.1.2.3:1", false, "replication", "ada"}), M::kMd5);
  EXPECT_EQ(judged(quoted, {"10.1.2.3:1", false, "replication", "ada", true}), M::kReject);
  EXPECT_EQ(judged(quoted, {"10.1.2.3:1", false, "shop", "ada"}), std::nullopt);
  EXPECT_EQ(judged("host replication all all md5\n", {"10.1.2.3:1", false, "replication", "ada"}),
            std::nullopt);
  EXPECT_EQ(AccessRules::everybody(M::kScram).method_for({"10.1.2.3:1", false, "r", "r", true}), M::kScram);
}

TEST(AccessRules, PhysicalReplicationIsAskedForAsTheServerReadsIt) {
  for (const char* value : {"true", "TRUE", "t", "yes", "y", "on", "On", "1"})
    EXPECT_TRUE(is_physical_replication(value)) << value;
  for (const char* value : {"", "database", "false", "f", "no", "off", "o", "0", "10", "truely"})
    EXPECT_FALSE(is_physical_replication(value)) << value;
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
  EXPECT_THAT(wrong("host a,\"\" all all md5\n"), HasSubstr("empty name"));
  for (const char* text : {"host +a all all md5", "host all ada,+a all md5", "host @a all all md5",
                           "host all @\"a b\" all md5", "host /a all all md5", "host all \"/a,b\" all md5",
                           "host samerole all all md5", "host samegroup all all md5"}) {
    EXPECT_THAT(wrong(text), HasSubstr("hba:1: \"")) << text;
    EXPECT_THAT(wrong(text), HasSubstr("groups, files and regular expressions are not supported")) << text;
  }
}

TEST(Peers, ThisMachineIsKnown) {
  for (const char* peer : {"unix:", "127.0.0.1:5", "127.9.9.9:5", "[::1]:5", "[::ffff:127.0.0.1]:5"})
    EXPECT_TRUE(is_local_peer(peer)) << peer;
  for (const char* peer : {"10.0.0.1:5", "[2001:db8::1]:5", "", "nonsense"})
    EXPECT_FALSE(is_local_peer(peer)) << peer;
}

}  // namespace
}  // namespace understudy::proxy
