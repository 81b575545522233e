// A conversation of PostgreSQL as segments that the input drops, repeats, moves, cuts, joins and delays. What
// is held: what is heard of each side is what it said, in its place, but for holes whose length is true; what
// is recorded is likewise a part of that; and nothing that was not dropped is missing when nothing was.
#include "formats/wire/message_types.h"
#include "recorder/capture/capture_sessions.h"
#include "tests/formats/capture_fixture.h"
#include "tests/fuzz/require.h"

namespace understudy::capture {
namespace {

std::string message(char type, const std::string& payload) {
  return type + be(payload.size() + 4, 4) + payload;
}

Talk conversation() {
  const std::string start = std::string("user\0ada\0\0", 10);
  Talk talk = {{kClient, be(start.size() + 8, 4) + be(wire::kProtocol30, 4) + start},
               {kServer, message('R', be(0, 4)) + message('K', be(1, 4) + be(2, 4)) + message('Z', "I")}};
  for (int n = 0; n < 8; ++n) {
    talk.push_back({kClient, message('Q', "select " + std::to_string(n) + '\0')});
    talk.push_back({kServer, message('T', be(0, 2)) +
                                 message('D', be(0, 2) + std::string(static_cast<std::size_t>(n) * 40, 'r')) +
                                 message('C', std::string("SELECT 1\0", 9)) + message('Z', "I")});
  }
  talk.push_back({kClient, message('X', "")});
  return talk;
}

// What one side said as it was heard must lie in what it said, in order, with the holes told between.
class Listener final : public ConversationListener {
 public:
  Listener(const std::string (&said)[2], std::uint64_t& lost) : said_(said), lost_(lost) {}
  void data(Side from, TimeNs time, ByteView bytes, bool) override {
    note(time);
    std::size_t& at = at_[index_of(from)];
    const std::string& said = said_[index_of(from)];
    require(at + bytes.size() <= said.size() && said.compare(at, bytes.size(), as_text(bytes)) == 0);
    at += bytes.size();
  }
  void lost(Side from, TimeNs time, std::uint64_t bytes) override {
    note(time);
    at_[index_of(from)] += bytes;
    lost_ += bytes;
    // The end of a stream counts as a byte in acknowledgements: one more where the end itself was dropped.
    require(at_[index_of(from)] <= said_[index_of(from)].size() + 1);
  }
  void finished(Side from, TimeNs time) override {
    note(time);
    require(at_[index_of(from)] == said_[index_of(from)].size());
  }
  void closed(ConversationEnd, std::optional<Side>, TimeNs time) override { note(time); }

 private:
  void note(TimeNs time) {
    require(time >= last_);
    last_ = time;
  }
  const std::string (&said_)[2];
  std::uint64_t& lost_;
  std::size_t at_[2] = {};
  TimeNs last_ = 0;
};

class Factory final : public ConversationFactory {
 public:
  explicit Factory(const std::string (&said)[2]) : said_(said) {}
  std::uint64_t lost = 0;
  int conversations = 0;
  std::unique_ptr<ConversationListener> conversation(const ConversationOpening&) override {
    require(++conversations == 1);
    return std::make_unique<Listener>(said_, lost);
  }

 private:
  const std::string (&said_)[2];
};

class Watcher final : public proxy::TrafficObserver {
 public:
  explicit Watcher(const std::string (&said)[2]) : said_(said) {}
  std::unique_ptr<proxy::SessionObserver> open_session(unsigned, const SessionDescriptor&) override {
    return std::make_unique<Watch>(said_);
  }

 private:
  class Watch final : public proxy::SessionObserver {
   public:
    explicit Watch(const std::string (&said)[2]) : said_(said) {}
    void relayed(Direction direction, TimeNs, ByteView bytes) override {
      // Requests of this conversation tell themselves apart, so their place is known.
      if (direction == Direction::kFromClient) require(said_[0].find(as_text(bytes)) != std::string::npos);
    }
    void redacted(Redaction, TimeNs) override {}
    void cancelled(TimeNs) override { require(false); }
    void backend_switched(const std::string&, TimeNs) override { require(false); }
    void closed(const CloseDetail&, TimeNs) override {}

