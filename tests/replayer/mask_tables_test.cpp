// INSERT and COPY that do not name columns: masked by those of temporary tables that the session made, as
// long as these are known.
#include "tests/replayer/mask_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;

class MaskTables : public MaskFixture {
 protected:
  void ask(const std::string& sql, char status = 'I') {
    client(query(sql));
    server(complete("DONE") + ready(status));
    (void)changed();
  }
  // Whether the columns of an INSERT that does not name them are known.
  bool known(char status = 'I') {
    client(query("INSERT INTO stage VALUES (55555, 'qqqqqq')"));
    const std::string text = heard();
    EXPECT_EQ(text.find("qqqqqq"), std::string::npos) << text;
    server(complete("INSERT 0 1") + ready(status));
    (void)changed();
    return text.find("55555") != std::string::npos;
  }
};

TEST_F(MaskTables, ThatAreTemporaryHaveTheColumnsTheyWereCreatedWith) {
  session_.begin();
  ask("CREATE TEMP TABLE stage (id int PRIMARY KEY, email text, UNIQUE (email))");
  EXPECT_TRUE(known());
  ask("SELECT count(*) FROM stage WHERE id = 7");
  EXPECT_TRUE(known());
  client(query("COPY stage FROM STDIN"));
  server(copy_asked(2));
  (void)changed();
  client(copy_data("55555\tqqqqqq\n"));
  EXPECT_EQ(heard().substr(5), "55555\t******\n");
  client(copy_done());
  server(complete("COPY 1") + ready());
  (void)changed();
  client(parse("", "INSERT INTO stage VALUES ($1, $2)") +
         bind("", "", {{.bytes = "55555"}, {.bytes = "qqqqqq"}}));
  const std::string text = heard();
  EXPECT_NE(text.find("55555"), std::string::npos) << text;
  EXPECT_EQ(text.find("qqqqqq"), std::string::npos) << text;
}

TEST_F(MaskTables, AreForgottenWithWhateverMayChangeThem) {
  session_.begin();
  for (const char* const sql :
       {"DROP TABLE stage", "ALTER TABLE stage DROP id", "SELECT own()", "SET search_path = x", "DO $$ $$",
        "ROLLBACK", "DISCARD ALL", "EXECUTE p", "SELECT set_config('search_path', 'x', false)", "CALL p()",
        "SELEKT", "UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'",
        "SELECT pg_catalog.set_config('search_path', 'x', true)"}) {
    ask("CREATE TEMP TABLE stage (id int, email text)");
    EXPECT_TRUE(known()) << sql;
    ask(sql);
    EXPECT_FALSE(known()) << sql;
  }
  ask("CREATE TEMP TABLE stage (id int, email text)");
  client(query("SELECT 1 / 0"));
  server(error({{'C', "22012"}}) + ready());
  EXPECT_FALSE(known());
  ask("CREATE TEMP TABLE stage (id int, email text)");
  ByteBuffer call;  // function 1, no formats, no arguments, a result as text
  append_bytes(call, as_bytes(std::string("F\0\0\0\x0e\0\0\0\1\0\0\0\0\0\0", 15)));
  client(std::string(as_text(call)));
  server(ready());
  EXPECT_FALSE(known());
}

TEST_F(MaskTables, OfASchemaAndValuesBehindTheColumnsAreNotKnown) {
  session_.begin();
  ask("CREATE TEMP TABLE stage (id int, name text)");
  for (const char* const sql :
       {"INSERT INTO public.stage VALUES (55555, 'qqqqqq')",
        "WITH w AS (INSERT INTO public.stage VALUES (1, 'qqqqqq') RETURNING 1) INSERT INTO "
        "stage VALUES (1, 'n')",
        "INSERT INTO stage VALUES (1, 'n', 'qqqqqq')",
        "INSERT INTO stage SELECT s.*, 'qqqqqq' FROM (SELECT 1, email FROM t) s",
        "EXPLAIN INSERT INTO stage VALUES (1, 'qqqqqq')",
        "INSERT INTO stage VALUES (1, 'n'); INSERT INTO other VALUES ('qqqqqq')"}) {
    ask("CREATE TEMP TABLE stage (id int, name text)");
    client(query(sql));
    EXPECT_EQ(heard().find("qqqqqq"), std::string::npos) << sql;
    server(complete("INSERT 0 1") + ready());
  }
  ask("CREATE TEMP TABLE stage (id int, name text)");
  client(parse("named", "INSERT INTO stage VALUES ($1, $2)") +
         bind("", "named", {{.bytes = "1"}, {.bytes = "qqqqqq"}}));
  EXPECT_EQ(heard().find("qqqqqq"), std::string::npos);
}

TEST_F(MaskTables, AreNotLearnedFromWhatDoesNotProveThem) {
  session_.begin();
  for (const char* const sql :
       {"CREATE TABLE stage (id int, email text)",
        "CREATE TEMP TABLE IF NOT EXISTS stage (id int, email text)", "CREATE TEMP TABLE stage (LIKE users)",
        "CREATE TEMP TABLE stage (id int, email text) INHERITS (t)",
        "CREATE TEMP TABLE stage (id int, email text) ON COMMIT DROP",
        "CREATE TEMP TABLE stage (id int, email text); DROP TABLE stage"}) {
    ask(sql);
    EXPECT_FALSE(known()) << sql;
  }
  client(query("CREATE TEMP TABLE stage (id int, email text)"));
  server(error({{'C', "42P07"}}) + ready());
  EXPECT_FALSE(known());
  client(query("CREATE TEMP TABLE stage (id int, email text)") + query("DROP TABLE stage"));
  server(complete("CREATE TABLE") + ready() + complete("DROP TABLE") + ready());
  EXPECT_FALSE(known());
}

TEST_F(MaskTables, ThatAreDroppedOnCommitAreKnownUntilThen) {
  session_.begin();
  ask("BEGIN", 'T');
  ask("CREATE TEMP TABLE stage (id int, email text) ON COMMIT DROP", 'T');
  EXPECT_TRUE(known('T'));
  ask("COMMIT");
  EXPECT_FALSE(known());
}

class MaskToldTables : public MaskFixture {
 protected:
  MaskToldTables() : MaskFixture("column email\ntable users (id, email, name)") {}
};

TEST_F(MaskToldTables, HaveTheColumnsThatTheRulesSay) {
  session_.begin();
  client(query(
      "INSERT INTO public.users VALUES (55555, 'qqqqqq', 'nnn'), (55555, 'qqqqqq', DEFAULT, 'qqqqqq')"));
  EXPECT_NE(heard().find("(55555, '******', 'nnn'), (55555, '******', DEFAULT, '******')"),
            std::string::npos);
  client(query("COPY users TO STDOUT"));
  ByteBuffer begins;
  wire::append_copy_response(begins, wire::backend::kCopyOutResponse, 0, std::vector<std::int16_t>(3));
  server(complete("INSERT 0 2") + ready() + std::string(as_text(begins)));
  (void)changed();
  server(copy_data("55555\tqqqqqq\tnnn\n"));
  EXPECT_EQ(heard().substr(5), "55555\t******\tnnn\n");
  server(complete("COPY 1") + ready());
  client(query("COPY users FROM STDIN"));  // of a table that has other ones
  server(copy_asked(2));
  (void)changed();
  client(copy_data("55555\tqqqqqq\n"));
  EXPECT_EQ(heard().substr(5), "*****\t******\n");
}

}  // namespace
}  // namespace understudy::replayer
