// What passive capture makes of conversations of PostgreSQL: the same session however it came over the wire,
// secrets left out, holes told, joined where that is proven, and everything else counted.
#include "recorder/capture/capture_sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/wire/message_types.h"
#include "tests/formats/capture_fixture.h"

namespace understudy::recorder {
namespace {

using namespace capture;  // NOLINT: its fixture

std::string message(char type, const std::string& payload) {
  return type + be(payload.size() + 4, 4) + payload;
}
std::string text(const std::string& value) { return value + '\0'; }
std::string packet(std::uint32_t code, const std::string& body) {
  return be(body.size() + 8, 4) + be(code, 4) + body;
}
std::string startup(const std::string& user) {
  return packet(wire::kProtocol30, text("user") + text(user) + text("database") + text("shop") + '\0');
}
std::string ready(char status = 'I') { return message('Z', std::string(1, status)); }

const std::string kProof = "c=biws,r=nonce,p=THEPROOF";
const std::string kKey = "\x11\x22\x33\x44";

std::string sasl(std::uint32_t code, const std::string& data) { return message('R', be(code, 4) + data); }

// A login with SCRAM, as libpq's, up to its ReadyForQuery.
Talk login(const std::string& user = "ada", std::uint32_t process = 4711) {
  return {{kClient, packet(wire::kSslRequestCode, "")},
          {kServer, "N"},
          {kClient, startup(user)},
          {kServer, sasl(10, text("SCRAM-SHA-256") + '\0')},
          {kClient, message('p', text("SCRAM-SHA-256") + be(9, 4) + "n,,n=,r=x")},
          {kServer, sasl(11, "r=nonce,s=THESALT,i=4096")},
          {kClient, message('p', kProof)},
          {kServer, sasl(12, "v=THESIGNATURE") + sasl(0, "") + message('S', text("TimeZone") + text("UTC")) +
                        message('K', be(process, 4) + kKey) + ready()}};
}

Talk query(const std::string& sql, std::size_t rows, char status = 'I') {
  std::string reply = message('T', be(0, 2));
  for (std::size_t row = 0; row < rows; ++row) reply += message('D', be(0, 2) + std::string(row % 50, 'r'));
  return {{kClient, message('Q', text(sql))},
          {kServer, reply + message('C', text("SELECT")) + ready(status)}};
}

Talk extended(const std::string& sql) {
  return {{kClient, message('P', text("") + text(sql) + be(0, 2)) +
                        message('B', text("") + text("") + std::string(6, '\0')) + message('D', text("P")) +
                        message('E', text("") + be(0, 4)) + message('S', "")},
          {kServer, message('1', "") + message('2', "") + message('n', "") +
                        message('C', text("INSERT 0 1")) + ready()}};
}

Talk operator+(Talk a, const Talk& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Talk some_work(int rounds) {
  Talk talk;
  for (int n = 0; n < rounds; ++n) {
    talk = talk + (n % 3 == 0 ? extended("insert " + std::to_string(n))
                              : query("select " + std::to_string(n), static_cast<std::size_t>(n) * 3));
  }
  return talk;
}
const Talk kGoodbye = {{kClient, message('X', "")}};

// ---- What the observer is shown

struct Shown {
  SessionDescriptor descriptor;
  // "client: ...", "server: ...", "redacted ...", "gap c s", "cancelled", "closed ...": what one side says in
  // a row is one.
  std::vector<std::string> events;
  std::string streams[2];
  Gap gaps;                                                  // added up
  std::vector<std::pair<std::size_t, std::size_t>> resumed;  // lengths of the streams where a gap is told
  bool ended = false;
  TimeNs last = 0;
  bool times_ran_back = false;
};

class Watcher final : public proxy::TrafficObserver {
 public:
  std::vector<std::unique_ptr<Shown>> sessions;

  std::unique_ptr<proxy::SessionObserver> open_session(unsigned,
                                                       const SessionDescriptor& descriptor) override {
    sessions.push_back(std::make_unique<Shown>());
    sessions.back()->descriptor = descriptor;
    return std::make_unique<Watch>(*sessions.back());
  }

 private:
  class Watch final : public proxy::SessionObserver {
   public:
    explicit Watch(Shown& shown) : shown_(shown) {}
    void relayed(Direction direction, TimeNs time, ByteView bytes) override {
      const bool client = direction == Direction::kFromClient;
      shown_.streams[client ? 0 : 1] += as_text(bytes);
      const std::string name = client ? "client: " : "server: ";
      note(time);
      if (shown_.events.empty() || !shown_.events.back().starts_with(name)) shown_.events.push_back(name);
      shown_.events.back() += as_text(bytes);
    }
    void redacted(Redaction what, TimeNs time) override {
      add(time, "redacted " + std::to_string(static_cast<int>(what.direction)) + " " +
                    std::to_string(static_cast<int>(what.kind)));
    }
    void cancelled(TimeNs time) override { add(time, "cancelled"); }
    void backend_switched(const std::string&, TimeNs time) override { add(time, "switched"); }
    void closed(const CloseDetail& why, TimeNs time) override {
      add(time, "closed " + std::to_string(static_cast<int>(why.reason)) + why.text);
      shown_.ended = true;
    }
    void missing(const Gap& gap, TimeNs time) override {
      add(time, "gap " + std::to_string(gap.client_bytes) + " " + std::to_string(gap.server_bytes));
      shown_.resumed.emplace_back(shown_.streams[0].size() + shown_.gaps.client_bytes + gap.client_bytes,
                                  shown_.streams[1].size() + shown_.gaps.server_bytes + gap.server_bytes);
      shown_.gaps.client_bytes += gap.client_bytes;
      shown_.gaps.server_bytes += gap.server_bytes;
    }

   private:
    void note(TimeNs time) {
      shown_.times_ran_back = shown_.times_ran_back || time < shown_.last;
      shown_.last = time;
    }
    void add(TimeNs time, const std::string& event) {
      note(time);
      shown_.events.push_back(event);
    }
    Shown& shown_;
  };
};

struct Outcome {
  Watcher watcher;
  CaptureCounts counts;
  ReassemblyCounts tcp;
};

std::unique_ptr<Outcome> record(const std::vector<Segment>& segments,
                                std::vector<std::uint16_t> ports = {5432}) {
  auto outcome = std::make_unique<Outcome>();
  CaptureSessions sessions(outcome->watcher, ports);
  ReassemblyOptions options;
  options.ports = ports;
  Reassembler reassembler(options, sessions);
  for (const Frame& frame : frames_of(segments, {})) {
    reassembler.take({frame.time, link_type::kEthernet, as_bytes(frame.bytes), 0});
  }
  reassembler.finish();
  outcome->counts = sessions.counts();
  outcome->tcp = reassembler.counts();
  for (const auto& shown : outcome->watcher.sessions) EXPECT_FALSE(shown->times_ran_back);
  return outcome;
}

std::unique_ptr<Outcome> record(const Talk& talk, std::vector<std::uint16_t> ports = {5432}) {
  std::mt19937 random(7);
  return record(put_on_wire(talk, {}, random), std::move(ports));
}

const Shown& only(const Outcome& outcome) {
  EXPECT_EQ(outcome.watcher.sessions.size(), 1U);
  return *outcome.watcher.sessions.front();
}

// ---- Sessions

TEST(CaptureSessionsTest, ALoginIsShownAsTheProxyShowsItAndNoSecretIs) {
  const auto outcome = record(login() + query("select 1", 1) + kGoodbye);
  const Shown& shown = only(*outcome);
  EXPECT_EQ(shown.descriptor.user(), "ada");
  EXPECT_EQ(shown.descriptor.database(), "shop");
  EXPECT_EQ(shown.descriptor.peer, "10.0.0.1:40000");
  EXPECT_EQ(shown.descriptor.backend, "10.0.0.2:5432");
  const std::string zeroed = message('K', be(4711, 4) + std::string(4, '\0'));
  const Talk asked = query("select 1", 1);
  EXPECT_THAT(shown.events,
              testing::ElementsAre("server: " + sasl(10, text("SCRAM-SHA-256") + '\0'), "redacted 0 1",
                                   "redacted 1 1", "redacted 0 1", "redacted 1 1",
                                   "server: " + sasl(0, "") + message('S', text("TimeZone") + text("UTC")),
                                   "redacted 1 3", "server: " + zeroed + ready(), "client: " + asked[0].text,
                                   "server: " + asked[1].text, "client: " + kGoodbye[0].text, "closed 0"));
  EXPECT_EQ(outcome->counts.whole, 1U);
}

TEST(CaptureSessionsTest, HoweverItComesOverTheWireItIsTheSameSession) {
  const Talk talk = login() + some_work(30) + kGoodbye;
  const auto expected = record(talk);
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    Wiring wiring;
    wiring.longest_segment = 1 + random() % 2000;
    wiring.server_isn = static_cast<std::uint32_t>(random());
    std::vector<Segment> segments = put_on_wire(talk, wiring, random);
    resend_some(segments, random);
    reorder(segments, 2 + random() % 30, random);
    const auto outcome = record(segments);
    EXPECT_TRUE(only(*outcome).events == only(*expected).events);
    EXPECT_EQ(outcome->counts.whole, 1U);
  }
}

// Every byte that was recorded stands where it stood, and what is between is the gaps.
void expect_the_rest_in_its_place(const std::string (&whole)[2], const Shown& shown) {
  std::string streams[2] = {whole[0], whole[1]};
  std::size_t at[2] = {};
  std::size_t gap = 0;
  for (const std::string& event : shown.events) {
    for (const std::size_t side : {0U, 1U}) {
      const std::string name = side == 0 ? "client: " : "server: ";
      if (!event.starts_with(name)) continue;
      const std::string said = event.substr(name.size());
      EXPECT_EQ(streams[side].substr(at[side], said.size()), said);
      at[side] += said.size();
    }
    if (!event.starts_with("gap")) continue;
    at[0] = shown.resumed[gap].first;
    at[1] = shown.resumed[gap++].second;
  }
  EXPECT_EQ(at[0], whole[0].size());
  EXPECT_EQ(at[1], whole[1].size());
}

TEST(CaptureSessionsTest, BehindAHoleItGoesOnAtABoundaryAndNothingIsInvented) {
  const Talk before = login();
  const Talk work = some_work(60) + kGoodbye;
  const auto whole = record(before + work);
  std::mt19937 random(13);
  std::uint64_t resumed = 0;
  for (int round = 0; round < 150; ++round) {
    Wiring wiring;
    wiring.longest_segment = 50 + random() % 1000;
    std::vector<Segment> segments = put_on_wire(before + work, wiring, random);
    std::uint64_t login_bytes[2] = {};
    for (const Said& said : before) login_bytes[index_of(said.from)] += said.text.size();
    std::uint64_t removed = 0;
    std::uint32_t next[2] = {wiring.client_isn + 1, wiring.server_isn + 1};
    std::erase_if(segments, [&](const Segment& segment) {
      const std::size_t side = index_of(segment.from);
      const bool in_login = segment.sequence - next[side] < login_bytes[side];
      const bool goes = !segment.payload.empty() && !in_login && random() % 40 == 0;
      if (goes) removed += segment.payload.size();
      return goes;
    });
    const auto outcome = record(segments);
    const Shown& shown = only(*outcome);
    SCOPED_TRACE("round " + std::to_string(round));
    expect_the_rest_in_its_place(only(*whole).streams, shown);
    EXPECT_EQ(outcome->counts.lost_bytes, removed);
    EXPECT_EQ(outcome->counts.lost_bytes + outcome->counts.passed_over_bytes,
              shown.gaps.client_bytes + shown.gaps.server_bytes);
    EXPECT_EQ(outcome->counts.partial, removed > 0 ? 1U : 0U);
    if (removed > 0 && !shown.events.empty()) resumed += shown.resumed.size() > 1 ? 1 : 0;
  }
  EXPECT_GT(resumed, 20U);  // it does go on
}

TEST(CaptureSessionsTest, ASessionOpenBeforeTheCaptureIsJoinedBetweenRequests) {
  const Talk before = login() + some_work(4);
  const Talk work = some_work(12) + kGoodbye;
  const auto whole = record(before + work);
  std::mt19937 random(17);
  const std::vector<Segment> all = put_on_wire(before + work, {}, random);
  const std::size_t login_segments = put_on_wire(before, {}, random).size();
  int joined = 0;
  for (std::size_t from = login_segments; from < all.size(); ++from) {
    const auto outcome =
        record(std::vector<Segment>(all.begin() + static_cast<std::ptrdiff_t>(from), all.end()));
    if (outcome->watcher.sessions.empty()) continue;
    ++joined;
    const Shown& shown = only(*outcome);
    EXPECT_EQ(shown.descriptor.attribute(kJoinedAttribute), "mid-stream");
    EXPECT_EQ(shown.descriptor.user(), "");
    for (const std::size_t side : {0U, 1U})
      EXPECT_TRUE(only(*whole).streams[side].ends_with(shown.streams[side]));
    const char first = shown.streams[0].front();
    EXPECT_TRUE(first == 'Q' || first == 'P') << first;
    EXPECT_EQ(shown.events.front().substr(0, 8), "client: ");
    EXPECT_EQ(outcome->counts.joined, 1U);
  }
  EXPECT_GT(joined, 20);
}

TEST(CaptureSessionsTest, WhoEndedASessionIsWhoEndedItFirst) {
  std::mt19937 random(41);
  Wiring wiring;
  wiring.ends = false;
  for (const Side first : {kClient, kServer}) {
    std::vector<Segment> segments = put_on_wire(login() + query("select 1", 1), wiring, random);
    std::uint32_t next[2] = {wiring.client_isn + 1, wiring.server_isn + 1};
    for (const Segment& segment : segments) {
      if (!segment.syn)
        next[index_of(segment.from)] = segment.sequence + static_cast<std::uint32_t>(segment.payload.size());
    }
    Segment end{first, next[index_of(first)], next[index_of(other(first))], false, true, true, false, {}};
    Segment answer{
        other(first), next[index_of(other(first))], next[index_of(first)] + 1, false, true, true, false, {}};
    segments.push_back(end);
    segments.push_back(answer);
    const auto outcome = record(segments);
    EXPECT_EQ(only(*outcome).events.back(), first == kClient ? "closed 0" : "closed 1");
  }
}

TEST(CaptureSessionsTest, JoinedOutsideOfTransactionsOnly) {
  const Talk talk = query("rest", 1, 'T') + query("in a transaction", 2, 'T') + query("also", 2, 'T') +
                    query("commit", 0, 'I') + query("select 1", 1) + kGoodbye;
  std::mt19937 random(19);
  Wiring wiring;
  wiring.handshake = false;
  const auto outcome = record(put_on_wire(talk, wiring, random));
  EXPECT_EQ(only(*outcome).events.front(), "client: " + message('Q', text("select 1")));
}

TEST(CaptureSessionsTest, AClientWithARequestInFlightIsNotTakenForOneAtRest) {
  // Each answer belongs to the request before the one that stands before it.
  Talk talk;
  talk.push_back({kServer, query("", 1)[1].text});
  for (int n = 0; n < 10; ++n) {
    talk.push_back({kClient, message('Q', text("insert " + std::to_string(n)))});
    talk.push_back({kServer, extended("")[1].text});
    talk.push_back({kClient, extended("x")[0].text});
    talk.push_back({kServer, query("", 1)[1].text});
  }
  std::mt19937 random(23);
  Wiring wiring;
  wiring.handshake = false;
  const auto outcome = record(put_on_wire(talk, wiring, random));
  EXPECT_TRUE(outcome->watcher.sessions.empty());
  EXPECT_EQ(outcome->counts.unreadable.size(), 1U);
}

TEST(CaptureSessionsTest, WithoutPortsTheServerIsFoundByWhoOpensOrBySaying) {
  Talk talk = login() + some_work(6) + kGoodbye;
  EXPECT_EQ(record(talk, {})->counts.whole, 1U);
  std::mt19937 random(29);
  std::vector<Segment> segments = put_on_wire(talk, {}, random);
  // The handshake was not captured, but the start-up packet was.
  segments.erase(segments.begin(), segments.begin() + 3);
  EXPECT_EQ(record(segments, {})->counts.whole, 1U);
}

TEST(CaptureSessionsTest, ACancelRequestIsToldToItsSession) {
  std::mt19937 random(31);
  const std::vector<Segment> session =
      put_on_wire(login("ada", 99) + query("select pg_sleep(9)", 0), {}, random);
  const auto cancel_of = [&](const std::string& key) {
    return put_on_wire({{kClient, packet(wire::kCancelRequestCode, be(99, 4) + key)}}, {}, random);
  };
  for (const bool right : {true, false}) {
    Watcher watcher;
    CaptureSessions sessions(watcher, {5432});
    Reassembler reassembler({}, sessions);
    // In the middle of the query, from another port.
    std::vector<Frame> frames = frames_of({session.begin(), session.end() - 5}, {});
    for (Frame& frame :
         frames_of(cancel_of(right ? kKey : std::string("\1\1\1\1", 4)), {}, 0, frames.back().time)) {
      for (const std::size_t port : {34U, 36U}) {
        if (frame.bytes.substr(port, 2) == be(40'000, 2)) frame.bytes.replace(port, 2, be(40'001, 2));
      }
      frames.push_back(frame);
    }
    for (const Frame& frame : frames) {
      reassembler.take({frame.time, link_type::kEthernet, as_bytes(frame.bytes), 0});
    }
    reassembler.finish();
    EXPECT_EQ(sessions.counts().cancels, right ? 1U : 0U);
    EXPECT_EQ(sessions.counts().cancels_unmatched, right ? 0U : 1U);
    const auto& events = watcher.sessions.at(0)->events;
    EXPECT_EQ(std::count(events.begin(), events.end(), "cancelled"), right ? 1 : 0);
  }
}

// ---- What is none

TEST(CaptureSessionsTest, WhatCannotBeReadIsCountedWithTheReason) {
  const std::string hello = std::string("\x16\x03\x01\x00\x40", 5) + std::string(30, '\1') +
                            "\x0apostgresql" + std::string(23, '\1');
  const struct {
    Talk talk;
    const char* reason;
    bool foreign;
  } kCases[] = {
      {{{kClient, packet(wire::kSslRequestCode, "")}, {kServer, "S"}, {kClient, "\x16\x03\x01 and so on"}},
       "TLS, no key",
       false},
      {{{kClient, hello}, {kServer, "\x16\x03\x03 and so on"}}, "TLS, no key", false},
      {{{kClient, packet(wire::kGssEncRequestCode, "")}, {kServer, "G"}, {kClient, "token"}},
       "GSSAPI encryption",
       false},
      {{{kClient, "GET / HTTP/1.1\r\n\r\n"}, {kServer, "HTTP/1.1 200 OK\r\n"}}, "HTTP", true},
      {{{kServer, "SSH-2.0-OpenSSH_9.2\r\n"}, {kClient, "SSH-2.0-x\r\n"}}, "SSH", true},
      {{{kClient, std::string(5000, '\xee')}}, "unknown", true},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.reason);
    const auto outcome = record(one.talk);
    EXPECT_TRUE(outcome->watcher.sessions.empty());
    const auto& kinds = one.foreign ? outcome->counts.foreign : outcome->counts.unreadable;
    ASSERT_EQ(kinds.size(), 1U);
    EXPECT_EQ(kinds.begin()->first, one.reason);
    std::uint64_t bytes = 0;
    for (const Said& said : one.talk) bytes += said.text.size();
    EXPECT_EQ(kinds.begin()->second.bytes, bytes);
    EXPECT_EQ(kinds.begin()->second.connections, 1U);
  }
}

TEST(CaptureSessionsTest, EncryptionThatIsRefusedLeavesAPlainSession) {
  Talk talk = login() + query("select 1", 1) + kGoodbye;
  talk.insert(talk.begin(), {{kClient, packet(wire::kGssEncRequestCode, "")}, {kServer, "N"}});
  EXPECT_EQ(record(talk)->counts.whole, 1U);
}

TEST(CaptureSessionsTest, ASecretThatComesWhereNoneBelongsIsNotShown) {
  const auto outcome = record(login() + query("select 1", 1) + Talk{{kClient, message('p', kProof)}} +
                              some_work(3) + kGoodbye);
  const Shown& shown = only(*outcome);
  EXPECT_EQ(shown.streams[0].find("THEPROOF"), std::string::npos);
  EXPECT_EQ(outcome->counts.out_of_step, 1U);
  EXPECT_EQ(outcome->counts.partial, 1U);
}

TEST(CaptureSessionsTest, AHoleInTheLoginLeavesOutWhatWasSecretInIt) {
  std::mt19937 random(37);
  const Talk talk = login() + some_work(8) + kGoodbye;
  for (std::size_t removed = 3; removed < 20; ++removed) {
    std::vector<Segment> segments = put_on_wire(talk, {}, random);
    segments.erase(segments.begin() + static_cast<std::ptrdiff_t>(removed));
    const auto outcome = record(segments);
    for (const auto& shown : outcome->watcher.sessions) {
      for (const char* const secret : {"THEPROOF", "THESALT", "THESIGNATURE"}) {
        EXPECT_EQ((shown->streams[0] + shown->streams[1]).find(secret), std::string::npos);
      }
      EXPECT_EQ(shown->streams[1].find(kKey), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace understudy::recorder
