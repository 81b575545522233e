#include "formats/wire/message_assembler.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "tests/formats/wire_samples.h"

namespace understudy::wire {
namespace {

// A message with its payload copied, for comparing.
struct Seen {
  char type;
  ByteBuffer payload;
  std::uint32_t payload_length;
  bool truncated;
  std::uint64_t hash;
  std::uint64_t stream_offset;
  bool operator==(const Seen&) const = default;
};

Seen seen(const Message& message) {
  return {message.type,           {message.payload.begin(), message.payload.end()},
          message.payload_length, message.truncated,
          message.hash,           message.stream_offset};
}

std::vector<Seen> messages_in_pieces(ByteView stream, std::size_t piece_bytes, std::size_t cap_bytes) {
  MessageAssembler assembler(cap_bytes);
  std::vector<Seen> all;
  for (std::size_t at = 0; at < stream.size(); at += piece_bytes) {
    const ByteView piece = stream.subspan(at, std::min(piece_bytes, stream.size() - at));
    const ByteBuffer copy(piece.begin(), piece.end());
    EXPECT_TRUE(assembler.feed(copy, [&](const Message& message) { all.push_back(seen(message)); }));
  }
  EXPECT_TRUE(assembler.at_boundary());
  return all;
}

ByteBuffer copy_data_header(std::uint32_t payload_length) {
  ByteBuffer header = {'d'};
  append_be32(header, payload_length + 4);
  return header;
}

TEST(WireMessageAssembler, EveryPieceSizeGivesTheSameMessages) {
  for (const Direction direction : {Direction::kFromClient, Direction::kFromServer}) {
    const ByteBuffer stream = stream_of(direction);
    for (const std::size_t cap : {std::size_t{0}, std::size_t{1}, std::size_t{20}, std::size_t{1} << 20}) {
      const std::vector<Seen> expected = messages_in_pieces(stream, stream.size(), cap);
      for (std::size_t piece = 1; piece < stream.size(); ++piece)
        ASSERT_EQ(messages_in_pieces(stream, piece, cap), expected) << piece << " cap " << cap;
    }
  }
}

TEST(WireMessageAssembler, WholeMessagesAreTheBytesFed) {
  const ByteBuffer stream = stream_of(Direction::kFromServer);
  std::size_t index = 0, offset = 0;
  std::vector<Sample> expected;
  for (const Sample& sample : samples())
    if (sample.direction == Direction::kFromServer) expected.push_back(sample);
  for (const Seen& message : messages_in_pieces(stream, 7, 1 << 20)) {
    EXPECT_EQ(message.type, expected[index].type());
    EXPECT_TRUE(std::ranges::equal(message.payload, expected[index].payload())) << expected[index].name;
    EXPECT_EQ(message.stream_offset, offset);
    EXPECT_FALSE(message.truncated);
    offset += expected[index++].bytes.size();
  }
  EXPECT_EQ(index, expected.size());
}

TEST(WireMessageAssembler, MessagesInsideOnePieceAreNotCopied) {
  ByteBuffer stream;
  append_query(stream, "SELECT 1");
  MessageAssembler assembler;
  const Byte* payload = nullptr;
  EXPECT_TRUE(assembler.feed(stream, [&](const Message& message) { payload = message.payload.data(); }));
  EXPECT_EQ(payload, stream.data() + 5);
  EXPECT_EQ(assembler.held_bytes(), 0u);
}

TEST(WireMessageAssembler, MessageOverTheCapKeepsItsFirstBytesAndAHashOfAll) {
  ByteBuffer stream;
  append_copy_data(stream, ByteBuffer(1000, 'x'));
  for (const std::size_t piece : {1u, 99u, 100u, 101u, 2000u}) {
    const auto messages = messages_in_pieces(stream, piece, 100);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_TRUE(messages[0].truncated);
    EXPECT_EQ(messages[0].payload, ByteBuffer(100, 'x'));
    EXPECT_EQ(messages[0].payload_length, 1000u);
    EXPECT_EQ(messages[0].hash, content_hash(ByteBuffer(1000, 'x')));
  }
}

TEST(WireMessageAssembler, MessageOfExactlyTheCapIsWhole) {
  ByteBuffer stream;
  append_copy_data(stream, ByteBuffer(100, 'x'));
  for (const std::size_t piece : {1u, 104u, 105u}) {
    const auto messages = messages_in_pieces(stream, piece, 100);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_FALSE(messages[0].truncated);
    EXPECT_EQ(messages[0].hash, 0u);
  }
}

TEST(WireMessageAssembler, DifferenceBehindTheCapShowsInTheHash) {
  ByteBuffer first, second;
  append_copy_data(first, ByteBuffer(1000, 'x'));
  second = first;
  second.back() = 'y';
  EXPECT_NE(messages_in_pieces(first, 64, 100)[0].hash, messages_in_pieces(second, 64, 100)[0].hash);
}

// Two of them, for what is held for the first must not add to the second.
TEST(WireMessageAssembler, NineHundredMegabytesAreReadInBoundedMemory) {
  constexpr std::uint32_t kLength = 900'000'000;
  constexpr std::size_t kCap = std::size_t{1} << 20;
  MessageAssembler assembler(kCap);
  const ByteBuffer piece(std::size_t{64} << 10, 0x5A);
  std::vector<std::uint64_t> hashes;
  const auto on_message = [&](const Message& message) {
    EXPECT_TRUE(message.truncated);
    EXPECT_EQ(message.payload.size(), kCap);
    EXPECT_EQ(message.payload_length, kLength);
    hashes.push_back(message.hash);
  };
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(assembler.feed(copy_data_header(kLength), on_message));
    for (std::size_t left = kLength; left > 0;) {
      const std::size_t step = std::min(left, piece.size());
      ASSERT_TRUE(assembler.feed(ByteView(piece).first(step), on_message));
      ASSERT_LE(assembler.held_bytes(), 2 * kCap);
      left -= step;
    }
  }
  ASSERT_EQ(hashes.size(), 2u);
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_LE(assembler.held_bytes(), std::size_t{64} << 10);
}

TEST(WireMessageAssembler, ClaimedLengthTakesNoMemory) {
  MessageAssembler assembler;
  const auto never = [](const Message&) { ADD_FAILURE() << "a message"; };
  EXPECT_TRUE(assembler.feed(copy_data_header(900'000'000), never));
  EXPECT_TRUE(assembler.feed(as_bytes("abc"), never));
  EXPECT_LE(assembler.held_bytes(), 64u);
  EXPECT_FALSE(assembler.at_boundary());
}

TEST(WireMessageAssembler, BrokenLengthIsReportedAtItsOffsetAndStopsForGood) {
  for (const std::uint32_t length : {0u, 3u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    ByteBuffer stream;
    append_query(stream, "SELECT 1");
    const std::size_t start = stream.size();
    stream.push_back('D');
    append_be32(stream, length);
    append_sync(stream);
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
      MessageAssembler assembler;
      int messages = 0;
      for (std::size_t at = 0; at < stream.size(); at += piece)
        assembler.feed(ByteView(stream).subspan(at, std::min(piece, stream.size() - at)),
                       [&](const Message&) { ++messages; });
      EXPECT_EQ(messages, 1);
      ASSERT_TRUE(assembler.broken());
      EXPECT_EQ(assembler.error().offset, start + 1);
    }
  }
}

TEST(WireContentHash, GivesTheSpecificationsValues) {
  EXPECT_EQ(content_hash(as_bytes("")), 0xEF46DB3751D8E999u);
  EXPECT_EQ(content_hash(as_bytes("a")), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(content_hash(as_bytes("abc")), 0x44BC2CF5AD770999u);
}

// A zstd frame ends with the low half of the same hash of its content.
TEST(WireContentHash, AgreesWithZstdForEveryLength) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  ByteBuffer content, frame(ZSTD_compressBound(300));
  for (int length = 0; length < 300; ++length) {
    const std::size_t written =
        ZSTD_compress2(context, frame.data(), frame.size(), content.data(), content.size());
    ASSERT_FALSE(ZSTD_isError(written));
    EXPECT_EQ(load_le32(frame.data() + written - 4), static_cast<std::uint32_t>(content_hash(content)))
        << length;
    content.push_back(static_cast<Byte>(length * 7 + 3));
  }
  ZSTD_freeCCtx(context);
}

TEST(WireContentHash, DoesNotDependOnThePieces) {
  ByteBuffer content;
  for (int i = 0; i < 200; ++i) content.push_back(static_cast<Byte>(i * 31));
  for (std::size_t piece = 1; piece <= content.size(); ++piece) {
    ContentHash hash;
    for (std::size_t at = 0; at < content.size(); at += piece)
      hash.update(ByteView(content).subspan(at, std::min(piece, content.size() - at)));
    EXPECT_EQ(hash.value(), content_hash(content)) << piece;
  }
}

}  // namespace
}  // namespace understudy::wire
