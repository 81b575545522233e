// Where an exchange begins and ends, what it asked and how long it took, whatever the client's manner of
// speaking.
#include "replayer/exchange_reader.h"

#include <gmock/gmock.h>

#include "tests/replayer/diff_fixture.h"

namespace understudy::replayer {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

namespace backend = wire::backend;

class ExchangeReaderTest : public testing::Test {
 protected:
  ExchangeReader& reader(bool continuing = false) {
    if (!reader_) reader_.emplace(tape.recording(), tape.first_session(), continuing, catalog);
    return *reader_;
  }
  // The types of the replies of the next exchange, "TDCZ"; "end" when there is none.
  std::string next() {
    if (!reader().next_exchange()) return "end";
    std::string types;
    latencies.clear();
    statements.clear();
    while (const Reply* const reply = reader().next_reply()) {
      types += reply->message.type;
      if (reply->latency < 0) continue;
      latencies.push_back(reply->latency / kMillisecond);
      statements.push_back(catalog.text(reply->statement));
    }
    return types;
  }
  [[nodiscard]] std::string asked() const { return catalog.text(reader_->request().first_statement()); }

  Tape tape{"0123456789abcdef0123456789abcdef"};
  StatementCatalog catalog;
  std::vector<TimeNs> latencies;  // of the last exchange, in milliseconds
  std::vector<std::string> statements;

 private:
  std::optional<ExchangeReader> reader_;
};

TEST_F(ExchangeReaderTest, ASimpleQueryIsOneExchange) {
  tape.session(1)
      .exchange("SELECT 1", Server().rows({"1"}))
      .exchange("SELECT 2", Server().rows({"2"}))
      .leaves();
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(reader().request().text(), "SELECT 1");
  EXPECT_EQ(asked(), "SELECT $1");
  EXPECT_EQ(reader().number(), 1U);
  EXPECT_TRUE(reader().answered());
  EXPECT_THAT(latencies, ElementsAre(1));
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(reader().number(), 2U);
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(reader().end(), ExchangeReader::End::kClient);
}

TEST_F(ExchangeReaderTest, SeveralStatementsInOneQueryAreOneExchangeOfOneLatency) {
  tape.session(1).asks(Client().query("SELECT 1; SELECT 2"));
  tape.answers(Server().columns({"a"}).row({"1"}).tag("SELECT 1"));
  tape.answers(Server().columns({"a"}).row({"2"}).tag("SELECT 1").ready());
  EXPECT_EQ(next(), "TDCTDCZ");
  EXPECT_THAT(latencies, ElementsAre(2));
}

TEST_F(ExchangeReaderTest, AnEmptyQueryIsAnExchange) {
  tape.session(1).exchange("", Server().say(backend::kEmptyQueryResponse).ready());
  EXPECT_EQ(next(), "IZ");
}

TEST_F(ExchangeReaderTest, TheLoginIsNoExchangeAndTellsWhoAnswered) {
  tape.session(1, {.process_id = 99, .version = "16.3"}).exchange("SELECT 1", Server().rows({"1"}));
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_TRUE(reader().login().complete);
  EXPECT_EQ(reader().login().process_id, 99U);
  EXPECT_EQ(reader().login().settings.at("server_version"), "16.3");
}

TEST_F(ExchangeReaderTest, ARefusedLoginIsItsError) {
  tape.connection(1).answers(Server().error("28P01", "password authentication failed", "FATAL"));
  tape.leaves(CloseReason::kServerLeft);
  EXPECT_EQ(next(), "end");
  EXPECT_FALSE(reader().login().complete);
  EXPECT_EQ(reader().login().sqlstate, "28P01");
  EXPECT_EQ(reader().login().error, "FATAL 28P01: password authentication failed");
}

TEST_F(ExchangeReaderTest, ASessionThatWasOpenBeforeHasNoLogin) {
  tape.continues(1).answers(Server().ready());
  tape.asks(Client().bind("s1", {"7"}).execute().sync());
  tape.answers(Server().say(backend::kBindComplete).tag("UPDATE 1").ready());
  (void)reader(true);
  EXPECT_EQ(next(), "2CZ");
  EXPECT_EQ(reader().request().first_statement(), StatementCatalog::kUnknown);
  EXPECT_EQ(reader().request().parameters(0), "'7'");
}

TEST_F(ExchangeReaderTest, AnExtendedPipelineEndsWithItsSync) {
  tape.session(1).asks(Client().ask("UPDATE t SET a = $1", {"7"}).ask("DELETE FROM t", {}).sync());
  tape.answers(Server().prepared().tag("UPDATE 1").prepared().tag("DELETE 2").ready());
  EXPECT_EQ(next(), "12nC12nCZ");
  EXPECT_EQ(asked(), "UPDATE t SET a = $1");
  EXPECT_THAT(statements, ElementsAre("UPDATE t SET a = $1", "DELETE FROM t"));
  EXPECT_EQ(next(), "end");
}

TEST_F(ExchangeReaderTest, PreparedStatementsAreKnownByTheirNames) {
  tape.session(1).asks(Client().parse("s1", "SELECT a FROM t").parse("s2", "SELECT b FROM t").sync());
  tape.answers(Server().say(backend::kParseComplete).say(backend::kParseComplete).ready());
  tape.asks(Client()
                .bind("s2", {}, "p")
                .execute("p")
                .bind("s1")
                .execute()
                .close(wire::Target::kStatement, "s2")
                .sync());
  tape.answers(
      Server().say(backend::kBindComplete).tag("SELECT 0").say(backend::kBindComplete).tag("SELECT 0"));
  tape.answers(Server().say(backend::kCloseComplete).ready());
  EXPECT_EQ(next(), "11Z");
  EXPECT_EQ(next(), "2C2C3Z");
  EXPECT_THAT(statements, ElementsAre("SELECT b FROM t", "SELECT a FROM t"));
}

TEST_F(ExchangeReaderTest, ManySyncsOutstandingAreAnsweredOneByOne) {
  tape.session(1);
  Client burst;
  for (int i = 0; i < 50; ++i) burst.ask("SELECT a" + std::to_string(i) + " FROM t").sync();
  tape.asks(burst);
  for (int i = 0; i < 50; ++i) tape.answers(Server().prepared().tag("SELECT 0").ready());
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(next(), "12nCZ");
    EXPECT_EQ(asked(), "SELECT a" + std::to_string(i) + " FROM t");
  }
  EXPECT_EQ(next(), "end");
}

