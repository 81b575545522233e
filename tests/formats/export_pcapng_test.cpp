// A conversation written as packets is read back as it was: every byte and time, what is missing, and nothing
// else; with checksums that hold.
#include <gtest/gtest.h>

#include "formats/export/pcapng_writer.h"
#include "formats/export/session_ends.h"
#include "formats/export/tcp_conversation.h"
#include "tests/formats/capture_fixture.h"

namespace understudy::capture {
namespace {

constexpr TimeNs kBegins = 1'780'000'000'123'456'789;

// A file of one conversation between two addresses.
class Exported {
 public:
  explicit Exported(const char* client = "10.0.0.1:40000", const char* server = "10.0.0.2:5432")
      : tcp(*parse_endpoint(client), *parse_endpoint(server),
            [this](TimeNs time, ByteView packet, std::string_view comment) {
              packets.emplace_back(packet.begin(), packet.end());
              append_pcapng_packet(file, time, packet, comment);
            }) {
    append_pcapng_head(file, "a test");
  }

  ByteBuffer file;
  std::vector<ByteBuffer> packets;
  TcpConversation tcp;
};

struct ReadBack {
  Heard heard;
  ReassemblyCounts counts;
  std::vector<TimeNs> times;
  std::string error;
};

std::unique_ptr<ReadBack> read_back(const ByteBuffer& file) {
  auto out = std::make_unique<ReadBack>();
  Reassembler reassembler({}, out->heard);
  CaptureFileParser parser;
  const auto take = [&](const CapturedPacket& packet) {
    out->times.push_back(packet.time);
    reassembler.take(packet);
  };
  (void)parser.feed(file, take);
  (void)parser.finish();
  reassembler.finish();
  out->error = parser.error();
  out->counts = reassembler.counts();
  return out;
}

// RFC 1071 over all 16-bit words, the checksum among them: all ones when it holds.
std::uint16_t summed(ByteView bytes, std::uint64_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += std::uint64_t{bytes[i]} << (i % 2 == 0 ? 8 : 0);
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

TEST(ExportPcapngTest, AConversationIsReadBackByteByByte) {
  Exported exported;
  const std::string request(100, 'q');
  std::string reply(300'000, 'r');
  for (std::size_t i = 0; i < reply.size(); ++i) reply[i] = static_cast<char>(i * 31);
  exported.tcp.open(kBegins);
  exported.tcp.data(Direction::kFromClient, kBegins + 1, as_bytes(request));
  exported.tcp.data(Direction::kFromServer, kBegins + 2, as_bytes(reply));
  exported.tcp.data(Direction::kFromClient, kBegins + 3, as_bytes("X"));
  exported.tcp.close(Direction::kFromClient, kBegins + 4);
  const auto back = read_back(exported.file);
  EXPECT_EQ(back->error, "");
  ASSERT_EQ(back->heard.conversations.size(), 1U);
  const Heard::One& one = *back->heard.conversations.front();
  EXPECT_TRUE((one.talk == Talk{{kClient, request}, {kServer, reply}, {kClient, "X"}}));
  EXPECT_EQ(one.lost[0] + one.lost[1], 0U);
  EXPECT_EQ(one.end, ConversationEnd::kClosed);
  EXPECT_EQ(back->times.front(), kBegins);
  EXPECT_EQ(back->times.back(), kBegins + 4);
}

TEST(ExportPcapngTest, WhatIsMissingIsMissingToTheByte) {
  Exported exported("[2001:db8::1]:40000", "[2001:db8::2]:5432");
  exported.tcp.open(kBegins);
  exported.tcp.data(Direction::kFromClient, kBegins + 1, as_bytes("before"));
  exported.tcp.skip(Direction::kFromClient, kBegins + 2, 1234);
  exported.tcp.skip(Direction::kFromServer, kBegins + 2, 5'000'000);
  exported.tcp.data(Direction::kFromServer, kBegins + 3, as_bytes("behind"));
  exported.tcp.close(Direction::kFromServer, kBegins + 4);
  const auto back = read_back(exported.file);
  ASSERT_EQ(back->heard.conversations.size(), 1U);
  const Heard::One& one = *back->heard.conversations.front();
  EXPECT_TRUE((one.talk == Talk{{kClient, "before"}, {kServer, "behind"}}));
  EXPECT_EQ(one.lost[0], 1234U);
  EXPECT_EQ(one.lost[1], 5'000'000U);
}

TEST(ExportPcapngTest, ChecksumsHold) {
  Exported v4;
  Exported v6("[2001:db8::1]:40000", "[2001:db8::2]:5432");
  for (Exported* exported : {&v4, &v6}) {
    exported->tcp.open(kBegins);
    for (const char* text : {"odd", "even"})
      exported->tcp.data(Direction::kFromServer, kBegins + 1, as_bytes(text));
  }
  for (const ByteBuffer& packet : v4.packets) {
    const ByteView bytes(packet);
    EXPECT_EQ(summed(bytes.first(20)), 0xFFFF);
    EXPECT_EQ(load_be16(packet.data() + 2), packet.size());
    // Behind its header: addresses, protocol and length, as the TCP header counts them.
    const std::uint64_t pseudo = summed(bytes.subspan(12, 8)) + 6U + (packet.size() - 20);
    EXPECT_EQ(summed(bytes.subspan(20), pseudo), 0xFFFF);
  }
  for (const ByteBuffer& packet : v6.packets) {
    const ByteView bytes(packet);
    const std::uint64_t pseudo = summed(bytes.subspan(8, 32)) + 6U + (packet.size() - 40);
    EXPECT_EQ(summed(bytes.subspan(40), pseudo), 0xFFFF);
  }
}

TEST(ExportPcapngTest, ACommentStandsWithOnePacket) {
  Exported exported;
  exported.tcp.comment("one");
  exported.tcp.comment("two");
  EXPECT_TRUE(exported.tcp.comment_waits());
  exported.tcp.data(Direction::kFromClient, kBegins, as_bytes("a"));
  EXPECT_FALSE(exported.tcp.comment_waits());
  exported.tcp.data(Direction::kFromClient, kBegins, as_bytes("b"));
  const std::string_view file = as_text(exported.file);
  EXPECT_NE(file.find("one\ntwo"), std::string_view::npos);
  EXPECT_EQ(file.find("one"), file.rfind("one"));
}

TEST(ExportPcapngTest, SessionsHaveTheirAddressesOrNobodys) {
  SessionDescriptor session;
  session.id = {1, 0x12345};
  session.peer = "192.0.2.7:49152";
  session.backend = "127.0.0.1:5432";
  EXPECT_FALSE(session_ends(session).invented);
  EXPECT_EQ(session_ends(session).client.to_string(), "192.0.2.7:49152");
  EXPECT_EQ(session_ends(session).server.to_string(), "127.0.0.1:5432");
  EXPECT_EQ(session_ends(session, false).client.to_string(), "198.19.35.69:49153");

  session.peer = "unix:";
  session.backend = "/run/postgresql/.s.PGSQL.6000";
  EXPECT_TRUE(session_ends(session).invented);
  EXPECT_EQ(session_ends(session).server.to_string(), "198.51.100.1:6000");
  session.backend = "[::1]:5433";
  EXPECT_EQ(session_ends(session).client.to_string(), "[2001:db8::1:1:2345]:49153");
  EXPECT_EQ(session_ends(session).server.to_string(), "[::1]:5433");
  session.peer = "10.0.0.1:1";  // one packet cannot be of both versions
  EXPECT_EQ(session_ends(session).server.to_string(), "198.51.100.1:5433");
  session.backend = "db.example:6543";
  EXPECT_EQ(session_ends(session).server.to_string(), "198.51.100.1:6543");
  for (const char* text :
       {"", ":", "10.0.0.1", "10.0.0.1:", "10.0.0.1:70000", "[::1", "::1:5", "[]:1", "[::1]:x"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

}  // namespace
}  // namespace understudy::capture
