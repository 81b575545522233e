#include "formats/wire/server_progress.h"

#include <gtest/gtest.h>

#include "tests/formats/wire_samples.h"

namespace understudy::wire {
namespace {

// Spells a server's stream: one letter a message; Z I, T and E by 'i', 't', 'x'.
ByteBuffer spell(std::string_view letters) {
  ByteBuffer out;
  const Byte key[] = {1, 2, 3, 4};
  const Value column{as_bytes("Z")};
  for (const char letter : letters) {
    switch (letter) {
      case 'R':
        append_authentication_ok(out);
        break;
      case 'K':
        append_backend_key_data(out, 1, key);
        break;
      case 'v':
        append_negotiate_protocol_version(out, kProtocol30, {});
        break;
      case 'S':
        append_parameter_status(out, "TimeZone", "UTC");
        break;
      case 'A':
        append_notification_response(out, 1, "lines", "");
        break;
      case 'N':
        append_notice_response(out, {"NOTICE", "00000", "note"});
        break;
      case 'E':
        append_error_response(out, {"ERROR", "42601", "no"});
        break;
      case 'D':
        append_data_row(out, std::span(&column, 1));
        break;
      case 'd':
        append_copy_data(out, as_bytes("row"));
        break;
      case 'C':
        append_command_complete(out, "SELECT 1");
        break;
      case 'T':
        append_row_description(out, {});
        break;
      case 'p':
        append_parameter_description(out, {});
        break;
      case 'V':
        append_function_call_response(out, Value::null());
        break;
      case 'G':
      case 'H':
      case 'W':
        append_copy_response(out, letter, 0, {});
        break;
      case 'i':
        append_ready_for_query(out, TransactionStatus::kIdle);
        break;
      case 't':
        append_ready_for_query(out, TransactionStatus::kInTransaction);
        break;
      case 'x':
        append_ready_for_query(out, TransactionStatus::kFailed);
        break;
      default:
        append_empty_message(out, letter);
        break;
    }
  }
  return out;
}

ServerProgress after(std::string_view letters) {
  ServerProgress progress;
  EXPECT_TRUE(progress.feed(spell(letters)));
  return progress;
}

TEST(WireServerProgress, StartUpCountsForNothingButItsEnd) {
  EXPECT_EQ(after("vRSSSK").mark(), (ServerProgress::Mark{0, 0}));
  EXPECT_EQ(after("vRSSSKi").mark(), (ServerProgress::Mark{1, 0}));
  // As in a transcript, where messages with secrets are missing.
  EXPECT_EQ(after("SSi").mark(), (ServerProgress::Mark{1, 0}));
}

TEST(WireServerProgress, AnswersCount) {
  for (const char answer : std::string_view("123pTnCIsVGHWE"))
    EXPECT_EQ(after(std::string("i") + answer).completions(), 1u) << answer;
}

TEST(WireServerProgress, RowsCopyDataAndWhatComesUnaskedDoNotCount) {
  EXPECT_EQ(after("iDDDdddcNASKR").mark(), (ServerProgress::Mark{1, 0}));
}

TEST(WireServerProgress, ReadyForQueryBeginsTheCountAnew) {
  const ServerProgress progress = after("iTDCtEx12T");
  EXPECT_EQ(progress.mark(), (ServerProgress::Mark{3, 3}));
  EXPECT_FALSE(progress.error_in_cycle());
  EXPECT_EQ(progress.transaction_status(), 'E');
}

TEST(WireServerProgress, TransactionStatusIsTheLastOne) {
  EXPECT_EQ(after("").transaction_status(), 'I');
  EXPECT_EQ(after("it").transaction_status(), 'T');
  EXPECT_EQ(after("itx").transaction_status(), 'E');
  EXPECT_EQ(after("itxi").transaction_status(), 'I');
}

TEST(WireServerProgress, CopyInLastsUntilItsCommandEnds) {
  EXPECT_TRUE(after("iG").copy_in_active());
  EXPECT_TRUE(after("iGN").copy_in_active());
  EXPECT_TRUE(after("iWddd").copy_in_active());
  EXPECT_FALSE(after("iGC").copy_in_active());
  EXPECT_FALSE(after("iGE").copy_in_active());
  EXPECT_FALSE(after("iHddd").copy_in_active());
  EXPECT_FALSE(after("iGi").copy_in_active());
}

TEST(WireServerProgress, EverySplitGivesTheSame) {
  const ByteBuffer stream = spell("vRSKiTDDCi12TDCtGCxENADx1E");
  const ServerProgress whole = after("vRSKiTDDCi12TDCtGCxENADx1E");
  for (std::size_t piece = 1; piece < stream.size(); ++piece) {
    ServerProgress progress;
    for (std::size_t at = 0; at < stream.size(); at += piece)
      progress.feed(ByteView(stream).subspan(at, std::min(piece, stream.size() - at)));
    EXPECT_EQ(progress.mark(), whole.mark()) << piece;
    EXPECT_EQ(progress.transaction_status(), whole.transaction_status()) << piece;
    EXPECT_EQ(progress.error_in_cycle(), whole.error_in_cycle()) << piece;
  }
}

TEST(WireServerProgress, MessageCountsWithItsLastByte) {
  const ByteBuffer stream = spell("Ct");
  ServerProgress progress;
  const std::size_t complete_bytes = stream.size() - 6;
  for (std::size_t at = 0; at < stream.size(); ++at) {
    progress.feed(ByteView(stream).subspan(at, 1));
    const bool ready = at + 1 == stream.size();
    EXPECT_EQ(progress.ready_count(), ready ? 1u : 0u) << at;
    EXPECT_EQ(progress.completions(), at + 1 >= complete_bytes && !ready ? 1u : 0u) << at;
    EXPECT_EQ(progress.transaction_status(), ready ? 'T' : 'I') << at;
  }
}

TEST(WireServerProgress, ReachedComparesCyclesFirst) {
  const ServerProgress progress = after("iTDCi12");
  EXPECT_TRUE(progress.reached({1, 100}));
  EXPECT_TRUE(progress.reached({2, 0}));
  EXPECT_TRUE(progress.reached({2, 2}));
  EXPECT_FALSE(progress.reached({2, 3}));
  EXPECT_FALSE(progress.reached({3, 0}));
}

TEST(WireServerProgress, ErrorReachesTheRestOfItsCycleOnly) {
  const ServerProgress progress = after("i1E");
  EXPECT_TRUE(progress.reached({1, 50}));
  EXPECT_FALSE(progress.reached({2, 0}));
  EXPECT_FALSE(after("i1Ex").reached({2, 1}));
}

TEST(WireServerProgress, ReadyForQueryWithoutAStatusKeepsTheLastOne) {
  ServerProgress progress = after("t");
  const Byte empty[] = {'Z', 0, 0, 0, 4};
  const Byte strange[] = {'Z', 0, 0, 0, 5, '?'};
  EXPECT_TRUE(progress.feed(empty));
  EXPECT_TRUE(progress.feed(strange));
  EXPECT_EQ(progress.ready_count(), 3u);
  EXPECT_EQ(progress.transaction_status(), 'T');
}

TEST(WireServerProgress, BrokenLengthCountsNothingMore) {
  ServerProgress progress = after("i");
  const Byte broken[] = {'C', 0, 0, 0, 3};
  EXPECT_FALSE(progress.feed(broken));
  EXPECT_FALSE(progress.feed(spell("Ci")));
  EXPECT_EQ(progress.mark(), (ServerProgress::Mark{1, 0}));
  EXPECT_TRUE(progress.broken());
}

}  // namespace
}  // namespace understudy::wire
