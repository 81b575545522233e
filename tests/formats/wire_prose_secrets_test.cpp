// Passwords in a server's messages.
#include "formats/wire/prose_secrets.h"

#include <gtest/gtest.h>

namespace understudy::wire {
namespace {

std::string hidden(std::string text) {
  const std::string before = text;
  const bool hid = hide_secrets_in_prose(text);
  EXPECT_EQ(hid, text != before) << before;
  EXPECT_EQ(text.size(), before.size());
  return text;
}

TEST(ProseSecretsTest, PasswordsOfQuotedStatements) {
  EXPECT_EQ(hidden("SQL statement \"ALTER ROLE bob PASSWORD 'hunter2' VALID UNTIL '2027-01-01'\"\nPL/pgSQL"),
            "SQL statement \"ALTER ROLE bob PASSWORD 'xxxxxxx' VALID UNTIL '2027-01-01'\"\nPL/pgSQL");
  EXPECT_EQ(hidden("can't execute \"alter user \"a b\" encrypted password $q$hunter2$q$\""),
            "can't execute \"alter user \"a b\" encrypted password $q$xxxxxxx$q$\"");
  for (const char* const text :
       {"syntax error at or near \"password 'hunter2\"", "DO 'BEGIN ALTER ROLE b PASSWORD ''hunter2''; END'",
        "it isn't PASSWORD E'hunter2'", "EXECUTE 'ALTER ROLE b PASSWORD ' || quote_literal('hunter2')",
        "EXECUTE format('ALTER ROLE b PASSWORD %L', 'hunter2')"})
    EXPECT_EQ(hidden(text).find("hunter2"), std::string::npos) << hidden(text);
}

TEST(ProseSecretsTest, PasswordsOfConnectionStrings) {
  EXPECT_EQ(hidden("invalid option in \"host=x password=hunter2 user=y\""),
            "invalid option in \"host=x password=xxxxxxx user=y\"");
  EXPECT_EQ(hidden("bad: host=x password = 'hunter two' user=y"),
            "bad: host=x password = 'xxxxxxxxxx' user=y");
  EXPECT_EQ(hidden("could not connect to postgresql://bob:hunter2@host/db"),
            "could not connect to postgresql://bob:xxxxxxx@host/db");
  EXPECT_EQ(hidden("missing \"=\" after \"POSTGRES://bob:hunter2@h\" in connection info string"),
            "missing \"=\" after \"POSTGRES://bob:xxxxxxx@h\" in connection info string");
  for (const char* const text :
       {"SQL statement \"SELECT dblink_connect('password=' || 'hunter2')\"",
        "SQL statement \"SELECT format('password=''%s''', 'hunter2')\"",
        "SQL statement \"SELECT dblink_connect(E'host=x\\npassword=hunter2')\"",
        "PL/pgSQL assignment \"c := E'password=\\'hunter2\\''\"",
        "SQL statement \"SELECT dblink_connect($$host=x password=hunter2 user=y$$)\""})
    EXPECT_EQ(hidden(text).find("hunter2"), std::string::npos) << hidden(text);
  EXPECT_EQ(hidden("no postgresql://bob:12/x and a@b"), "no postgresql://bob:12/x and a@b");
  EXPECT_EQ(hidden("x sslpassword=hunter2").find("hunter2"), std::string::npos);
}

TEST(ProseSecretsTest, WhatIsNoPasswordStays) {
  for (const char* const text :
       {"password authentication failed for user \"ann\"", "unrecognized role option \"password\"",
        "column \"password_hash\" does not exist: 'x'", "see https://www.postgresql.org/docs", "password",
        "User \"ann\" has no password assigned. It's so: 'x'"})
    EXPECT_EQ(hidden(text), text);
}

TEST(ProseSecretsTest, ManyPlacesDoNotTakeLong) {
  std::string text;
  for (int n = 0; n < 200'000; ++n) text += "password 'hunter2' ";
  EXPECT_TRUE(hide_secrets_in_prose(text));
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace understudy::wire
