// understudy verify, as a user runs it.
#include <Poco/JSON/Parser.h>
#include <gmock/gmock.h>

#include <fstream>

#include "formats/crc32c.h"
#include "formats/transcript/saved_note.h"
#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class VerifyTest : public RecordingTest {
 protected:
  void save_segment(std::uint32_t number, bool last = true) {
    begin_segment(1, number);
    open_session({1, number}, 100);
    from_client({1, number}, 110, query("select 1"));
    seal();
    close_session({1, number}, 120);
    seal();
    link_ = writer_->link();
    EXPECT_FALSE(writer_->finish(last));
    save();
  }
  // As a recorder does, of which the last one only says so.
  void save_three_segments() {
    for (const std::uint32_t number : {1U, 2U, 3U}) save_segment(number, number == 3);
  }
  // As a later version would write it: with a header that is whole, and of another major version.
  void save_newer_segment() {
    begin_segment(1, 1);
    finish();
    const std::span<Byte> header(file_.contents.data(), header_end_);
    header[38] = kFormatMajor + 1;
    seal_record(header, crc32c(ByteView(header).subspan(16, header.size() - 20)), 0);
    save();
  }
  void write(const std::string& name, const std::string& contents) {
    std::ofstream(directory_ / name, std::ios::binary) << contents;
  }
  Poco::JSON::Object::Ptr json() {
    return Poco::JSON::Parser().parse(run("verify", {"--json"}).out).extract<Poco::JSON::Object::Ptr>();
  }
};

TEST_F(VerifyTest, AWholeRecordingGives0AndSaysWhatIsInIt) {
  save_segment(1);
  save_segment(2);
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("000001-000002.transcript    whole"));
  EXPECT_THAT(outcome.out, HasSubstr("2 segments: 2 whole"));
  EXPECT_THAT(outcome.out, HasSubstr("2 sessions, 4 chunks, 6 events"));
  EXPECT_THAT(outcome.out, HasSubstr("lost   nothing"));
  EXPECT_TRUE(json()->getObject("summary")->getValue<bool>("whole"));
}

TEST_F(VerifyTest, WhereTheChainEndsIsPrintedAndIsExpectedLater) {
  save_segment(1);
  const std::string line = "chain ends at ";
  const std::string told = run("verify").out;
  ASSERT_THAT(told, HasSubstr(line));
  const std::string hash = told.substr(told.find(line) + line.size(), 64);
  EXPECT_EQ(json()->getObject("chain")->getObject("head")->getValue<std::string>("sha256"), hash);
  EXPECT_EQ(run("verify", {"--expect", hash}).code, 0);
  EXPECT_THAT(
      run("verify", {"--expect", hash}).out,
      testing::AllOf(HasSubstr("expected " + hash + ":"), HasSubstr("here, 000001-000001.transcript\n")));
  std::filesystem::remove(directory_ / "000001-000001.transcript");
  save_segment(2);
  const Outcome gone = run("verify", {"--expect", hash});
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.out, HasSubstr("lost   the segment of --expect"));
  const Outcome as_json = run("verify", {"--json", "--expect", hash});
  EXPECT_EQ(as_json.code, 1);
  EXPECT_THAT(as_json.out, HasSubstr("\"here\":false"));
  const Outcome misread = run("verify", {"--expect", hash.substr(1)});
  EXPECT_EQ(misread.code, 2);
  EXPECT_THAT(misread.err, HasSubstr("64 hexadecimal digits"));
}