TEST_F(ExchangeReaderTest, AnErrorSkipsToTheSync) {
  tape.session(1).asks(
      Client().ask("SELECT 1 / 0").ask("SELECT 'skipped'").sync().ask("SELECT 'next'").sync());
  tape.answers(Server().prepared().error("22012").ready());
  tape.answers(Server().prepared().tag("SELECT 1").ready());
  EXPECT_EQ(next(), "12nEZ");
  EXPECT_THAT(statements, ElementsAre("SELECT $1 / $2"));
  EXPECT_EQ(next(), "12nCZ");
  EXPECT_THAT(statements, ElementsAre("SELECT $1"));
}

TEST_F(ExchangeReaderTest, AFlushBringsAnswersBeforeTheSync) {
  tape.session(1).asks(
      Client().parse("s", "SELECT a FROM t").describe(wire::Target::kStatement, "s").flush());
  tape.answers(Server().say(backend::kParseComplete).parameters({}).columns({"a"}));
  tape.asks(Client().bind("s").execute().sync());
  tape.answers(Server().say(backend::kBindComplete).row({"1"}).tag("SELECT 1").ready());
  EXPECT_EQ(next(), "1tT2DCZ");
  EXPECT_THAT(latencies, ElementsAre(1));
  EXPECT_EQ(next(), "end");
}

TEST_F(ExchangeReaderTest, ALoneSyncIsAnExchangeOfNothing) {
  tape.session(1).asks(Client().sync()).answers(Server().ready());
  EXPECT_EQ(next(), "Z");
  EXPECT_TRUE(reader().request().is_lone_sync());
  EXPECT_EQ(reader().request().first_statement(), StatementCatalog::kNone);
  EXPECT_THAT(latencies, IsEmpty());
}

TEST_F(ExchangeReaderTest, CopyInBelongsToItsQuery) {
  tape.session(1).asks(Client().query("COPY t FROM STDIN")).answers(Server().copy(backend::kCopyInResponse));
  tape.asks(Client().copy_data("1\tx\n").copy_data("2\ty\n").copy_done());
  tape.answers(Server().tag("COPY 2").ready()).exchange("SELECT 1", Server().rows({"1"}));
  EXPECT_EQ(next(), "GCZ");
  EXPECT_EQ(next(), "TDCZ");
}

