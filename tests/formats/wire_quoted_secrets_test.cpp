// Passwords of statements in the errors that PostgreSQL 15 answered them with.
#include "formats/wire/quoted_secrets.h"

#include <gtest/gtest.h>

namespace understudy::wire {
namespace {

std::string hidden(std::string_view statement, std::string text) {
  const std::string before = text;
  const bool hid = QuotedSecrets(statement).hide_in(text);
  EXPECT_EQ(hid, text != before) << before;
  EXPECT_EQ(text.size(), before.size());
  return text;
}

TEST(QuotedSecretsTest, OfStringsThatDoNotEnd) {
  EXPECT_EQ(hidden("ALTER ROLE r100 PASSWORD 'Zq176Kv",
                   "unterminated quoted string at or near \"'Zq176Kv\" at character 26"),
            "unterminated quoted string at or near \"xxxxxxxx\" at character 26");
  EXPECT_EQ(hidden("ALTER ROLE r100 PASSWORD $z$Zq177Kv",
                   "unterminated dollar-quoted string at or near \"$z$Zq177Kv\""),
            "unterminated dollar-quoted string at or near \"xxxxxxxxxx\"");
  EXPECT_EQ(hidden("ALTER ROLE r100 PASSWORD 'Zq\n178\"Kv",
                   "unterminated quoted string at or near \"'Zq\n178\"Kv\" at character 26"),
            "unterminated quoted string at or near \"xxxxxxxxxx\" at character 26");
  EXPECT_EQ(hidden("do $x$ begin execute 'alter role r100 password ''Zq182Kv'; end $x$",
                   "unterminated quoted string at or near \"'Zq182Kv\" at character 26"),
            "unterminated quoted string at or near \"xxxxxxxx\" at character 26");
  EXPECT_EQ(hidden("ALTER ROLE r100 PASSWORD 'Zq107\"Kv' 'Zq108\"Kv'",
                   "syntax error at or near \"'Zq108\"Kv'\" at character 37"),
            "syntax error at or near \"xxxxxxxxxx\" at character 37");
}

TEST(QuotedSecretsTest, OfConnectionStrings) {
  EXPECT_EQ(hidden("select dblink_connect('POSTGRES://u:Zq109Kv@h')",
                   "missing \"=\" after \"POSTGRES://u:Zq109Kv@h\" in connection info string"),
            "missing \"=\" after \"xxxxxxxxxxxxxxxxxxxxxx\" in connection info string");
  EXPECT_EQ(hidden("select dblink_connect('POSTGRES://u:Zq 131Kv@h')",
                   "missing \"=\" after \"POSTGRES://u:Zq\" in connection info string"),
            "missing \"=\" after \"xxxxxxxxxxxxxxx\" in connection info string");
  EXPECT_EQ(hidden("select dblink_connect('postgres://u:Zq%zz110Kv@h')",
                   "invalid percent-encoded token: \"Zq%zz110Kv\""),
            "invalid percent-encoded token: \"xxxxxxxxxx\"");
  EXPECT_EQ(hidden("select dblink_connect('postgres://u:Zq121Kv/@h')",
                   "invalid integer value \"Zq121Kv\" for connection option \"port\""),
            "invalid integer value \"xxxxxxx\" for connection option \"port\"");
  // What a server made of the statement's text is not found there.
  EXPECT_EQ(hidden("select dblink_connect('POSTGRES://u:O''Zq@h')",
                   "missing \"=\" after \"POSTGRES://u:O'Zq@h\" in connection info string"),
            "missing \"=\" after \"xxxxxxxxxxxxxxxxxxx\" in connection info string");
}

TEST(QuotedSecretsTest, WhatIsNoPasswordStays) {
  for (const auto& [statement, text] :
       {std::pair{"ALTER ROLE nosuch PASSWORD 'hunter2'", "role \"nosuch\" does not exist"},
        {"ALTER ROLE r PASSWORD 'hunter2' VALD 1", "syntax error at or near \"VALD\" at character 33"},
        {"select dblink_connect('postgres://u:Zq112Kv@h?foo=bar')", "invalid URI query parameter: \"foo\""},
        {"selec 'hunter2'", "syntax error at or near \"selec\" at character 1"},
        {"ALTER ROLE r PASSWORD 'hunter2'", "a quote \"alone"},
        {"ALTER ROLE r PASSWORD 'hunter2'", "syntax error at or near \"\""}})
    EXPECT_EQ(hidden(statement, text), text);
}

TEST(QuotedSecretsTest, WhatIsLongOrHasManyQuotesIsTakenForASecret) {
  const std::string statement = std::string(200'000, 'a') + " PASSWORD 'hunter2'";
  EXPECT_EQ(hidden(statement, "at or near \"" + std::string(100'000, 'a') + "\"").find('a', 12),
            std::string::npos);
  std::string text;
  for (int n = 0; n < 100'000; ++n) text += "\"hunter" + std::to_string(n);
  EXPECT_EQ(hidden(statement, text).find("hunter2\""), std::string::npos);
}

}  // namespace
}  // namespace understudy::wire
