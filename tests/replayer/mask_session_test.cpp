// A session's events, masked: which answer is of which statement, what waits for what, and what is left out.
#include <gtest/gtest.h>

#include "replayer/mask/masked_session.h"
#include "tests/replayer/support.h"

namespace understudy::replayer {
namespace {

using namespace test;

// Everything a session says, with `*` for what changed.
class MaskSession : public ::testing::Test {
 protected:
  void client(const std::string& bytes) { say(EventKind::kClientBytes, bytes); }
  void server(const std::string& bytes) { say(EventKind::kServerBytes, bytes); }
  // What came out of the side's bytes since the last call, letters that changed as '*'.
  std::string heard() {
    std::string out;
    for (std::size_t i = 0; i < said_.size() && i < out_.size(); ++i)
      out += said_[i] == out_[i] ? said_[i] : '*';
    said_.clear();
    out_.clear();
    return out;
  }
  bool changed() {
    const bool differs = said_ != out_;
    EXPECT_EQ(said_.size(), out_.size());
    said_.clear();
    out_.clear();
    return differs;
  }
  void say(EventKind kind, const std::string& bytes) {
    said_ += bytes;
    session_.take({.session = kA, .time = ++now_, .kind = kind, .data = as_bytes(bytes)}, emit_);
  }

  const masking::Rules rules_{"column email", "rules"};
  ValueMasker masker_{rules_, "0123456789abcdef"};
  MaskedSession session_{masker_};
  TimeNs now_ = 0;
  std::string said_;
  std::string out_;
  std::vector<Gap> gaps_;
  MaskedSession::Emit emit_ = [this](TimeNs, EventKind kind, ByteView data) {
    Gap gap;
    if (kind == EventKind::kGap && decode(data, gap)) {
      gaps_.push_back(gap);
    } else {
      out_ += as_text(data);
    }
  };
};

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
  server(empty('1') + empty('2') + copy_in_response());
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
  server(copy_in_response());
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