TEST_F(ExchangeReaderTest, OtherCopiedDataIsAnotherRequest) {
  std::vector<std::uint64_t> hashes;
  for (const char* const data : {"1\n", "2\n"}) {
    Tape copied("0123456789abcdef0123456789abcdef");
    copied.session(1)
        .asks(Client().query("COPY t FROM STDIN"))
        .answers(Server().copy(backend::kCopyInResponse));
    copied.asks(Client().copy_data(data).copy_done()).answers(Server().tag("COPY 1").ready());
    ExchangeReader each(copied.recording(), copied.first_session(), false, catalog);
    while (each.next_exchange()) {
    }
    hashes.push_back(each.request().hash());
  }
  EXPECT_NE(hashes[0], hashes[1]);
}

// libpq sends the Sync with the Execute, which the server ignores while it copies, and another after
// CopyDone.
TEST_F(ExchangeReaderTest, ASyncBeforeCopiedDataEndsNothing) {
  tape.session(1).asks(Client().ask("COPY t FROM STDIN").sync());
  tape.answers(Server().prepared().copy(backend::kCopyInResponse));
  tape.asks(Client().copy_data("1\n").copy_done().sync()).answers(Server().tag("COPY 1").ready());
  tape.asks(Client().ask("SELECT 'next'").sync()).answers(Server().prepared().tag("SELECT 1").ready());
  EXPECT_EQ(next(), "12nGCZ");
  EXPECT_EQ(next(), "12nCZ");
  EXPECT_EQ(asked(), "SELECT $1");
}

TEST_F(ExchangeReaderTest, NorDoesItWhenTheDataWasSentBlindly) {
  tape.session(1).asks(Client().ask("COPY t FROM STDIN").sync().copy_data("1\n").copy_done().sync());
  tape.asks(Client().ask("SELECT 'next'").sync());
  tape.answers(Server().prepared().copy(backend::kCopyInResponse).tag("COPY 1").ready());
  tape.answers(Server().prepared().tag("SELECT 1").ready());
  EXPECT_EQ(next(), "12nGCZ");
  EXPECT_EQ(next(), "12nCZ");
  EXPECT_EQ(asked(), "SELECT $1");
}

TEST_F(ExchangeReaderTest, CopiedDataThatNobodyTookIsNoRequest) {
  tape.session(1).exchange("COPY t FROM STDIN", Server().error("42P01").ready());
  tape.asks(Client().copy_data("1\n").copy_done()).exchange("SELECT 1", Server().rows({"1"}));
  EXPECT_EQ(next(), "EZ");
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(reader().request().text(), "SELECT 1");
}

TEST_F(ExchangeReaderTest, AFailedCopyEndsAtItsSync) {
  tape.session(1).asks(Client().ask("COPY t FROM STDIN").sync());
  tape.answers(Server().prepared().copy(backend::kCopyInResponse));
  tape.asks(Client().copy_data("x").copy_fail("enough").sync()).answers(Server().error("57014").ready());
  EXPECT_EQ(next(), "12nGEZ");
  EXPECT_EQ(next(), "end");
}

TEST_F(ExchangeReaderTest, ASuspendedPortalAnswersItsExecute) {
  tape.session(1).asks(Client().parse("", "SELECT a FROM t").bind("", {}, "p").execute("p", 1).sync());
  tape.answers(Server().say(backend::kParseComplete).say(backend::kBindComplete).row({"1"}));
  tape.answers(Server().say(backend::kPortalSuspended).ready('T'));
  tape.asks(Client().execute("p", 1).sync()).answers(Server().row({"2"}).tag("SELECT 1").ready());
  EXPECT_EQ(next(), "12DsZ");
  EXPECT_THAT(statements, ElementsAre("SELECT a FROM t"));
  EXPECT_EQ(reader().transaction_status(), 'T');
  EXPECT_EQ(next(), "DCZ");
  EXPECT_EQ(asked(), "SELECT a FROM t");
}

TEST_F(ExchangeReaderTest, AFunctionCallIsAnExchange) {
  tape.session(1).asks(Client().function_call(1598, {"x"})).answers(Server().function_result("0.5").ready());
  EXPECT_EQ(next(), "VZ");
  EXPECT_EQ(asked(), "(call of function 1598)");
}

