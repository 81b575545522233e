// A session's events, masked: which answer is of which statement, what waits for what, and what is left out.
#include <gtest/gtest.h>

#include "tests/replayer/mask_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;

using MaskSession = MaskFixture;

TEST_F(MaskSession, PiecesComeOutOnceTheirMessageIsWhole) {
  session_.begin();
  const std::string asked = query("SELECT email FROM t WHERE email = 'qqqqqq'");
  client(asked.substr(0, 7));
  EXPECT_EQ(out_, "");
  client(asked.substr(7, 20));
  EXPECT_EQ(out_, "");
  client(asked.substr(27));
  EXPECT_NE(heard().find("email = '******'"), std::string::npos);
}

TEST_F(MaskSession, RowsAreOfTheStatementThatIsAnswered) {
  session_.begin();
  client(query("SELECT email FROM t; SELECT name FROM t"));
  server(row_description({"email"}) + row({"qqqqqq"}) + complete("SELECT 1"));
  EXPECT_TRUE(changed());
  server(row_description({"name"}) + row({"qqqqqq"}) + complete("SELECT 1") + ready());
  EXPECT_FALSE(changed());
}

TEST_F(MaskSession, ASyncThatACopySwallowsIsNotWaitedFor) {
  session_.begin();
  client(parse("", "COPY t (id, email) FROM STDIN") + bind("", "") + execute("") + sync());
  server(empty('1') + empty('2') + copy_asked(2));
  (void)changed();
  client(copy_data("1\tqqqqqq\n"));
  EXPECT_EQ(heard().substr(5), "1\t******\n");
  client(copy_done() + sync());
  server(complete("COPY 1") + ready());
  client(parse("", "SELECT name FROM t") + bind("", "") + execute("") + sync());
  (void)changed();
  server(empty('1') + empty('2') + row({"qqqqqq"}) + complete("SELECT 1") + ready());
  EXPECT_FALSE(changed());
}

TEST_F(MaskSession, CopyDataThatCameBeforeItWasAskedForIsHidden) {
  session_.begin();
  client(parse("", "COPY t (id) FROM STDIN") + bind("", "") + execute(""));
  (void)changed();
  client(copy_data("qqqqqq\n") + copy_done() + sync());
  EXPECT_EQ(heard().substr(5, 7), "******\n");
}

TEST_F(MaskSession, AFieldCutByAMessagesEndIsHidden) {
  session_.begin();
  client(query("COPY t (id, email) FROM STDIN"));
  server(copy_asked(2));
  (void)changed();
  client(copy_data("7\tqqq"));
  EXPECT_EQ(heard().substr(5), "7\t***");
  client(copy_data("qqq\n8\tqqq\n"));
  EXPECT_EQ(heard().substr(5), "***\n8\t***\n");
}

TEST_F(MaskSession, RowsOfNothingKnownAreHidden) {
  session_.begin();
  server(row({"qqqqqq"}));
  EXPECT_TRUE(changed());
  client(bind("", "not prepared here", {{.bytes = "qqqqqq"}}) + execute("") + sync());
  EXPECT_TRUE(changed());
  server(empty('2') + row({"qqqqqq"}));
  EXPECT_TRUE(changed());
}

class MaskNotifications : public MaskFixture {
 protected:
  explicit MaskNotifications(const std::string& rules = "column email\npattern secret")
      : MaskFixture(rules) {}
  static std::string notification(const std::string& channel, const std::string& payload) {
    ByteBuffer out;
    wire::append_notification_response(out, 7, channel, payload);
    return std::string(as_text(out));
  }
  // What came out last, from there on.
  std::string out_behind(const std::string& mark, std::size_t length) {
    const std::size_t at = out_.rfind(mark);
    const std::string found = at == std::string::npos ? "" : out_.substr(at + mark.size(), length);
    said_.clear();
    out_.clear();
    return found;
  }
};
class MaskNotificationsByPattern : public MaskNotifications {
 protected:
  MaskNotificationsByPattern() : MaskNotifications("pattern secret") {}
};

TEST_F(MaskNotifications, SayWhatTheirNotifySays) {
  session_.begin();
  client(query("NOTIFY news, 'a secret'; NOTIFY news, 'plain'; NOTIFY news"));
  EXPECT_NE(heard().find("'* ******'; NOTIFY news, 'plain'; NOTIFY news"), std::string::npos);
  client(query("NOTIFY news, 'one secret'"));
  const std::string said = out_behind("NOTIFY news, '", 10);
  EXPECT_NE(said, "one secret");
  server(notification("news", "one secret"));
  EXPECT_EQ(out_behind(std::string("news\0", 5), 10), said);
  server(notification("news", "plain") + notification("news", ""));
  EXPECT_FALSE(changed());
  server(notification("other", "plain"));  // nobody said it there
  EXPECT_TRUE(changed());
}