   private:
    const std::string (&said_)[2];
  };
  const std::string (&said_)[2];
};

struct Edit {
  std::uint8_t what, where, how;
};

// The handshake stays where it is.
bool apply(const Edit& edit, std::vector<Segment>& segments) {
  constexpr std::size_t kFirst = 3;
  if (segments.size() <= kFirst + 1 || segments.size() > 2000) return false;
  const std::size_t at = kFirst + edit.where % (segments.size() - kFirst);
  const std::size_t other_place = kFirst + edit.how % (segments.size() - kFirst);
  Segment& segment = segments[at];
  switch (edit.what % 5) {
    case 0:
      segments.erase(segments.begin() + static_cast<std::ptrdiff_t>(at));
      return true;
    case 1:
      segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(other_place), Segment(segment));
      return false;
    case 2:
      std::swap(segment, segments[other_place]);
      return false;
    case 3: {  // cut in two, the second half first
      if (segment.payload.size() < 2 || segment.fin) return false;
      const std::size_t cut = 1 + edit.how % (segment.payload.size() - 1);
      Segment rest = segment;
      rest.payload.erase(0, cut);
      rest.sequence += static_cast<std::uint32_t>(cut);
      segment.payload.resize(cut);
      segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(at), rest);
      return false;
    }
    default: {  // sent again, joined with the one that follows it in its stream
      for (const Segment& next : segments) {
        if (next.from != segment.from || next.payload.empty() || segment.payload.empty() || segment.fin ||
            next.sequence != segment.sequence + segment.payload.size()) {
          continue;
        }
        Segment both = segment;
        both.payload += next.payload;
        both.acknowledged = next.acknowledged;
        segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(other_place), std::move(both));
        return false;
      }
      return false;
    }
  }
}

template <typename Sink>
ReassemblyCounts play(const std::vector<Segment>& segments, Sink& sink, bool keep_last,
                      std::size_t fragment) {
  ReassemblyOptions options;
  options.overlap = keep_last ? OverlapPolicy::kKeepLast : OverlapPolicy::kKeepFirst;
  Reassembler reassembler(options, sink);
  for (const Frame& frame : frames_of(segments, {}, fragment)) {
    reassembler.take({frame.time, link_type::kEthernet, as_bytes(frame.bytes), 0});
  }
  reassembler.finish();
  return reassembler.counts();
}

void trace(const std::vector<Segment>& segments, const Wiring& wiring) {
  for (const Segment& one : segments) {
    const bool client = one.from == kClient;
    const std::uint32_t first = (client ? wiring.client_isn : wiring.server_isn) + 1;
    const std::uint32_t other_first = (client ? wiring.server_isn : wiring.client_isn) + 1;
    std::fprintf(stderr, "%s %u+%zu has %u%s%s\n", client ? "client" : "        server", one.sequence - first,
                 one.payload.size(), one.acknowledged - other_first, one.syn ? " syn" : "",
                 one.fin ? " fin" : "");
  }
}

void check(ByteView input) {
  if (input.size() < 2) return;
  std::mt19937 random(input[0]);
  Wiring wiring;
  wiring.longest_segment = 200;
  wiring.server_isn = 0xFFFFFF00U;
  const Talk talk = conversation();
  std::vector<Segment> segments = put_on_wire(talk, wiring, random);
  std::string said[2];
  for (const Said& one : talk) said[index_of(one.from)] += one.text;
  bool dropped = false;
  for (std::size_t at = 2; at + 3 <= input.size() && at < 600; at += 3) {
    dropped = apply({input[at], input[at + 1], input[at + 2]}, segments) || dropped;
  }
  if (std::getenv("UNDERSTUDY_TRACE") != nullptr) trace(segments, wiring);
  const bool keep_last = (input[1] & 1U) != 0;
  const std::size_t fragment = (input[1] & 2U) != 0 ? 48 : 0;
  Factory factory(said);
  const ReassemblyCounts counts = play(segments, factory, keep_last, fragment);
  require(counts.conflicting_bytes == 0 && counts.lost_bytes == factory.lost && counts.malformed == 0);
  if (!dropped) require(counts.lost_bytes == 0);
  Watcher watcher(said);
  recorder::CaptureSessions sessions(watcher, {5432});
  (void)play(segments, sessions, keep_last, fragment);
  const recorder::CaptureCounts& told = sessions.counts();
  require(told.lost_bytes <= counts.lost_bytes);
  if (!dropped) require(told.whole == 1 && told.out_of_step == 0);
}

}  // namespace
}  // namespace understudy::capture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  understudy::capture::check({data, size});
  return 0;
}
