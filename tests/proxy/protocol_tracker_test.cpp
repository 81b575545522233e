// What a session knows of itself from what passes, whatever way the bytes are cut.
#include "proxy/protocol_tracker.h"

#include <gtest/gtest.h>

#include <string>

namespace understudy::proxy {
namespace {

using S = SessionState;

std::string message(char type, std::string_view payload = {}) {
  const auto length = static_cast<std::uint32_t>(payload.size() + 4);
  std::string out(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(length >> shift);
  return out + std::string(payload);
}

// A tracker after its login, fed with messages.
class ProtocolTrackerTest : public ::testing::Test {
 protected:
  ProtocolTrackerTest() {
    EXPECT_TRUE(tracker_.advance(SessionEvent::kStartupReceived));
    EXPECT_TRUE(tracker_.advance(SessionEvent::kReady));
  }
  bool client(const std::string& bytes) { return tracker_.client_bytes(as_bytes(bytes)); }
  bool server(const std::string& bytes) { return tracker_.server_bytes(as_bytes(bytes)); }
  bool ready(char status = 'I') { return server(message('Z', std::string(1, status))); }
  std::string error(const char* severity = "ERROR") {
    return message('E', std::string("S") + severity + '\0' + "V" + severity + '\0' + "C22012" + '\0' + '\0');
  }
  std::string pipeline() { return message('P', "x") + message('B', "x") + message('E', "x") + message('S'); }

  ProtocolTracker tracker_;
};

TEST_F(ProtocolTrackerTest, SettingsAreRememberedAsLastReported) {
  const std::string zero(1, '\0');
  const auto report = [&](const char* value) { return message('S', "TimeZone" + zero + value + zero); };
  ASSERT_TRUE(server(report("UTC") + report("Asia/Tokyo")));
  EXPECT_EQ(tracker_.settings().at("TimeZone"), "Asia/Tokyo");
  EXPECT_TRUE(tracker_.settings_known());
  const std::string cut = report("Asia/Kathmandu");
  ASSERT_TRUE(server(cut.substr(0, 10)) && server(cut.substr(10)));
  EXPECT_FALSE(tracker_.settings_known());
}

TEST_F(ProtocolTrackerTest, SimpleQueryGoesToQueryAndBack) {
  ASSERT_TRUE(client(message('Q', "select 1")));
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(server(message('T', "x") + message('D', "x") + message('C', "x")));
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, OpenTransactionIsNotIdle) {
  ASSERT_TRUE(client(message('Q', "begin")) && ready('T'));
  EXPECT_EQ(tracker_.state(), S::kReady);
  EXPECT_FALSE(tracker_.idle());
  ASSERT_TRUE(client(message('Q', "rollback")) && ready('I'));
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, PipelineIsIdleOnlyAfterItsLastSync) {
  ASSERT_TRUE(client(pipeline() + pipeline() + pipeline()));
  ASSERT_TRUE(ready() && ready());
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, MessagesAfterASyncKeepTheSessionBusy) {
  ASSERT_TRUE(client(pipeline() + message('P', "x") + message('H')));
  ASSERT_TRUE(ready());
  EXPECT_EQ(tracker_.state(), S::kQuery);
}

TEST_F(ProtocolTrackerTest, ErrorInAPipelineSkipsToItsSync) {
  ASSERT_TRUE(client(pipeline() + pipeline()));
  ASSERT_TRUE(server(error()));
  EXPECT_EQ(tracker_.state(), S::kExtendedError);
  ASSERT_TRUE(ready());
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, ErrorInASimpleQueryDoesNotSkip) {
  ASSERT_TRUE(client(message('Q', "select 1/0")) && server(error()));
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, CopyInOfASimpleQuery) {
  ASSERT_TRUE(client(message('Q', "copy t from stdin")) && server(message('G', "x")));
  EXPECT_EQ(tracker_.state(), S::kCopy);
  ASSERT_TRUE(client(message('d', "1\n") + message('c')) && server(message('C', "COPY 1")));
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, TwoCopiesInOneQuery) {
  ASSERT_TRUE(client(message('Q', "copy a from stdin; copy b from stdin")));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(server(message('G', "x")) && client(message('d', "1\n") + message('c')));
    ASSERT_TRUE(server(message('C', "COPY 1")));
  }
  ASSERT_TRUE(ready());
  EXPECT_TRUE(tracker_.idle());
}

// libpq sends Sync with the Execute of a COPY, which the server ignores, and another with CopyDone.
TEST_F(ProtocolTrackerTest, SyncBeforeCopyDataIsIgnoredByTheServer) {
  ASSERT_TRUE(client(pipeline()) && server(message('1') + message('2') + message('G', "x")));
  ASSERT_TRUE(client(message('d', "1\n") + message('c') + message('S')));
  ASSERT_TRUE(server(message('C', "COPY 1")) && ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, CopySentBlindlyCountsOnlyTheSyncAfterIt) {
  ASSERT_TRUE(client(message('P', "x") + message('B', "x") + message('E', "x") + message('d', "1\n") +
                     message('c') + message('S')));
  ASSERT_TRUE(server(message('1') + message('2') + message('G', "x") + message('C', "COPY 1")) && ready());
  EXPECT_TRUE(tracker_.idle());
}

// Each CopyDone ends the copy it was sent for, however many were sent ahead.
TEST_F(ProtocolTrackerTest, TwoExtendedCopiesSentBlindly) {
  const std::string blind = message('P', "x") + message('B', "x") + message('E', "x") + message('d', "1\n") +
                            message('c') + message('S');
  const std::string answer = message('1') + message('2') + message('G', "x") + message('C', "COPY 1");
  ASSERT_TRUE(client(blind + blind + blind));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(tracker_.idle());
    ASSERT_TRUE(server(answer) && ready()) << tracker_.violation();
  }
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, TwoSimpleCopiesSentBlindly) {
  const std::string blind = message('Q', "copy t from stdin") + message('d', "1\n") + message('c');
  ASSERT_TRUE(client(blind + blind + pipeline()));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(server(message('G', "x")));
    EXPECT_FALSE(tracker_.awaits_copy_data());
    ASSERT_TRUE(server(message('C', "COPY 1")) && ready()) << tracker_.violation();
  }
  ASSERT_TRUE(server(message('1') + message('2') + message('C', "SELECT 1")) && ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, TwoCopiesOfOneQuerySentBlindly) {
  ASSERT_TRUE(client(message('Q', "copy a from stdin; copy b from stdin") + message('d', "1\n") +
                     message('c') + message('d', "1\n") + message('c')));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(server(message('G', "x")));
    EXPECT_FALSE(tracker_.awaits_copy_data());
    ASSERT_TRUE(server(message('C', "COPY 1")));
  }
  ASSERT_TRUE(ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, TheEndOfACopyThatNeverBeganIsNotTheNextOnes) {
  const std::string blind = message('P', "x") + message('B', "x") + message('E', "x") + message('d', "1\n") +
                            message('c') + message('S');
  ASSERT_TRUE(client(blind + message('Q', "copy nowhere from stdin") + message('d', "1\n") + message('c')));
  // The first fails before it begins; the second begins, and its end is on its way.
  ASSERT_TRUE(server(error()) && ready());
  ASSERT_TRUE(client(message('Q', "copy t from stdin")));
  ASSERT_TRUE(server(error()) && ready());
  ASSERT_TRUE(server(message('G', "x")));
  EXPECT_TRUE(tracker_.awaits_copy_data());
  ASSERT_TRUE(client(message('d', "1\n") + message('c')));
  ASSERT_TRUE(server(message('C', "COPY 1")) && ready());
  EXPECT_TRUE(tracker_.idle());
}

// Memory for them is bounded, whatever the client sends before the server answers.
TEST_F(ProtocolTrackerTest, EndsOfCopiesSentAheadAreBounded) {
  bool taken = client(message('P', "x"));
  for (int i = 0; i < 1'000'000 && taken; ++i) taken = client(message('c'));
  EXPECT_TRUE(taken);
  for (int i = 0; i < 1'000'000 && taken; ++i) taken = client(message('c') + message('S'));
  EXPECT_FALSE(taken);
}

TEST_F(ProtocolTrackerTest, FailedExtendedCopySkipsToTheNextSync) {
  ASSERT_TRUE(client(pipeline()) && server(message('G', "x")) && client(message('d', "bad\n")));
  ASSERT_TRUE(server(error()));
  EXPECT_EQ(tracker_.state(), S::kExtendedError);
  ASSERT_TRUE(client(message('c') + message('S')) && ready());
  EXPECT_TRUE(tracker_.idle());
}

// The protocol asks no CopyDone of a client that has heard of the failure.
TEST_F(ProtocolTrackerTest, FailedExtendedCopyIsEndedByASyncAlone) {
  ASSERT_TRUE(client(message('P', "x") + message('B', "x") + message('E', "x") + message('H')));
  ASSERT_TRUE(server(message('G', "x")) && client(message('d', "bad\n")) && server(error()));
  ASSERT_TRUE(client(message('S')) && ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, CopyDoneOfAFailedCopyIsNotTakenForTheNextOnes) {
  ASSERT_TRUE(client(pipeline()) && server(message('G', "x") + error()));
  ASSERT_TRUE(client(message('c') + message('S') + pipeline()) && ready());
  ASSERT_TRUE(server(message('G', "x")) && client(message('d', "1\n") + message('c') + message('S')));
  ASSERT_TRUE(server(message('C', "COPY 1")) && ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, QueryEndsAPipelineThatHasNoSync) {
  ASSERT_TRUE(client(message('P', "x") + message('H')) && server(message('1')));
  EXPECT_FALSE(tracker_.idle());
  ASSERT_TRUE(client(message('Q', "select 1")) && server(message('C', "SELECT 1")) && ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, FunctionCallGoesToQueryAndBack) {
  ASSERT_TRUE(client(message('F', "x")) && server(message('V', "x")) && ready('T'));
  EXPECT_EQ(tracker_.state(), S::kReady);
  ASSERT_TRUE(client(message('F', "x")) && server(error()));
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(ready('E'));
  EXPECT_EQ(tracker_.state(), S::kReady);
}

TEST_F(ProtocolTrackerTest, SuspendedPortalKeepsThePipelineOpen) {
  ASSERT_TRUE(client(message('E', "p") + message('H')) && server(message('D', "x") + message('s')));
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(client(message('E', "p") + message('S')) && server(message('C', "SELECT 1")) && ready());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, CopyBothOfReplication) {
  ASSERT_TRUE(client(message('Q', "START_REPLICATION")) && server(message('W', "x")));
  EXPECT_EQ(tracker_.state(), S::kCopy);
  EXPECT_TRUE(tracker_.streams_replication());
  ASSERT_TRUE(server(message('d', "wal")) && client(message('d', "status")) && client(message('c')));
  ASSERT_TRUE(server(message('c') + message('C', "COPY 0")) && ready());
  EXPECT_FALSE(tracker_.streams_replication());
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, FatalWhileIdleIsNoViolation) {
  ASSERT_TRUE(server(error("FATAL")));
  EXPECT_TRUE(tracker_.fatal_seen());
}

TEST_F(ProtocolTrackerTest, TranslatedFatalIsKnownByItsUntranslatedField) {
  ASSERT_TRUE(server(message('E', std::string("SSCHWERWIEGEND\0VFATAL\0C57P01\0\0", 30))));
  EXPECT_TRUE(tracker_.fatal_seen());
}

TEST_F(ProtocolTrackerTest, AsynchronousMessagesLeaveTheStateAlone) {
  ASSERT_TRUE(server(message('N', "x") + message('A', "x") + message('S', "x")));
  EXPECT_TRUE(tracker_.idle());
}

TEST_F(ProtocolTrackerTest, RefusesReadyForQueryNobodyAskedFor) {
  EXPECT_FALSE(ready());
  EXPECT_NE(tracker_.violation().find("ReadyForQuery"), std::string::npos);
}

TEST_F(ProtocolTrackerTest, RefusesCopyNobodyAskedFor) {
  EXPECT_FALSE(server(message('H', "x")));
  EXPECT_NE(tracker_.violation().find("READY"), std::string::npos);
}

TEST_F(ProtocolTrackerTest, RefusesUnknownClientMessages) {
  EXPECT_FALSE(client(message('y', "x")));
  EXPECT_EQ(tracker_.violation(), "invalid frontend message type 121");
}

// An authentication message after the login would be a password in the transcript.
TEST_F(ProtocolTrackerTest, RefusesPasswordsAfterTheLogin) { EXPECT_FALSE(client(message('p', "secret"))); }

TEST_F(ProtocolTrackerTest, RefusesImpossibleLengths) {
  for (const std::string& header :
       {std::string("Q\0\0\0\0", 5), std::string("Q\0\0\0\3", 5), std::string("Q\x7F\xFF\xFF\xFF", 5),
        std::string("Q\xFF\xFF\xFF\xFF", 5)}) {
    ProtocolTracker fresh;
    EXPECT_FALSE(fresh.client_bytes(as_bytes(header)));
    EXPECT_NE(fresh.violation().find("invalid message length"), std::string::npos);
  }
}

TEST_F(ProtocolTrackerTest, EveryCutOfTheBytesGivesTheSameStates) {
  const std::string asked = message('Q', "begin") + pipeline();
  const std::string answered =
      message('C', "BEGIN") + message('Z', "T") + message('1') + error() + message('Z', "E");
  for (std::size_t cut = 0; cut <= asked.size(); ++cut) {
    for (std::size_t other = 0; other <= answered.size(); ++other) {
      ProtocolTracker tracker;
      ASSERT_TRUE(tracker.advance(SessionEvent::kStartupReceived) && tracker.advance(SessionEvent::kReady));
      ASSERT_TRUE(tracker.client_bytes(as_bytes(asked.substr(0, cut))));
      ASSERT_TRUE(tracker.client_bytes(as_bytes(asked.substr(cut))));
      ASSERT_TRUE(tracker.server_bytes(as_bytes(answered.substr(0, other))));
      ASSERT_TRUE(tracker.server_bytes(as_bytes(answered.substr(other))));
      ASSERT_EQ(tracker.state(), S::kReady);
      ASSERT_EQ(tracker.transaction_status(), 'E');
      ASSERT_TRUE(tracker.server_at_boundary());
    }
  }
}

TEST_F(ProtocolTrackerTest, MillionPipelinedSyncsAreCounted) {
  std::string syncs;
  for (int i = 0; i < 1000; ++i) syncs += message('S');
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(client(syncs));
  for (int i = 0; i < 999'999; ++i) ASSERT_TRUE(ready());
  EXPECT_EQ(tracker_.state(), S::kQuery);
  ASSERT_TRUE(ready());
  EXPECT_TRUE(tracker_.idle());
  EXPECT_FALSE(ready());
}

TEST(RequestQueue, KeepsOrderWhenKindsAlternate) {
  RequestQueue queue;
  const RequestKind kinds[] = {RequestKind::kSimple, RequestKind::kPipeline, RequestKind::kPipeline,
                               RequestKind::kFunctionCall, RequestKind::kSimple};
  for (int round = 0; round < 3; ++round) {
    for (const RequestKind kind : kinds) queue.push(kind);
  }
  for (int round = 0; round < 3; ++round) {
    for (const RequestKind kind : kinds) {
      ASSERT_EQ(queue.front(), kind);
      ASSERT_TRUE(queue.pop());
    }
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.pop());
}

}  // namespace
}  // namespace understudy::proxy