TEST_F(VerifyTest, ATornTailIsToldInPlainWordsWithFileAndOffset) {
  save_segment(1);
  begin_segment(1, 2);
  open_session(kB, 100);
  seal();
  const std::size_t whole = size();
  from_client(kB, 110, query(std::string(100, 'x')));
  seal();
  shrink_to(size() - 5);
  save();
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("000001-000002.transcript    unclean"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("damaged at")));
  EXPECT_THAT(outcome.out, HasSubstr("not closed: its writer was killed, lost power, or is still writing"));
  EXPECT_THAT(outcome.out, HasSubstr("the last " + std::to_string(size() - whole) + " bytes, from offset " +
                                     std::to_string(whole) + " on"));
  EXPECT_THAT(outcome.out, HasSubstr("2 segments: 1 whole, 1 unclean"));
  EXPECT_THAT(outcome.out, HasSubstr("not known: what the recorder had not written of 1 segment"));
  EXPECT_EQ(json()->getArray("segments")->getObject(1)->getValue<std::size_t>("lost_bytes"), size() - whole);
}

TEST_F(VerifyTest, AFlippedByteIsFoundAndToldByOffset) {
  save_segment(1);
  flip_byte(chunk_ends_[0] - 1);
  save();
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, testing::ContainsRegex("damaged at offset [0-9]+: chunk body: checksum mismatch"));
  EXPECT_THAT(outcome.out, HasSubstr("1 damaged chunk"));
  EXPECT_THAT(outcome.out, HasSubstr("1 session, 1 chunk, 1 event"));
}

TEST_F(VerifyTest, OneUnusableSegmentDoesNotKeepTheOthersFromBeingChecked) {
  save_segment(1);
  write("000001-000002.transcript", std::string(100, 'z'));
  save_segment(3);
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("000001-000002.transcript: not an understudy transcript (at byte 0)"));
  EXPECT_THAT(outcome.out, HasSubstr("000001-000003.transcript    whole"));
  EXPECT_THAT(outcome.out, HasSubstr("3 segments: 2 whole, 1 unusable"));
  EXPECT_THAT(outcome.out, HasSubstr("lost   whatever 1 unusable segment held"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("not an understudy transcript"))) << "said once";
  EXPECT_THAT(outcome.out, Not(HasSubstr("0 bytes")));
  EXPECT_EQ(json()->getArray("segments")->getObject(1)->getValue<std::string>("verdict"), "unusable");
}

TEST_F(VerifyTest, AnEmptyFileIsUncleanInADirectoryAndRefusedByItself) {
  save_segment(1);
  write("000001-000002.transcript", "");
  const Outcome in_directory = run("verify");
  EXPECT_EQ(in_directory.code, 1);
  EXPECT_THAT(in_directory.out, HasSubstr("empty: its writer ended"));
  const Outcome alone = run_command({"verify", path() + "/000001-000002.transcript"});
  EXPECT_EQ(alone.code, 2);
  EXPECT_THAT(alone.err,
              HasSubstr("000001-000002.transcript: is empty: nothing was recorded in it (at byte 0)"));
}

TEST_F(VerifyTest, WhatTheRecorderLostIsToldWithReasonAndMakesItIncomplete) {
  begin_segment(1, 1);
  open_session(kA, 100);
  gap(kA, 120, {GapReason::kOverload, 110, 120, 100, 1, 7});
  seal();
  EXPECT_FALSE(writer_->append_loss(
      {GapReason::kDiskError, 0, 1'000'000'000, 3, 40, 5000, "No space left on device"}));
  finish_and_save();
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("incomplete"));
  EXPECT_THAT(outcome.out,
              HasSubstr("the recorder lost 3 sessions, 40 events, 4.9 KiB (disk error: No space left on "
                        "device)\n    from 1970-01-01T00:00:00.000000Z to 1970-01-01T00:00:01.000000Z"));
  EXPECT_THAT(outcome.out, HasSubstr("the recorder left 1 gap in sessions: 101 B missing"));
}

TEST_F(VerifyTest, ASegmentThatIsMissingInTheMiddleIsNamed) {
  for (const std::uint32_t number : {1U, 2U, 3U}) save_segment(number);
  EXPECT_THAT(run("verify").out, HasSubstr("chain  run 1: segments 1 to 3 follow each other; segment 3 is"));
  std::filesystem::remove(directory_ / "000001-000002.transcript");
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("2 segments: 2 whole"));
  EXPECT_THAT(outcome.out, HasSubstr("chain  broken: 000001-000003.transcript segment 2"));
  EXPECT_THAT(outcome.out, HasSubstr("lost   what the chain misses"));
  EXPECT_FALSE(json()->getObject("chain")->getValue<bool>("whole"));
  EXPECT_EQ(json()->getObject("chain")->getArray("problems")->size(), 1U);
}

TEST_F(VerifyTest, OldestSegmentsMayBeGone) {
  for (const std::uint32_t number : {1U, 2U, 3U}) save_segment(number);
  std::filesystem::remove(directory_ / "000001-000001.transcript");
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out,
              HasSubstr("chain  run 1: begins after segment 1; segments 2 to 3 follow each other"));
  EXPECT_THAT(outcome.out, HasSubstr("lost   nothing"));
}

