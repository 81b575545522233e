// Capture files of every kind, whole and harmed, in pieces of any size.
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "formats/capture/decompressor.h"
#include "tests/formats/capture_fixture.h"

namespace understudy::capture {
namespace {

struct Read {
  std::vector<Frame> frames;
  std::vector<std::uint32_t> links;
  std::vector<std::string> secrets;
  CaptureDrops drops;
  std::string error;
  std::uint64_t error_offset = 0;
  std::uint64_t not_read = 0;
};

Read read(const std::string& file, unsigned seed = 1) {
  std::mt19937 random(seed);
  Read read;
  CaptureFileParser parser([&](std::uint32_t type, ByteView secrets) {
    EXPECT_EQ(type, CaptureFileParser::kTlsKeyLog);
    read.secrets.emplace_back(as_text(secrets));
  });
  (void)feed(parser, file, random, [&](const CapturedPacket& packet) {
    read.frames.push_back({packet.time, std::string(as_text(packet.bytes))});
    read.links.push_back(packet.link_type);
  });
  read.drops = parser.drops();
  read.error = parser.error();
  read.error_offset = parser.error_offset();
  read.not_read = parser.bytes_not_read();
  return read;
}

std::vector<Frame> some_frames() {
  std::vector<Frame> frames;
  for (unsigned n = 0; n < 40; ++n)
    frames.push_back({kCaptureBegins + n * 1'000'007, std::string(n * 37, static_cast<char>('a' + n % 26))});
  return frames;
}

void expect_frames(const std::vector<Frame>& expected, const std::vector<Frame>& got, TimeNs grain = 1) {
  ASSERT_EQ(expected.size(), got.size());
  for (std::size_t n = 0; n < expected.size(); ++n) {
    EXPECT_EQ(expected[n].time / grain * grain, got[n].time);
    EXPECT_EQ(expected[n].bytes, got[n].bytes);
  }
}

TEST(CaptureFileTest, PcapInEitherByteOrderAndClock) {
  const std::vector<Frame> frames = some_frames();
  for (const bool big_endian : {false, true}) {
    for (const bool nanoseconds : {false, true}) {
      const Read got = read(pcap_file(frames, link_type::kLinuxCooked2, nanoseconds, big_endian));
      EXPECT_EQ(got.error, "");
      expect_frames(frames, got.frames, nanoseconds ? 1 : 1000);
      EXPECT_EQ(got.links.front(), link_type::kLinuxCooked2);
    }
  }
}

TEST(CaptureFileTest, PcapngInEitherByteOrderInPiecesOfAnySize) {
  const std::vector<Frame> frames = some_frames();
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Read got = read(pcapng_file(frames, link_type::kEthernet, seed % 2 == 0), seed);
    EXPECT_EQ(got.error, "");
    expect_frames(frames, got.frames);
  }
}

TEST(CaptureFileTest, PcapngClocksAndSectionsOfTheirOwn) {
  PcapngWriter writer;
  writer.section();
  writer.interface(link_type::kEthernet, 6);         // microseconds
  writer.interface(link_type::kRaw, 0x80 | 10, -5);  // 1/1024 s, five seconds ahead
  writer.packet(0, 1'780'000'000'000'001, "microseconds");
  writer.packet(1, (1'780'000'005ULL << 10) + 512, "powers of two");
  writer.simple_packet("of no time");
  writer.block(0x0BAD, std::string(8, 'x'));  // of somebody else
  writer.secrets("CLIENT_RANDOM 00 11\n");
  writer.statistics(0, 3, 4);
  writer.section();
  writer.interface(link_type::kNull, 9);
  writer.packet(0, 1'780'000'009'000'000'009, "another section");
  writer.statistics(0, 10, 20);
  const Read got = read(writer.file());
  EXPECT_EQ(got.error, "");
  expect_frames({{1'780'000'000'000'001'000, "microseconds"},
                 {1'780'000'000'500'000'000, "powers of two"},
                 {1'780'000'000'500'000'000, "of no time"},
                 {1'780'000'009'000'000'009, "another section"}},
                got.frames);
  EXPECT_EQ(got.links, (std::vector<std::uint32_t>{link_type::kEthernet, link_type::kRaw,
                                                   link_type::kEthernet, link_type::kNull}));
  EXPECT_EQ(got.secrets, std::vector<std::string>{"CLIENT_RANDOM 00 11\n"});
  EXPECT_EQ(got.drops.by_interface, 13U);
  EXPECT_EQ(got.drops.by_kernel, 24U);
}

TEST(CaptureFileTest, ATruncatedFileGivesWhatIsWholeAndSaysWhereItEnds) {
  const std::vector<Frame> frames = some_frames();
  for (const std::string& file : {pcap_file(frames, 1), pcapng_file(frames, 1)}) {
    const std::string cut = file.substr(0, file.size() - 3);
    const Read got = read(cut);
    EXPECT_EQ(got.frames.size(), frames.size() - 1);
    EXPECT_NE(got.error.find("ends inside a record"), std::string::npos);
    EXPECT_EQ(got.error_offset + got.not_read, cut.size());
  }
}

TEST(CaptureFileTest, ADamagedLengthEndsTheFileThereAndCountsTheRest) {
  const std::vector<Frame> frames = some_frames();
  std::string file = pcap_file(frames, 1);
  const std::size_t second = 24 + 16 + frames[0].bytes.size();
  file.replace(second + 8, 4, "\xff\xff\xff\x7f");
  const Read got = read(file);
  EXPECT_EQ(got.frames.size(), 1U);
  EXPECT_EQ(got.error_offset, second);
  EXPECT_EQ(got.error, "is damaged: a packet of 2147483647 bytes");
}

TEST(CaptureFileTest, WhatIsNoCaptureFileIsSaidToBeNone) {
  EXPECT_EQ(read("").error, "is empty");
  EXPECT_NE(read("#!/bin/sh\necho hello\n").error.find("is no capture file"), std::string::npos);
  EXPECT_NE(read(std::string("\x34\xcd\xb2\xa1", 4) + std::string(40, '\0')).error.find("variant"),
            std::string::npos);
  PcapngWriter nobody;
  nobody.section();
  nobody.packet(0, 1, "of an interface that is not described");
  EXPECT_NE(read(nobody.file()).error.find("not described"), std::string::npos);
}

TEST(CaptureFileTest, ATooLargeBlockOfNoInterestIsPassedOver) {
  PcapngWriter writer;
  writer.section();
  writer.interface(link_type::kEthernet, 9);
  writer.block(0x0BAD, std::string(40'000'000, 'x'));
  writer.packet(0, 5, "behind it");
  expect_frames({{5, "behind it"}}, read(writer.file()).frames);
}

// ---- Compression

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress2(context.get(), out.data(), out.size(), text.data(), text.size()));
  return out;
}

struct Plain {
  std::string text;
  std::string error;
};
Plain decompress(const std::string& text, std::size_t piece) {
  Decompressor decompressor;
  Plain plain;
  const auto sink = [&plain](ByteView bytes) {
    plain.text += as_text(bytes);
    return true;
  };
  bool going = true;
  for (std::size_t at = 0; going && at < text.size(); at += piece) {
    going = decompressor.feed(as_bytes(std::string_view(text).substr(at, piece)), sink);
  }
  if (going) (void)decompressor.finish(sink);
  plain.error = decompressor.error();
  return plain;
}

std::string many_numbers() {
  std::string text;
  for (int n = 0; n < 100'000; ++n) text += std::to_string(n * 7919);
  return text;
}

TEST(CaptureFileTest, CompressedByGzipOrZstdOrNotAtAllInPiecesOfAnySize) {
  const std::string text = many_numbers();
  for (const std::size_t piece : {1UL, 3UL, 1000UL, 1UL << 20}) {
    const std::string& sample = piece < 1000 ? text.substr(0, 5000) : text;
    // Several members and frames, as `cat` makes of several files.
    for (const std::string& compressed :
         {sample + sample, gzip(sample) + gzip(sample), zstd(sample) + zstd(sample)}) {
      const Plain plain = decompress(compressed, piece);
      EXPECT_EQ(plain.error, "");
      EXPECT_TRUE(plain.text == sample + sample);
    }
  }
  EXPECT_EQ(decompress("ab", 1).text, "ab");
}

TEST(CaptureFileTest, ACompressedStreamThatIsCutOrDamagedSaysSo) {
  const std::string text = many_numbers();
  for (std::string compressed : {gzip(text), zstd(text)}) {
    EXPECT_EQ(decompress(compressed.substr(0, compressed.size() - 9), 100).error,
              "the compressed stream ends in the middle");
    compressed[compressed.size() / 2] ^= 0x55;
    compressed[compressed.size() / 2 + 1] ^= 0x55;
    EXPECT_NE(decompress(compressed, 100).error, "");
  }
}

}  // namespace
}  // namespace understudy::capture
