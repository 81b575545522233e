// Which request a server's message answers, in every shape clients pipeline.
#include "replayer/request_tracker.h"

#include <gmock/gmock.h>

#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using replayer::RequestTracker;
using replayer::TrackedRequest;
using testing::ElementsAre;
using testing::IsEmpty;

std::string shown(const TrackedRequest& request) {
  static constexpr const char* kKinds[] = {"query", "call", "parse", "describe", "execute", "sync"};
  static constexpr const char* kEnds[] = {"unknown", "done", "failed", "skipped"};
  std::string out =
      std::string(kKinds[static_cast<int>(request.kind)]) + " " + kEnds[static_cast<int>(request.end)];
  for (const std::string& tag : request.tags) out += " " + tag;
  if (!request.sqlstate.empty()) out += " " + request.sqlstate;
  return out;
}

class RequestTrackerTest : public testing::Test {
 protected:
  void client(const std::string& bytes) {
    (void)client_.feed(as_bytes(bytes), [this](const wire::Message& message) { tracker_.client(message); });
  }
  void server(const std::string& bytes) {
    (void)server_.feed(as_bytes(bytes), [this](const wire::Message& message) { tracker_.server(message); });
  }
  std::vector<std::string> ended() {
    std::vector<std::string> out;
    for (const TrackedRequest& request : tracker_.ended()) out.push_back(shown(request));
    tracker_.ended().clear();
    return out;
  }

  RequestTracker tracker_;
  wire::MessageAssembler client_;
  wire::MessageAssembler server_;
};

const std::string kParsed = empty('1');
const std::string kBound = empty('2');

TEST_F(RequestTrackerTest, TheLoginsReadyForQueryAnswersNothing) {
  server(ready());
  EXPECT_THAT(ended(), IsEmpty());
  client(query("select 1"));
  server(complete("SELECT 1"));
  EXPECT_THAT(ended(), IsEmpty()) << "a Query is over with its ReadyForQuery";
  server(ready());
  EXPECT_THAT(ended(), ElementsAre("query done SELECT 1"));
}

TEST_F(RequestTrackerTest, AQueryOfSeveralStatementsHasATagForEach) {
  client(query("begin; insert ...; bad"));
  server(complete("BEGIN") + complete("INSERT 0 1") + error("42601", "no") + ready('E'));
  EXPECT_THAT(ended(), ElementsAre("query failed BEGIN INSERT 0 1 42601"));
}

TEST_F(RequestTrackerTest, PipelinedRequestsGetTheirOwnAnswers) {
  client(parse("", "a") + bind("", "") + execute("") + sync() + query("b") + bind("", "") + execute("") +
         sync());
  server(kParsed + kBound + complete("A") + ready() + complete("B") + ready() + kBound + complete("C"));
  EXPECT_THAT(ended(),
              ElementsAre("parse done", "execute done A", "sync done", "query done B", "execute done C"));
  server(ready());
  EXPECT_THAT(ended(), ElementsAre("sync done"));
}

TEST_F(RequestTrackerTest, AnErrorSkipsToTheSyncWhetherItWasSentOrNot) {
  client(bind("", "") + execute("") + bind("", "") + execute(""));
  server(error("23505", "duplicate"));
  EXPECT_THAT(ended(), ElementsAre("execute failed 23505", "execute skipped"));
  client(parse("s", "late") + bind("", "s") + execute(""));
  EXPECT_THAT(ended(), ElementsAre("parse skipped", "execute skipped"));
  client(sync() + query("next"));
  server(ready() + complete("N") + ready());
  EXPECT_THAT(ended(), ElementsAre("sync done", "query done N"));
}

TEST_F(RequestTrackerTest, ACommitThatFailsAtTheSyncIsTheSyncsFailure) {
  client(bind("", "") + execute("") + sync());
  server(kBound + complete("INSERT 0 1") + error("23503", "deferred") + ready());
  EXPECT_THAT(ended(), ElementsAre("execute done INSERT 0 1", "sync failed 23503"));
}

TEST_F(RequestTrackerTest, SyncsSentIntoACopyAreIgnoredAsTheServerDoes) {
  client(parse("", "copy") + bind("", "") + execute("") + sync());
  server(kParsed + kBound + copy_in_response());
  client(copy_data("1\n") + sync() + copy_done() + sync());
  server(complete("COPY 1") + ready());
  EXPECT_THAT(ended(), ElementsAre("parse done", "execute done COPY 1", "sync done"));
}

TEST_F(RequestTrackerTest, ACopySentBlindKeepsTheSyncBehindItsEnd) {
  client(bind("", "") + execute("") + copy_data("1\n") + copy_done() + sync());
  server(kBound + copy_in_response() + complete("COPY 1") + ready());
  EXPECT_THAT(ended(), ElementsAre("execute done COPY 1", "sync done"));
}

TEST_F(RequestTrackerTest, ColumnsOfARowAreInTheFormatItsBindAskedFor) {
  client(bind("text", "s") + bind("binary", "s", {}, {1}) + execute("text") + execute("binary") + sync());
  server(kBound + kBound + row({"1"}));
  EXPECT_THAT(tracker_.row_formats(), IsEmpty());
  server(complete("SELECT 1") + row({"1"}));
  EXPECT_THAT(tracker_.row_formats(), ElementsAre(1));
  server(complete("SELECT 1") + ready());
  client(query("fetch from binary_cursor"));
  server(row_description({"a", "b"}, 1));
  EXPECT_THAT(tracker_.row_formats(), ElementsAre(1, 1));
}

TEST_F(RequestTrackerTest, TypesBelongToTheParseThatADescribeNames) {
  client(parse("s", "one") + parse("t", "two") + describe('S', "s") + sync());
  server(kParsed + kParsed + parameter_types({23, 25}) + ready());
  ASSERT_EQ(tracker_.ended().size(), 4U);
  EXPECT_EQ(tracker_.ended()[2].parse_number, 1U);
  EXPECT_THAT(tracker_.ended()[2].parameter_types, ElementsAre(23U, 25U));
}

TEST_F(RequestTrackerTest, WhatIsUnansweredAtTheEndIsUnknown) {
  client(query("a") + bind("", "") + execute(""));
  server(complete("A"));
  tracker_.finish();
  EXPECT_THAT(ended(), ElementsAre("query unknown A", "execute unknown"));
}

TEST_F(RequestTrackerTest, AnswersNobodyAskedForHarmNothing) {
  server(complete("X") + error("57P01", "good-bye") + copy_in_response() + kParsed + parameter_types({1}) +
         ready());
  client(copy_done() + sync());
  server(ready());
  EXPECT_THAT(ended(), ElementsAre("sync done"));
}

}  // namespace
}  // namespace understudy::test