TEST_F(VerifyTest, ThatTheNewestAreGoneIsALossAndGives1) {
  save_three_segments();
  std::filesystem::remove(directory_ / "000001-000003.transcript");
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("others followed segment 2, which are not here"));
  EXPECT_THAT(outcome.out, HasSubstr("lost   what followed segment 2 of run 1"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("nothing")));
  const auto summary = json()->getObject("summary");
  EXPECT_FALSE(summary->getValue<bool>("whole"));
  EXPECT_EQ(summary->getValue<int>("runs_cut_off"), 1);
}

TEST_F(VerifyTest, OfAFileByItselfAndOfWhatWasSavedOthersMayHaveFollowed) {
  save_three_segments();
  const Outcome alone = run_command({"verify", path() + "/000001-000002.transcript"});
  EXPECT_EQ(alone.code, 0);
  EXPECT_THAT(alone.out, HasSubstr("lost   nothing of this file;"));
  std::filesystem::remove(directory_ / "000001-000003.transcript");
  write_saved_note(directory_, {.run = 1, .segment = 2});
  const Outcome saved = run("verify");
  EXPECT_EQ(saved.code, 0);
  EXPECT_THAT(saved.out, HasSubstr("lost   nothing of what was saved"));
  EXPECT_EQ(json()->getObject("summary")->getValue<int>("runs_cut_off"), 0);
  std::filesystem::remove(directory_ / "000001-000002.transcript");
  EXPECT_EQ(run("verify").code, 1) << "less is here than was saved";
  write("saved.txt", "no segment's name");
  EXPECT_EQ(run("verify").code, 1);
}

