// Which line of a password file is for whom; one test a hazard.
#include "proxy/password_file.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

std::optional<std::string> find(std::string_view text) {
  return find_password(text, {{"db1", 5433}, "shop", "ada"});
}

TEST(PasswordFileTest, TheFirstLineThatFitsCounts) {
  EXPECT_EQ(
      find(
          "# db1:5433:shop:ada:comment\ndb2:5433:shop:ada:other\n*:5433:*:ada:right\ndb1:5433:shop:ada:late"),
      "right");
  EXPECT_EQ(find("db1:5432:shop:ada:x\ndb1:5433:shopper:ada:x\ndb1:5433:shop:adam:x"), std::nullopt);
}

TEST(PasswordFileTest, BackslashesTakeTheMeaningOfColons) {
  EXPECT_EQ(find("db1:5433:shop:ada:a\\:b\\\\c"), "a:b\\c");
  EXPECT_EQ(find_password("\\:\\:1:1:d\\:b:u:pw\r\n", {{"::1", 1}, "d:b", "u"}), "pw");
  EXPECT_EQ(find_password("::1:1:db:u:pw", {{"::1", 1}, "db", "u"}), std::nullopt);
}

TEST(PasswordFileTest, AStarAmongOthersIsJustAStar) {
  EXPECT_EQ(find("db*:5433:shop:ada:x"), std::nullopt);
  EXPECT_EQ(find("\\*:5433:shop:ada:x"), std::nullopt);
}

TEST(PasswordFileTest, LinesThatAreNoneAreNoAnswer) {
  for (const char* const text :
       {"", "\n\n", "db1", "db1:5433:shop:ada", "db1:5433:shop:ada:", ":", "::::", "\\"}) {
    EXPECT_EQ(find(text), std::nullopt) << text;
  }
}

TEST(PasswordFileTest, AUnixSocketIsLocalhost) {
  EXPECT_EQ(find_password("localhost:5432:d:u:pw", {{"/run/postgresql", 5432}, "d", "u"}), "pw");
}

}  // namespace
}  // namespace understudy::proxy
