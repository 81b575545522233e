// pgreplay's files, as `pgreplay -f` of Debian 12 wrote them; whole and harmed.
#include "formats/command.h"
#include "formats/logs/pgreplay_file.h"
#include "gtest/gtest.h"

namespace understudy::logs {
namespace {

using Kind = PgreplayItem::Kind;

// 2026-11-24 13:31:07, and what belongs to the kind.
std::string item(char kind, const std::string& rest) {
  return std::string("\x32\x98\x4e\x1b\x00\x01\xe0\x78\x67\x44\x00\x00\x00\x00\x1a\x2b", 16) + kind + rest +
         "\n";
}

std::string text(const std::string& value) {
  std::string out(4, '\0');
  for (int n = 0; n < 4; ++n)
    out[static_cast<std::size_t>(n)] = static_cast<char>(value.size() >> (24 - 8 * n));
  return out + value;
}

std::string file() {
  return item(0, text("alice") + text("shop")) + item(2, text("select 1\n")) +
         item(3, text("select $1, $2") + text("S_1")) +
         item(4,
              text("S_1") + std::string("\x00\x02", 2) + text("a'b") + std::string("\x80\x00\x00\x00", 4)) +
         item(5, "") + item(1, "");
}

struct Read {
  std::vector<PgreplayItem> items;
  std::string error;
  std::uint64_t offset = 0;
};

Read read(const std::string& bytes, std::size_t piece) {
  Read read;
  PgreplayFile parser;
  const auto take = [&read](const PgreplayItem& one) { read.items.push_back(one); };
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    if (!parser.feed(as_bytes(std::string_view(bytes).substr(at, piece)), take)) break;
  (void)parser.finish(take);
  read.error = parser.error();
  read.offset = parser.offset();
  return read;
}

TEST(PgreplayFileTest, Items) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, file().size()}) {
    const Read got = read(file(), piece);
    EXPECT_EQ(got.error, "");
    ASSERT_EQ(got.items.size(), 6U);
    EXPECT_EQ(got.items[0].kind, Kind::kConnect);
    EXPECT_EQ(got.items[0].text, "alice");
    EXPECT_EQ(got.items[0].name, "shop");
    EXPECT_EQ(format_time(got.items[0].time, 3), "2026-11-24T13:31:07.123Z");
    EXPECT_EQ(got.items[0].session, 0x6744000000001A2BU);
    EXPECT_EQ(got.items[1].text, "select 1\n");
    EXPECT_EQ(got.items[2].text, "select $1, $2");
    EXPECT_EQ(got.items[2].name, "S_1");
    ASSERT_EQ(got.items[3].parameters.size(), 2U);
    EXPECT_EQ(got.items[3].parameters[0], "a'b");
    EXPECT_FALSE(got.items[3].parameters[1]);
    EXPECT_EQ(got.items[4].kind, Kind::kCancel);
    EXPECT_EQ(got.items[5].kind, Kind::kDisconnect);
  }
}

TEST(PgreplayFileTest, EveryTruncationSaysWhere) {
  const std::string whole = file();
  for (std::size_t length = 1; length < whole.size(); ++length) {
    const Read got = read(whole.substr(0, length), 5);
    EXPECT_LT(got.items.size(), 6U);
    EXPECT_LE(got.offset, length);
    EXPECT_EQ(got.error.empty(), got.offset == length) << length;
  }
}

TEST(PgreplayFileTest, LyingLengthsAndKinds) {
  std::string lies = item(2, text("select 1"));
  lies[17] = '\x7f';  // a text of 2 GB
  EXPECT_EQ(read(lies, 9).error, "the file ends in the middle of a record");
  EXPECT_EQ(read(item(6, ""), 9).error, "no record of a pgreplay file");
  EXPECT_EQ(read(file() + "garbage, and more of it", 9).items.size(), 6U);
  EXPECT_EQ(read(file() + "garbage, and more of it", 9).offset, file().size());
}

TEST(PgreplayFileTest, IsToldFromItsBeginning) {
  EXPECT_TRUE(PgreplayFile::begins_file(as_bytes(file())));
  EXPECT_FALSE(PgreplayFile::begins_file(as_bytes("2026-11-24 13:31:07.123 UTC [7] LOG:  x")));
  EXPECT_FALSE(PgreplayFile::begins_file({}));
}

}  // namespace
}  // namespace understudy::logs