TEST_F(VerifyTest, WithoutTheKeyItSaysThatContentsWereNotLookedAt) {
  key_ = std::make_shared<RecordingKey>(RecordingKey::of_key(SecretKey(ByteBuffer(kKeyBytes, 0x11))));
  save_segment(1);
  save_segment(2);
  const Outcome without = run("verify");
  EXPECT_EQ(without.code, 0);
  EXPECT_THAT(without.out, HasSubstr("the contents of 2 encrypted segments were not looked at"));
  EXPECT_EQ(json()->getObject("summary")->getValue<int>("segments_not_decrypted"), 2);
  write("key", std::string(64, '1'));
  const Outcome with = run("verify", {"--key-file", path() + "/key"});
  EXPECT_EQ(with.code, 0);
  EXPECT_THAT(with.out, Not(HasSubstr("not looked at")));
  EXPECT_THAT(with.out, HasSubstr("2 sessions, 4 chunks, 6 events"));
  write("key", std::string(64, '2'));
  const Outcome wrong = run("verify", {"--key-file", path() + "/key"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("000001-000001.transcript: wrong key"));
  EXPECT_THAT(wrong.err, Not(HasSubstr("000001-000002.transcript"))) << "said once";
  EXPECT_THAT(wrong.err, HasSubstr("so nothing could be read of 2 segments"));
  EXPECT_EQ(wrong.out, "") << "of a whole recording nothing may look lost";
  EXPECT_EQ(run("show").code, 1);
  EXPECT_THAT(run("show").err, HasSubstr("give --key-file FILE"));
}

TEST_F(VerifyTest, WithAWrongKeyJsonNamesEverySegmentAndNoneAsUnclosed) {
  key_ = std::make_shared<RecordingKey>(RecordingKey::of_key(SecretKey(ByteBuffer(kKeyBytes, 0x11))));
  save_segment(1);
  save_segment(2);
  write("key", std::string(64, '2'));
  const auto told = Poco::JSON::Parser()
                        .parse(run("verify", {"--json", "--key-file", path() + "/key"}).out)
                        .extract<Poco::JSON::Object::Ptr>();
  ASSERT_EQ(told->getArray("segments")->size(), 2U);
  EXPECT_EQ(told->getArray("segments")->getObject(1)->getValue<std::string>("verdict"), "unusable");
  EXPECT_EQ(told->getObject("summary")->getValue<int>("segments_unusable"), 2);
  EXPECT_EQ(told->getObject("chain")->getArray("runs")->getObject(0)->getValue<std::string>("end"),
            "not read");
}

TEST_F(VerifyTest, OneSegmentOfAnotherKeyAmongOthersIsNamed) {
  save_segment(1);
  key_ = std::make_shared<RecordingKey>(RecordingKey::of_key(SecretKey(ByteBuffer(kKeyBytes, 0x11))));
  save_segment(2);
  write("key", std::string(64, '2'));
  const Outcome outcome = run("verify", {"--key-file", path() + "/key"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("000001-000002.transcript: wrong key"));
  EXPECT_THAT(outcome.out, HasSubstr("2 segments: 1 whole, 1 unusable"));
  EXPECT_THAT(outcome.out, HasSubstr("segment 2 could not be read, so whether others"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("was not closed")));
}

TEST_F(VerifyTest, EveryLineFitsTheTerminal) {
  save_segment(1);
  begin_segment(1, 2);
  open_session(kB, 100);
  gap(kB, 120, {GapReason::kOverload, 110, 120, 100, 1, 7});
  seal();
  EXPECT_FALSE(writer_->append_loss({GapReason::kDiskError, 0, 1'000'000'000, 3, 40, 5000, "No space left"}));
  from_client(kB, 130, query("lost"));
  seal();
  shrink_to(size() - 5);
  save();
  for (const char* width : {"200", "100", "80", "60"}) {
    const TerminalColumns terminal(width);
    std::istringstream out(run("verify").out);
    for (std::string line; std::getline(out, line);) {
      const std::size_t hash = line.size() < 64 ? 0 : line.size() - 64;
      // It is there to be copied, and not broken.
      if (hash > 0 && line.find_first_not_of("0123456789abcdef", hash) == std::string::npos) continue;
      EXPECT_LE(line.size(), std::stoul(width)) << line;
    }
  }
  const TerminalColumns terminal("200");
  EXPECT_THAT(run("verify").out,
              testing::ContainsRegex("000001-000001.transcript    whole .*3 events  1970.* to 1970"));
}

TEST_F(VerifyTest, NothingThereOrANewerVersionGives2) {
  EXPECT_EQ(run("verify").code, 2) << "a directory without segments";
  EXPECT_EQ(run_command({"verify", path() + "/nowhere"}).code, 2);
  EXPECT_EQ(run_command({"verify"}).code, 2);
  save_newer_segment();
  const Outcome newer = run("verify");
  EXPECT_EQ(newer.code, 2);
  EXPECT_THAT(newer.err, HasSubstr("000001-000001.transcript: written in transcript format 2.1"));
  EXPECT_THAT(newer.err, HasSubstr("(at byte 38)"));
}

}  // namespace
}  // namespace understudy::test
