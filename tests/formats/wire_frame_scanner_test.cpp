#include "formats/wire/frame_scanner.h"

#include <gtest/gtest.h>

#include "tests/formats/wire_samples.h"

namespace understudy::wire {
namespace {

struct Frame {
  char type;
  std::uint32_t payload_length;
  bool operator==(const Frame&) const = default;
};

std::vector<Frame> frames_in_pieces(ByteView stream, std::size_t piece_bytes) {
  FrameScanner scanner;
  std::vector<Frame> frames;
  for (std::size_t at = 0; at < stream.size(); at += piece_bytes) {
    const ByteView piece = stream.subspan(at, std::min(piece_bytes, stream.size() - at));
    const ByteBuffer copy(piece.begin(), piece.end());
    EXPECT_TRUE(scanner.feed(copy, [&](const FrameHeader& frame) {
      EXPECT_LE(frame.payload_here.size(), frame.payload_length);
      frames.push_back({frame.type, frame.payload_length});
      return true;
    }));
  }
  EXPECT_TRUE(scanner.at_boundary());
  return frames;
}

TEST(WireFrameScanner, EveryPieceSizeGivesTheSameFrames) {
  for (const Direction direction : {Direction::kFromClient, Direction::kFromServer}) {
    const ByteBuffer stream = stream_of(direction);
    std::vector<Frame> expected;
    for (const Sample& sample : samples())
      if (sample.direction == direction)
        expected.push_back({sample.type(), static_cast<std::uint32_t>(sample.payload().size())});
    for (std::size_t piece = 1; piece <= stream.size(); ++piece)
      EXPECT_EQ(frames_in_pieces(stream, piece), expected) << piece;
  }
}

TEST(WireFrameScanner, WhatIsLeftEndsAtTheNextBoundary) {
  const ByteBuffer stream = stream_of(Direction::kFromServer);
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    FrameScanner scanner;
    std::size_t messages = 0;
    const auto count = [&](const FrameHeader&) { return ++messages > 0; };
    EXPECT_TRUE(scanner.feed(ByteView(stream).first(cut), count));
    const bool in_header = !scanner.at_boundary() && scanner.left() < 5;
    const std::size_t begun = messages;
    std::size_t at = cut;
    while (scanner.left() > 0) {
      ASSERT_LE(scanner.left(), stream.size() - at) << cut;
      const ByteView rest = ByteView(stream).subspan(at, scanner.left());
      at += rest.size();
      EXPECT_TRUE(scanner.feed(rest, count));
    }
    EXPECT_TRUE(scanner.at_boundary()) << cut;
    EXPECT_LE(messages - begun, in_header ? 1U : 0U) << cut;
  }
}

TEST(WireFrameScanner, EmptyPiecesChangeNothing) {
  FrameScanner scanner;
  int frames = 0;
  const auto count = [&](const FrameHeader&) { return ++frames > 0; };
  const Byte sync[] = {'S', 0, 0, 0, 4};
  EXPECT_TRUE(scanner.feed({}, count));
  EXPECT_TRUE(scanner.feed(ByteView(sync).first(3), count));
  EXPECT_TRUE(scanner.feed({}, count));
  EXPECT_FALSE(scanner.at_boundary());
  EXPECT_TRUE(scanner.feed(ByteView(sync).subspan(3), count));
  EXPECT_EQ(frames, 1);
  EXPECT_TRUE(scanner.at_boundary());
}

TEST(WireFrameScanner, LengthsThatLieBreakTheStreamForGood) {
  for (const std::uint32_t length : {0u, 3u, 0x40000003u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
    ByteBuffer bytes = {'D'};
    append_be32(bytes, length);
    FrameScanner scanner;
    const auto never = [](const FrameHeader&) -> bool {
      ADD_FAILURE() << "a frame";
      return true;
    };
    EXPECT_FALSE(scanner.feed(bytes, never)) << length;
    EXPECT_TRUE(scanner.broken());
    EXPECT_EQ(scanner.broken_type(), 'D');
    EXPECT_EQ(scanner.broken_length(), length);
    const Byte sync[] = {'S', 0, 0, 0, 4};
    EXPECT_FALSE(scanner.feed(sync, never)) << length;
  }
}

// A server's largest row: its StringInfo is full.
TEST(WireFrameScanner, LargestRowIsNotBroken) {
  ByteBuffer bytes = {'D'};
  append_be32(bytes, 0x3FFFFFFE + 4);
  FrameScanner scanner;
  EXPECT_TRUE(
      scanner.feed(bytes, [](const FrameHeader& frame) { return frame.payload_length == 0x3FFFFFFE; }));
}

TEST(WireFrameScanner, CallbackThatStopsSeesNothingMore) {
  const ByteBuffer stream = stream_of(Direction::kFromServer);
  FrameScanner scanner;
  int frames = 0;
  EXPECT_FALSE(scanner.feed(stream, [&](const FrameHeader&) { return ++frames < 3; }));
  EXPECT_EQ(frames, 3);
  EXPECT_FALSE(scanner.broken());
}

}  // namespace
}  // namespace understudy::wire