TEST_F(ExchangeReaderTest, NoticesSettingsAndNotificationsAreNoReplies) {
  tape.session(1).asks(Client().query("SET TimeZone = 'UTC'"));
  tape.answers(Server().notification("jobs", "1").notice("one").tag("SET").status("TimeZone", "UTC"));
  tape.answers(Server().notice("two").ready()).answers(Server().notification("jobs", "2"));
  tape.exchange("SELECT 1", Server().rows({"1"}));
  EXPECT_EQ(next(), "CZ");
  EXPECT_EQ(reader().notices().count, 2U);
  EXPECT_EQ(reader().notices().first, "NOTICE 00000: one");
  EXPECT_EQ(reader().settings().first, "TimeZone = UTC");
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(reader().notices().count, 0U);
  EXPECT_EQ(reader().settings().count, 0U);
  EXPECT_EQ(reader().notifications().count, 2U);
  EXPECT_EQ(reader().notifications().first, "jobs: 1");
}

TEST_F(ExchangeReaderTest, AsidesAreEqualInAnyOrderAndWhoeverSentThem) {
  Asides sums[2];
  for (const bool reversed : {false, true}) {
    Tape notified("0123456789abcdef0123456789abcdef");
    notified.session(1).answers(Server().notification("jobs", reversed ? "2" : "1", reversed ? 8 : 9));
    notified.answers(Server().notification("jobs", reversed ? "1" : "2"));
    ExchangeReader each(notified.recording(), notified.first_session(), false, catalog);
    EXPECT_FALSE(each.next_exchange());
    sums[reversed ? 1 : 0] = each.notifications();
  }
  EXPECT_EQ(sums[0], sums[1]);
}

TEST_F(ExchangeReaderTest, LatencyOfPipelinedStatementsIsSinceTheOneBefore) {
  tape.session(1).asks(Client().ask("SELECT a FROM t").ask("SELECT b FROM t").ask("SELECT c FROM t").sync());
  tape.after(10 * kMillisecond).answers(Server().prepared().tag("SELECT 0"));
  tape.after(20 * kMillisecond)
      .answers(Server().prepared().tag("SELECT 0").prepared().tag("SELECT 0").ready());
  EXPECT_EQ(next(), "12nC12nC12nCZ");
  EXPECT_THAT(latencies, ElementsAre(10, 20, 0));
}

TEST_F(ExchangeReaderTest, LatencyIsSinceSendingWhenNothingWasAheadOfIt) {
  tape.session(1).exchange("SELECT 1", Server().rows({"1"})).after(500 * kMillisecond);
  tape.asks(Client().query("SELECT 2")).after(30 * kMillisecond).answers(Server().rows({"2"}));
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_THAT(latencies, ElementsAre(30));
}

TEST_F(ExchangeReaderTest, ASessionThatEndsInsideAnExchangeLeavesItUnanswered) {
  tape.session(1).asks(Client().query("SELECT pg_sleep(9)")).answers(Server().columns({"a"}));
  tape.leaves(CloseReason::kServerLeft);
  EXPECT_EQ(next(), "T");
  EXPECT_FALSE(reader().answered());
  EXPECT_TRUE(reader().awaits_answer());
  EXPECT_EQ(reader().end(), ExchangeReader::End::kServer);
  EXPECT_EQ(reader().request().text(), "SELECT pg_sleep(9)");
  EXPECT_EQ(next(), "end");
}

TEST_F(ExchangeReaderTest, ARequestWithoutAnyAnswerIsNoExchangeButAwaited) {
  tape.session(1).asks(Client().query("SELECT 1")).leaves();
  EXPECT_EQ(next(), "end");
  EXPECT_TRUE(reader().awaits_answer());
}

TEST_F(ExchangeReaderTest, AGoodByeThatNobodyAskedForIsAFarewell) {
  tape.session(1).exchange("SELECT 1", Server().rows({"1"}));
  tape.answers(Server().error("57P01", "terminating connection", "FATAL")).leaves(CloseReason::kServerLeft);
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(reader().farewell(), "FATAL 57P01: terminating connection");
}

TEST_F(ExchangeReaderTest, AnErrorWhoseRequestWasBeforeTheRecordingIsNoFarewell) {
  tape.continues(1).answers(Server().error("42601").ready()).exchange("SELECT 1", Server().rows({"1"}));
  (void)reader(true);
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(reader().farewell(), "");
}

