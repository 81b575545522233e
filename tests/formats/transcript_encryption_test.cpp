// Encryption at rest: what a file shows without its key, and what becomes of one that was tampered with.
#include <gmock/gmock.h>

#include "formats/transcript/segment_records.h"
#include "formats/transcript/verify.h"
#include "tests/formats/reseal.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr SessionId kA{1, 1};
constexpr SessionId kB{1, 2};

SecretKey key_of(Byte byte) { return SecretKey(ByteBuffer(kKeyBytes, byte)); }

class EncryptedTest : public TranscriptTest {
 protected:
  EncryptedTest() {
    key_ = std::make_shared<RecordingKey>(RecordingKey::of_key(key_of(7)));
    give_keys({7});
  }
  void give_keys(const std::vector<Byte>& keys) {
    const auto ring = std::make_shared<Keyring>();
    for (const Byte byte : keys) ring->add_key(key_of(byte));
    keys_ = ring;
  }
  void write_small() {
    begin({descriptor({1, 7}, 500, "earlier")});
    open_session(kA, 1'000);
    from_client(kA, 1'010, "Q: select 'sesame'");
    from_server(kA, 1'030, "T D C Z");
    seal();
    open_session(kB, 2'000);
    from_client(kB, 2'010, "Q: select 'sesame'");
    event({0, 0}, 2'030, EventKind::kMark, "sesame");
    seal();
    EXPECT_FALSE(writer_->append_loss({GapReason::kDiskError, 2'100, 2'200, 2, 30, 4'000, "sesame"}));
    close_session(kA, 3'000);
    close_session(kB, 3'001);
    seal();
  }
  // What is read is what was written, or less of it: never anything else.
  void expect_nothing_invented(const std::vector<Seen>& got) const {
    std::size_t at = 0;
    for (const Seen& event : got) {
      while (at < written_.size() && written_[at] != event) ++at;
      ASSERT_LT(at++, written_.size()) << testing::PrintToString(event);
    }
  }
  [[nodiscard]] SegmentReport verify(bool with_key) const {
    return verify_segment(MemoryReadableFile(file_.contents), "memory", with_key ? keys_.get() : nullptr);
  }
};

TEST_F(EncryptedTest, EverythingWrittenIsReadBackWithTheKey) {
  write_small();
  finish();
  const auto reader = open();
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*reader, damage), written_);
  EXPECT_THAT(damage, IsEmpty());
  EXPECT_TRUE(reader->clean());
  EXPECT_TRUE(reader->encrypted());
  ASSERT_EQ(reader->continuing().size(), 1U);
  EXPECT_EQ(reader->continuing()[0], descriptor({1, 7}, 500, "earlier"));
  ASSERT_EQ(reader->losses().size(), 1U);
  EXPECT_EQ(reader->losses()[0].detail, "sesame");
  EXPECT_TRUE(verify(true).contents_seen);
  EXPECT_EQ(verify(true).damage, std::vector<Damage>{});
}

TEST_F(EncryptedTest, NothingThatWasSaidIsInTheFile) {
  write_small();
  finish();
  const std::string contents(as_text(file_.contents));
  for (const char* const word : {"sesame", "alice", "earlier", "shop", "till", "192.0.2.7", "127.0.0.1"}) {
    EXPECT_THAT(contents, Not(HasSubstr(word)));
  }
  EXPECT_THAT(contents, HasSubstr("understudy test")) << "who wrote it is shown";
}

TEST_F(EncryptedTest, TwoFilesOfTheSameHaveNothingInCommon) {
  write_small();
  finish();
  const ByteBuffer first = file_.contents;
  write_small();
  finish();
  ASSERT_EQ(first.size(), size());
  EXPECT_FALSE(std::equal(first.begin() + 300, first.end(), file_.contents.begin() + 300));
}

TEST_F(EncryptedTest, WithoutTheKeyItIsRefusedAndSaysWhichKeyAndHowToGiveIt) {
  write_small();
  finish();
  keys_ = nullptr;
  EXPECT_THAT(refusal(), HasSubstr("memory: is encrypted with the key named "));
  EXPECT_THAT(refusal(), HasSubstr("--key-file"));
  EXPECT_THAT(refusal(), HasSubstr("at byte "));
}

TEST_F(EncryptedTest, AnotherKeyIsRefusedByName) {
  write_small();
  finish();
  give_keys({8});
  EXPECT_THAT(refusal(), HasSubstr("memory: wrong key"));
  EXPECT_THROW((void)verify(true), RecordingError);
}

TEST_F(EncryptedTest, OfSeveralKeysTheRightOneIsFound) {
  write_small();
  finish();
  give_keys({9, 7, 8});
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage), written_);
}

TEST_F(EncryptedTest, APassphraseOpensWhatItClosedAndNothingElse) {
  key_ = std::make_shared<RecordingKey>(RecordingKey::of_passphrase("open sesame"));
  write_small();
  finish();
  EXPECT_THAT(refusal(), HasSubstr("is encrypted with a passphrase"));
  const auto right = std::make_shared<Keyring>();
  right->add_passphrase("open sesame");
  keys_ = right;
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage), written_);
  const auto wrong = std::make_shared<Keyring>();
  wrong->add_passphrase("open barley");
  keys_ = wrong;
  EXPECT_THAT(refusal(), HasSubstr("wrong passphrase"));
}

TEST_F(EncryptedTest, VerifyWithoutTheKeyChecksAllButTheContents) {
  write_small();
  finish();
  const SegmentReport report = verify(false);
  EXPECT_TRUE(report.encrypted);
  EXPECT_FALSE(report.contents_seen);
  EXPECT_EQ(report.damage, std::vector<Damage>{});
  EXPECT_EQ(report.chunks, 3U);
  EXPECT_EQ(report.events, written_.size());
  EXPECT_EQ(report.unread_losses, 1U);
  EXPECT_FALSE(report.whole()) << "the recorder lost something, whatever it was";
  ASSERT_TRUE(report.digest);
  EXPECT_TRUE(report.digest->fits);
  flip_byte(chunk_ends_[1] - 1);
  EXPECT_EQ(verify(false).damaged_chunks, 1U);
}

TEST_F(EncryptedTest, TruncatedAtEveryByteKeepsEveryWholeChunk) {
  write_small();
  finish();
  const ByteBuffer whole = file_.contents;
  for (std::size_t length = header_end_; length < whole.size(); ++length) {
    SCOPED_TRACE(length);
    file_.contents.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    const auto reader = open();
    std::size_t chunks = 0;
    while (chunks < chunk_ends_.size() && chunk_ends_[chunks] <= length) ++chunks;
    ASSERT_EQ(reader->chunk_count(), chunks);
    ASSERT_FALSE(reader->clean());
    std::vector<Damage> damage;
    expect_nothing_invented(read_all(*reader, damage));
    ASSERT_FALSE(verify(true).whole());
  }
}

// Whoever changes a byte sets checksums right, too.
TEST_F(EncryptedTest, EveryChangedByteIsFoundOutAndNothingElseIsReadForIt) {
  write_small();
  finish();
  const ByteBuffer whole = file_.contents;
  const std::uint64_t digest = verify(true).digest->offset;
  for (std::size_t offset = 0; offset < whole.size(); ++offset) {
    SCOPED_TRACE(offset);
    file_.contents = whole;
    flip_byte(offset, 0x04);
    set_checksums_right(file_.contents);
    if (file_.contents == whole) continue;  // it was a checksum
    try {
      const auto reader = open();
      std::vector<Damage> damage;
      expect_nothing_invented(read_all(*reader, damage));
      // Of the records behind it some bits mean nothing.
      ASSERT_TRUE(offset >= digest || !verify(true).clean || !verify(true).damage.empty());
    } catch (const RecordingError& error) {
      EXPECT_THAT(error.what(), HasSubstr("memory"));
    }
  }
}

TEST_F(EncryptedTest, AChunkOfAnotherFileOfTheSameKeyIsNotDecrypted) {
  write_small();
  const ByteBuffer first = file_.contents;
  const std::size_t begin = chunk_ends_[0];
  const std::size_t end = chunk_ends_[1];
  write_small();
  std::copy(first.begin() + static_cast<std::ptrdiff_t>(begin),
            first.begin() + static_cast<std::ptrdiff_t>(end),
            file_.contents.begin() + static_cast<std::ptrdiff_t>(begin));
  set_checksums_right(file_.contents);
  std::vector<Damage> damage;
  const std::vector<Seen> got = read_all(*open(), damage);
  EXPECT_EQ(got.size(), written_.size() - 3);
  ASSERT_FALSE(damage.empty());
  EXPECT_THAT(damage.back().what, HasSubstr("its authentication fails, and nothing of it was decrypted"));
}

TEST_F(EncryptedTest, ChunksInAnotherOrderAreNotDecrypted) {
  begin();
  for (int n = 0; n < 3; ++n) {
    from_client(kA, 1'000, "Q: one as long as the other");
    seal();
  }
  const std::size_t length = chunk_ends_[1] - chunk_ends_[0];
  ASSERT_EQ(chunk_ends_[2] - chunk_ends_[1], length);
  std::swap_ranges(file_.contents.begin() + static_cast<std::ptrdiff_t>(chunk_ends_[0]),
                   file_.contents.begin() + static_cast<std::ptrdiff_t>(chunk_ends_[1]),
                   file_.contents.begin() + static_cast<std::ptrdiff_t>(chunk_ends_[1]));
  set_checksums_right(file_.contents);
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage).size(), 1U);
  EXPECT_EQ(damage.size(), 2U);
}

TEST_F(EncryptedTest, AnIndexThatHidesAChunkIsFoundOutByWhoReadsIt) {
  write_small();
  const std::size_t end = size();
  finish();
  const auto reader = open();
  file_.contents.resize(end);
  SegmentIndex index;
  index.chunks.push_back(
      {reader->chunk_offset(0), chunk_ends_[0] - reader->chunk_head(0).stored_bytes, reader->chunk_head(0)});
  const auto append = [this](RecordType type, const ByteBuffer& body) {
    ByteBuffer record;
    append_record(record, type, 0, body);
    seal_record(record, load_le32(file_.contents.data() + 12), size());
    append_bytes(file_.contents, record);
  };
  ByteBuffer body;
  encode(index, body);
  const std::size_t index_offset = size();
  append(RecordType::kIndex, body);
  body.clear();
  encode_footer(index_offset, body);
  append(RecordType::kFooter, body);
  std::vector<Damage> damage;
  EXPECT_EQ(read_all(*open(), damage), written_);
  EXPECT_FALSE(damage.empty());
}

TEST_F(EncryptedTest, APlainFileWithEncryptedChunksSaysThatItsKeyIsLost) {
  write_small();
  for (std::size_t offset = 0; offset < header_end_; ++offset) file_.contents[offset] = 'U';
  std::memcpy(file_.contents.data() + kHeaderTextAt, kHeaderText.data(), kHeaderText.size());
  std::vector<Damage> damage;
  EXPECT_THAT(read_all(*open(), damage), IsEmpty());
  EXPECT_THAT(damage.back().what, HasSubstr("the header with its key is damaged"));
}

TEST(KeyFile, KeysAreLinesAndMistakesAreToldWithoutShowingThem) {
  std::vector<SecretKey> keys;
  const std::string digits(64, 'a');
  EXPECT_EQ(parse_keys("# monday's\n\n" + digits + "\r\n" + std::string(64, 'B') + "  \n", keys), "");
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].bytes()[0], 0xAA);
  EXPECT_EQ(keys[1].bytes()[31], 0xBB);
  for (const std::string& wrong : {digits.substr(1), digits + "a", std::string(63, 'a') + "g"}) {
    const std::string told = parse_keys("\n" + wrong, keys);
    EXPECT_THAT(told, HasSubstr("line 2: expected a key of 64 hexadecimal digits"));
    EXPECT_THAT(told, Not(HasSubstr("aaaa")));
  }
  keys.clear();
  EXPECT_THAT(parse_keys("# none\n", keys), HasSubstr("holds no key"));
}

}  // namespace
}  // namespace understudy::test
