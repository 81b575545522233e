// The proxy's judgement of its clients: who is let in by password and by md5, also where OpenSSL has no md5.
#include "proxy/client_authentication.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "proxy/authentication.h"

namespace understudy::proxy {
namespace {

using Method = AuthenticationMethod;

const char* const kUsers =
    "\"ada\" \"pencil\"\n"
    "\"bob\" \"md5e4f70fb0b8f2745aa7a69557c80cbd0c\"\n";  // md5("pencil" + "bob")

// As OpenSSL is in FIPS mode, with no provider that fits: it has neither md5 nor anything else.
class NoDigests {
 public:
  NoDigests() { EVP_set_default_properties(nullptr, "fips=yes"); }
  ~NoDigests() { EVP_set_default_properties(nullptr, ""); }
  NoDigests(const NoDigests&) = delete;
  NoDigests& operator=(const NoDigests&) = delete;
};

class ClientAuthenticationTest : public testing::Test {
 protected:
  // A login that has begun.
  ClientAuthentication login(Method method, const std::string& user) {
    ClientAuthentication login(method, user, users_.find(user));
    request_ = login.begin();
    EXPECT_TRUE(request_.refused.empty());
    return login;
  }
  [[nodiscard]] ByteView request() const { return ByteView(request_.message).subspan(5); }

  static ByteBuffer text(const std::string& word) {
    ByteBuffer payload(word.begin(), word.end());
    payload.push_back(0);
    return payload;
  }
  static bool lets_in(ClientAuthentication login, const std::string& word) {
    return login.answer(text(word)).done;
  }
  // The answer of our own client to the request made last.
  [[nodiscard]] std::string md5_answer(const std::string& user, const std::string& password) const {
    const ByteBuffer reply = ClientAuthenticator(user, password).answer(request()).reply;
    return std::string(as_text(ByteView(reply).subspan(5, reply.size() - 6)));
  }

  UserFile users_ = UserFile::parse(kUsers, "users");
  ClientAuthentication::Step request_;
};

TEST_F(ClientAuthenticationTest, APasswordIsCheckedAgainstAPasswordAndAnMd5Hash) {
  for (const char* user : {"ada", "bob"}) {
    EXPECT_TRUE(lets_in(login(Method::kPassword, user), "pencil")) << user;
    EXPECT_FALSE(lets_in(login(Method::kPassword, user), "pen")) << user;
    EXPECT_FALSE(lets_in(login(Method::kPassword, user), "")) << user;
  }
  EXPECT_FALSE(lets_in(login(Method::kPassword, "mallory"), ""));
}

TEST_F(ClientAuthenticationTest, AnMd5AnswerIsCheckedAgainstAPasswordAndAnMd5Hash) {
  for (const char* user : {"ada", "bob"}) {
    ClientAuthentication right = login(Method::kMd5, user);
    EXPECT_TRUE(lets_in(std::move(right), md5_answer(user, "pencil"))) << user;
    ClientAuthentication wrong = login(Method::kMd5, user);
    EXPECT_FALSE(lets_in(std::move(wrong), md5_answer(user, "pen"))) << user;
  }
  ClientAuthentication nobody = login(Method::kMd5, "mallory");
  EXPECT_FALSE(lets_in(std::move(nobody), md5_answer("mallory", "pencil")));
}

TEST_F(ClientAuthenticationTest, WithoutDigestsNobodyComesInByAnotherPassword) {
  for (const char* user : {"ada", "bob", "mallory"}) {
    for (const char* word : {"pen", "md5", ""}) {
      ClientAuthentication password = login(Method::kPassword, user);
      ClientAuthentication md5 = login(Method::kMd5, user);
      const NoDigests none;
      ASSERT_EQ(hex_md5("x", {}), "");
      EXPECT_FALSE(lets_in(std::move(password), word)) << user << ' ' << word;
      EXPECT_FALSE(lets_in(std::move(md5), word)) << user << ' ' << word;
    }
  }
}

TEST_F(ClientAuthenticationTest, ScramAsksAUserWithAPasswordTheSameAtEveryTry) {
  const auto challenge = [this](const std::string& user) {
    ClientAuthentication scram = login(Method::kScram, user);
    const ByteBuffer reply = ClientAuthenticator(user, "pencil").answer(request()).reply;
    const ByteBuffer said = scram.answer(ByteView(reply).subspan(5)).message;
    const std::string_view message = as_text(ByteView(said).subspan(9));
    return std::string(message.substr(message.find(",s=")));
  };
  EXPECT_EQ(challenge("ada"), challenge("ada"));
  EXPECT_EQ(challenge("ada"), ",s=" + to_base64(ScramSecret::for_nobody("ada").salt) + ",i=4096");
  EXPECT_EQ(challenge("mallory"), ",s=" + to_base64(ScramSecret::for_nobody("mallory").salt) + ",i=4096");
}

}  // namespace
}  // namespace understudy::proxy