TEST_F(MaskNotifications, OfFunctionCallsWithLiteralsAndParameters) {
  session_.begin();
  client(query("SELECT pg_notify('news', E'it''s \\\\ plain')") +
         parse("", "SELECT pg_notify($1, $2::text)") +
         bind("", "", {{.bytes = "news"}, {.bytes = "the secret"}}));
  const std::string said = out_behind(std::string("\0\0\0\x0a", 4), 10);
  EXPECT_NE(said, "the secret");
  server(notification("news", "the secret"));
  EXPECT_EQ(out_behind(std::string("news\0", 5), 10), said);
  server(notification("news", "it's \\ plain"));
  EXPECT_FALSE(changed());
  client(query("SELECT pg_notify('news', 'qqqqqq' || email) FROM users"));
  EXPECT_NE(heard().find("'news', '******'"), std::string::npos);
  server(notification("news", "qqqqqqa@b"));
  EXPECT_TRUE(changed());
}

TEST_F(MaskNotificationsByPattern, OfNoStatementByThePatterns) {
  session_.begin();
  server(notification("news", "plain"));
  EXPECT_FALSE(changed());
  server(notification("news", "some secret"));
  EXPECT_TRUE(changed());
}

class MaskNotificationsByType : public MaskNotifications {
 protected:
  MaskNotificationsByType() : MaskNotifications("type uuid") {}
};

TEST_F(MaskNotificationsByType, OfNoStatementRepeatTokensOfValuesInThem) {
  const std::string value = "6fd3b4a2-0000-4000-8000-6fd3b4a2aaaa";
  session_.begin();
  client(query("SELECT 1 FROM t WHERE a = '" + value + "'"));
  const std::string token = out_behind("a = '", value.size());
  EXPECT_NE(token, value);
  server(notification("news", "order " + value + " changed"));
  EXPECT_EQ(out_behind(std::string("news\0", 5), value.size() + 14), "order " + token + " changed");
  server(notification("news", value));
  EXPECT_EQ(out_behind(std::string("news\0", 5), value.size()), token);
}

TEST_F(MaskSession, ListsAreMaskedByTheirElements) {
  session_.begin();
  client(parse("", "SELECT 1 FROM t WHERE email = ANY($1)", {1009}));
  (void)changed();
  client(bind("", "", {{.bytes = "{qqqqqq,\"qqq, qqq\",NULL,\"q\\\\q\"}"}}));
  EXPECT_NE(heard().find("{******,\"***, ***\",NULL,\"****\"}"), std::string::npos);
}

TEST_F(MaskSession, ListsAsParametersOfNoColumnAreHidden) {
  session_.begin();
  client(parse("", "INSERT INTO t (id, email) SELECT * FROM unnest($1, $2) LIMIT $3", {1007, 1009, 20}));
  (void)changed();
  client(bind("", "", {{.bytes = "{77}"}, {.bytes = "{qqqqqq}"}, {.bytes = "77"}}));
  const std::string text = heard();
  EXPECT_EQ(text.find("qqqqqq"), std::string::npos);
  EXPECT_NE(text.find("77"), std::string::npos);
}

TEST_F(MaskSession, DetailsOfErrorsAreMaskedAsTheirColumns) {
  session_.begin();
  client(query("INSERT INTO t (email) VALUES ('qqqqqq')"));
  (void)changed();
  ByteBuffer message;
  const wire::ErrorField fields[] = {{'S', "ERROR"},
                                     {'C', "23505"},
                                     {'M', "duplicate: qqqqqq"},
                                     {'D', "Key (email)=(qqqqqq) already exists."},
                                     {'t', "t"}};
  wire::append_error_fields(message, 'E', fields);
  server(std::string(as_text(message)) + ready());
  const std::string text = heard();
  EXPECT_NE(text.find("duplicate: ******"), std::string::npos) << text;
  EXPECT_NE(text.find("Key (email)=(******) already"), std::string::npos) << text;
}

TEST_F(MaskSession, WhatCannotBeReadIsLeftOutAndTold) {
  session_.begin();
  client(query("SELECT 1"));
  const std::string broken("Q\0\0\0\1qqqqqq", 11);
  client(broken);
  server(row({"qqqqqq"}));
  session_.finish(++now_, emit_);
  ASSERT_EQ(gaps_.size(), 2U);
  EXPECT_EQ(gaps_[0].client_bytes, broken.size());
  EXPECT_GT(gaps_[1].server_bytes, 0U);
  EXPECT_EQ(out_, query("SELECT 1"));
}

TEST_F(MaskSession, ASessionMetInsideOfAMessageIsLeftOut) {
  client("rest of something");
  ASSERT_EQ(gaps_.size(), 1U);
  EXPECT_EQ(out_, "");
}

TEST_F(MaskSession, ASessionThatEndsInsideOfAMessageSaysSo) {
  session_.begin();
  client(query("SELECT email FROM t WHERE email = 'qqqqqq'").substr(0, 30));
  session_.finish(++now_, emit_);
  ASSERT_EQ(gaps_.size(), 1U);
  EXPECT_EQ(gaps_[0].client_bytes, 30U);
  EXPECT_EQ(out_, "");
}

}  // namespace
}  // namespace understudy::replayer
