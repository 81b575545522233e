// Whatever a network does to a conversation, reassembly hears the same; and of what is missing exactly that.
#include <gtest/gtest.h>

#include "tests/formats/capture_fixture.h"

namespace understudy::capture {
namespace {

Talk some_talk(std::mt19937& random, int turns) {
  Talk talk;
  for (int turn = 0; turn < turns; ++turn) {
    Said said{turn % 2 == 0 ? kClient : kServer, {}};
    said.text.resize(1 + random() % (turn % 5 == 0 ? 20'000 : 300));
    for (char& c : said.text) c = static_cast<char>('a' + random() % 26);
    talk.push_back(std::move(said));
  }
  return talk;
}

Wiring some_wiring(std::mt19937& random) {
  Wiring wiring;
  wiring.client_isn = static_cast<std::uint32_t>(random());
  wiring.server_isn = 0xFFFFFFFFU - static_cast<std::uint32_t>(random() % 30'000);  // wraps soon
  wiring.longest_segment = 1 + random() % 3000;
  return wiring;
}

struct Outcome {
  Heard heard;
  ReassemblyCounts counts;
  FragmentCounts fragments;
};

std::unique_ptr<Outcome> reassemble(const std::vector<Frame>& frames, std::uint32_t link,
                                    ReassemblyOptions options = {}) {
  auto outcome = std::make_unique<Outcome>();
  Reassembler reassembler(std::move(options), outcome->heard);
  for (const Frame& frame : frames) {
    reassembler.take(
        {frame.time, link, as_bytes(frame.bytes), static_cast<std::uint32_t>(frame.bytes.size())});
  }
  reassembler.finish();
  outcome->counts = reassembler.counts();
  outcome->fragments = reassembler.fragments();
  return outcome;
}

const Heard::One& only(const Outcome& outcome) {
  EXPECT_EQ(outcome.heard.conversations.size(), 1U);
  return *outcome.heard.conversations.front();
}

void expect_all_of(const Talk& talk, const Outcome& outcome) {
  const Heard::One& one = only(outcome);
  EXPECT_TRUE(one.talk == talk);
  EXPECT_EQ(one.lost[0] + one.lost[1], 0U);
  EXPECT_EQ(one.end, ConversationEnd::kClosed);
  EXPECT_TRUE(one.finished[0] && one.finished[1]);
  EXPECT_FALSE(one.times_ran_back);
  EXPECT_EQ(outcome.counts.conflicting_bytes, 0U);
  EXPECT_EQ(outcome.counts.malformed, 0U);
}

TEST(CaptureReassemblyTest, CutResentReorderedFragmentedOnEveryLinkItIsTheSameTalk) {
  std::mt19937 random(1);
  for (int round = 0; round < 8; ++round) {
    for (const Link& link : all_links()) {
      const Talk talk = some_talk(random, 20);
      std::vector<Segment> segments = put_on_wire(talk, some_wiring(random), random);
      resend_some(segments, random);
      reorder(segments, 2 + random() % 30, random);
      const std::size_t fragment = round % 2 == 0 ? 0 : 8 * (4 + random() % 100);
      ReassemblyOptions options;
      options.overlap = round % 4 < 2 ? OverlapPolicy::kKeepFirst : OverlapPolicy::kKeepLast;
      const auto outcome = reassemble(frames_of(segments, link, fragment), link.type, options);
      SCOPED_TRACE("round " + std::to_string(round) + ", link " + std::to_string(link.type));
      expect_all_of(talk, *outcome);
    }
  }
}

// The streams with the removed segments as holes.
void cut_out(std::string (&streams)[2], const std::vector<Segment>& removed, const Wiring& wiring) {
  for (const Side side : {kClient, kServer}) {
    std::string& stream = streams[index_of(side)];
    std::string holes(stream.size(), '.');
    const std::uint32_t first = (side == kClient ? wiring.client_isn : wiring.server_isn) + 1;
    for (const Segment& segment : removed) {
      if (segment.from == side)
        holes.replace(segment.sequence - first, segment.payload.size(), segment.payload.size(), 'x');
    }
    std::string with_holes;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t end = std::min(holes.find_first_not_of(holes[at], at), stream.size());
      with_holes += holes[at] == 'x' ? "<" + std::to_string(end - at) + ">" : stream.substr(at, end - at);
      at = end;
    }
    stream = with_holes;
  }
}

TEST(CaptureReassemblyTest, WhatIsRemovedIsExactlyTheHolesAndNothingIsInvented) {
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    const Talk talk = some_talk(random, 12);
    const Wiring wiring = some_wiring(random);
    std::vector<Segment> segments = put_on_wire(talk, wiring, random);
    std::vector<Segment> removed;
    std::erase_if(segments, [&](const Segment& segment) {
      const bool goes = !segment.payload.empty() && random() % 8 == 0;
      if (goes) removed.push_back(segment);
      return goes;
    });
    if (round % 2 == 0) reorder(segments, 2 + random() % 8, random);
    const auto outcome = reassemble(frames_of(segments, {}), link_type::kEthernet);
    std::string expected[2];
    for (const Said& said : talk) expected[index_of(said.from)] += said.text;
    cut_out(expected, removed, wiring);
    SCOPED_TRACE("round " + std::to_string(round));
    const Heard::One& one = only(*outcome);
    EXPECT_EQ(one.streams[0], expected[0]);
    EXPECT_EQ(one.streams[1], expected[1]);
    EXPECT_EQ(outcome->counts.lost_bytes, one.lost[0] + one.lost[1]);
    EXPECT_EQ(one.end, ConversationEnd::kClosed);
  }
}

TEST(CaptureReassemblyTest, AHoleIsToldWhileTheConversationGoesOnAndNotOnlyAtItsEnd) {
  std::mt19937 random(3);
  Wiring wiring;
  wiring.ends = false;
  std::vector<Segment> segments =
      put_on_wire({{kClient, "ask"}, {kServer, "answer"}, {kClient, "more"}}, wiring, random);
  std::erase_if(segments,
                [](const Segment& segment) { return segment.from == kServer && !segment.payload.empty(); });
  std::vector<Frame> frames = frames_of(segments, {});
  Heard heard;
  Reassembler reassembler({}, heard);
  for (const Frame& frame : frames) {
    reassembler.take({frame.time, link_type::kEthernet, as_bytes(frame.bytes), 0});
  }
  EXPECT_EQ(heard.conversations.at(0)->lost[1], 0U);
  reassembler.tick(frames.back().time + 2'000'000'000);
  EXPECT_EQ(heard.conversations.at(0)->lost[1], 6U);
  EXPECT_EQ(heard.conversations.at(0)->streams[0], "askmore");
}

Segment data(Side from, std::uint32_t sequence, std::uint32_t acknowledged, std::string payload) {
  return {from, sequence, acknowledged, false, true, false, false, std::move(payload)};
}

std::vector<Segment> handshake(std::uint32_t client_isn, std::uint32_t server_isn) {
  Segment syn{kClient, client_isn, 0, true, false, false, false, {}};
  Segment answer{kServer, server_isn, client_isn + 1, true, true, false, false, {}};
  return {syn, answer, data(kClient, client_isn + 1, server_isn + 1, "")};
}

TEST(CaptureReassemblyTest, ResentDifferentlyThePolicyDecidesAndItIsCounted) {
  for (const OverlapPolicy policy : {OverlapPolicy::kKeepFirst, OverlapPolicy::kKeepLast}) {
    std::vector<Segment> segments = handshake(99, 199);
    segments.push_back(data(kClient, 103, 200, "DEF"));   // waits for "abc"
    segments.push_back(data(kClient, 104, 200, "efgh"));  // overlaps it, and differs
    segments.push_back(data(kClient, 100, 200, "abc"));
    ReassemblyOptions options;
    options.overlap = policy;
    const auto outcome = reassemble(frames_of(segments, {}), link_type::kEthernet, options);
    EXPECT_EQ(only(*outcome).streams[0], policy == OverlapPolicy::kKeepFirst ? "abcDEFgh" : "abcDefgh");
    EXPECT_EQ(outcome->counts.conflicting_bytes, 2U);
  }
}

TEST(CaptureReassemblyTest, WhatIsSentAgainWithMoreBehindItStandsWhereItWasFirstSent) {
  // The first sending of "login" was not captured; it comes again with the next answer in one segment.
  std::vector<Segment> segments = handshake(99, 199);
  segments.push_back(data(kClient, 100, 200, "start"));
  segments.push_back(data(kClient, 105, 205, "ask"));
  segments.push_back(data(kServer, 200, 108, "loginanswer"));
  const auto outcome = reassemble(frames_of(segments, {}), link_type::kEthernet);
  EXPECT_TRUE((only(*outcome).talk ==
               Talk{{kClient, "start"}, {kServer, "login"}, {kClient, "ask"}, {kServer, "answer"}}));
  EXPECT_EQ(outcome->counts.lost_bytes, 0U);
}

TEST(CaptureReassemblyTest, APortThatIsUsedAgainIsAnotherConversation) {
  std::mt19937 random(4);
  const Talk first = {{kClient, "first"}, {kServer, "one"}};
  const Talk second = {{kClient, "second"}, {kServer, "two"}};
  Wiring wiring;
  wiring.ends = false;
  std::vector<Segment> segments = put_on_wire(first, wiring, random);
  wiring.client_isn = 777'000;
  const std::vector<Segment> more = put_on_wire(second, wiring, random);
  segments.insert(segments.end(), more.begin(), more.end());
  segments.push_back(more.front());  // its SYN, sent again: not a third
  const auto outcome = reassemble(frames_of(segments, {}), link_type::kEthernet);
  ASSERT_EQ(outcome->heard.conversations.size(), 2U);
  EXPECT_TRUE(outcome->heard.conversations[0]->talk == first);
  EXPECT_EQ(outcome->heard.conversations[0]->end, ConversationEnd::kReplaced);
  EXPECT_TRUE(outcome->heard.conversations[1]->talk == second);
  EXPECT_EQ(outcome->heard.conversations[1]->end, ConversationEnd::kCaptureEnded);
}

TEST(CaptureReassemblyTest, AConversationMetInItsMiddleHasNoHoleBeforeIt) {
  std::mt19937 random(5);
  Wiring wiring;
  wiring.handshake = false;
  const Talk talk = {{kServer, "the end of an answer"}, {kClient, "ask"}, {kServer, "answer"}};
  const auto outcome = reassemble(frames_of(put_on_wire(talk, wiring, random), {}), link_type::kEthernet);
  const Heard::One& one = only(*outcome);
  EXPECT_FALSE(one.opening.from_beginning);
  EXPECT_TRUE(one.talk == talk);
  EXPECT_EQ(outcome->counts.lost_bytes, 0U);
}

TEST(CaptureReassemblyTest, KeepAlivesZeroWindowsAndLateSegmentsSayNothing) {
  std::vector<Segment> segments = handshake(99, 199);
  segments.push_back(data(kClient, 100, 200, "ask"));
  segments.push_back(data(kClient, 102, 200, "?"));  // a keep-alive with a byte of garbage
  segments.push_back(data(kClient, 102, 200, ""));
  segments.push_back(data(kServer, 200, 103, "answer"));
  Segment reset = data(kServer, 206, 103, "");
  reset.rst = true;
  segments.push_back(reset);
  segments.push_back(data(kServer, 200, 103, "answer"));  // late
  const auto outcome = reassemble(frames_of(segments, {}), link_type::kEthernet);
  const Heard::One& one = only(*outcome);
  EXPECT_TRUE((one.talk == Talk{{kClient, "ask"}, {kServer, "answer"}}));
  EXPECT_EQ(one.end, ConversationEnd::kReset);
}

TEST(CaptureReassemblyTest, WhatWaitsIsBoundedAndBeyondThatItIsAHole) {
  std::vector<Segment> segments = handshake(99, 199);
  std::uint32_t sequence = 101;  // the byte at 100 never comes
  for (int n = 0; n < 100; ++n, sequence += 1000)
    segments.push_back(data(kClient, sequence, 200, std::string(1000, 'x')));
  ReassemblyOptions options;
  options.connection_bytes = 20'000;
  const auto outcome = reassemble(frames_of(segments, {}), link_type::kEthernet, options);
  EXPECT_EQ(only(*outcome).streams[0], "<1>" + std::string(100'000, 'x'));
  EXPECT_LT(outcome->counts.held_peak_bytes, 25'000U);
}

TEST(CaptureReassemblyTest, TooManyConnectionsMakeRoomForNewOnes) {
  std::vector<Frame> frames;
  for (unsigned n = 0; n < 50; ++n) {
    for (Segment segment : {handshake(99, 199)[0], data(kClient, 100, 200, "hello")}) {
      std::string packet = ip_packets(segment, false, n, 0).front();
      packet[15] = static_cast<char>(n + 1);  // the client's address
      frames.push_back({kCaptureBegins + n, packet});
    }
  }
  ReassemblyOptions options;
  options.max_connections = 10;
  const auto outcome = reassemble(frames, link_type::kRaw, options);
  EXPECT_EQ(outcome->heard.conversations.size(), 50U);
  EXPECT_EQ(outcome->counts.connections_evicted, 40U);
  for (const auto& one : outcome->heard.conversations) EXPECT_EQ(one->streams[0] + one->streams[1], "hello");
}

TEST(CaptureReassemblyTest, FragmentsThatContradictEachOtherAreNoPacket) {
  const std::string tcp = tcp_bytes(data(kClient, 100, 200, std::string(100, 'x')));
  std::string other_part = tcp.substr(48, 48);
  other_part[40] = 'y';
  std::vector<Frame> frames = frames_of(handshake(99, 199), {link_type::kRaw, 0, false});
  for (const std::string& packet :
       {ipv4(kClient, tcp.substr(0, 48), 77, 0, true), ipv4(kClient, tcp.substr(48, 48), 77, 48, true),
        ipv4(kClient, other_part, 77, 48, true), ipv4(kClient, tcp.substr(96), 77, 96, false)}) {
    frames.push_back({frames.back().time, packet});
  }
  const auto outcome = reassemble(frames, link_type::kRaw);
  EXPECT_EQ(outcome->fragments.conflicting, 1U);
  EXPECT_EQ(only(*outcome).streams[0], "");
}

TEST(CaptureReassemblyTest, APacketCutByTheSnapshotLengthLeavesAHoleForItsRest) {
  std::vector<Segment> segments = handshake(99, 199);
  segments.push_back(data(kClient, 100, 200, std::string(100, 'x')));
  segments.push_back(data(kClient, 200, 200, "behind"));
  segments.push_back(data(kServer, 200, 206, ""));
  std::vector<Frame> frames = frames_of(segments, {link_type::kRaw, 0, false});
  Heard heard;
  Reassembler reassembler({}, heard);
  for (const Frame& frame : frames) {
    const ByteView kept = as_bytes(frame.bytes).first(std::min<std::size_t>(frame.bytes.size(), 92));
    reassembler.take({frame.time, link_type::kRaw, kept, static_cast<std::uint32_t>(frame.bytes.size())});
  }
  reassembler.finish();
  EXPECT_EQ(heard.conversations.at(0)->streams[0], std::string(40, 'x') + "<60>behind");
  EXPECT_EQ(reassembler.counts().cut, 1U);
}

}  // namespace
}  // namespace understudy::capture