TEST_F(ExchangeReaderTest, AHoleEndsWhatIsKnownAndSaysWhy) {
  tape.session(1).exchange("SELECT 1", Server().rows({"1"}));
  tape.asks(Client().query("SELECT 2")).answers(Server().columns({"a"})).gap();
  tape.answers(Server().row({"2"}).tag("SELECT 1").ready()).leaves();
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(next(), "T");
  EXPECT_FALSE(reader().answered());
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(reader().end(), ExchangeReader::End::kCut);
  EXPECT_TRUE(reader().has_hole());
  EXPECT_EQ(reader().cut_reason(), "a gap");
}

TEST_F(ExchangeReaderTest, ADamagedChunkIsAHole) {
  tape.session(1).exchange("SELECT 1", Server().rows({"1"})).seal();
  tape.exchange("SELECT 2", Server().rows({"2"})).damage_last_chunk();
  tape.exchange("SELECT 3", Server().rows({"3"})).leaves();
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(reader().cut_reason(), "a damaged chunk");
}

TEST_F(ExchangeReaderTest, BytesThatAreNoMessagesAreAHole) {
  tape.session(1).exchange("SELECT 1", Server().rows({"1"})).asks(Client().query("SELECT 2"));
  tape.answers(as_bytes(std::string_view("Z\0\0\0\0I", 6))).leaves();
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(reader().end(), ExchangeReader::End::kCut);
  EXPECT_THAT(reader().cut_reason(), StartsWith("the server's bytes are no messages"));
}

TEST_F(ExchangeReaderTest, ARecordingThatEndsBeforeTheSessionIsNoEndOfTheSession) {
  tape.session(1).exchange("SELECT 1", Server().rows({"1"})).leaves(CloseReason::kRecordingEnded);
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(reader().end(), ExchangeReader::End::kCut);
  EXPECT_THAT(reader().cut_reason(), HasSubstr("recording ends"));
}

TEST_F(ExchangeReaderTest, NorIsOneWithoutAnyClosing) {
  tape.session(1).exchange("SELECT 1", Server().rows({"1"}));
  EXPECT_EQ(next(), "TDCZ");
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(reader().end(), ExchangeReader::End::kCut);
}

TEST_F(ExchangeReaderTest, ParametersAreThoseOfTheStatementAndMayBeHuge) {
  tape.session(1).asks(Client()
                           .ask("BEGIN")
                           .ask("UPDATE t SET a = $1, b = $2", {"7", std::nullopt})
                           .ask("UPDATE u SET c = $1", {std::string(100'000, 'x')})
                           .sync());
  tape.answers(
      Server().prepared().tag("BEGIN").prepared().tag("UPDATE 1").prepared().tag("UPDATE 1").ready());
  ASSERT_TRUE(reader().next_exchange());
  std::vector<std::string> parameters;
  while (const Reply* const reply = reader().next_reply()) {
    if (reply->message.type == backend::kCommandComplete)
      parameters.push_back(reader().request().parameters(reply->step));
  }
  ASSERT_EQ(parameters.size(), 3U);
  EXPECT_EQ(parameters[0], "");
  EXPECT_EQ(parameters[1], "'7', NULL");
  EXPECT_THAT(parameters[2], StartsWith("'xxxx"));
  EXPECT_LT(parameters[2].size(), 300U);
}

TEST_F(ExchangeReaderTest, AnEndlessPipelineIsFollowedInBoundedMemory) {
  tape.session(1);
  constexpr int kStatements = 20'000;
  for (int i = 0; i < kStatements; ++i) {
    tape.asks(Client().ask("UPDATE t SET a = $1", {std::to_string(i)}).flush());
    tape.answers(Server().prepared().tag("UPDATE 1"));
  }
  tape.asks(Client().sync()).answers(Server().ready());
  ASSERT_TRUE(reader().next_exchange());
  std::size_t most_steps = 0;
  std::size_t completed = 0;
  while (const Reply* const reply = reader().next_reply()) {
    most_steps = std::max(most_steps, reader().request().steps().size());
    if (reply->latency >= 0) ++completed;
  }
  EXPECT_EQ(completed, std::size_t{kStatements});
  EXPECT_LT(most_steps, 10'000U);
}

TEST_F(ExchangeReaderTest, UnreadRepliesArePassedOver) {
  tape.session(1)
      .exchange("SELECT 1", Server().rows({"1", "2", "3"}))
      .exchange("SELECT 2", Server().rows({}));
  ASSERT_TRUE(reader().next_exchange());
  ASSERT_TRUE(reader().next_exchange());
  EXPECT_EQ(reader().request().text(), "SELECT 2");
  EXPECT_FALSE(reader().next_exchange());
}

}  // namespace
}  // namespace understudy::replayer
