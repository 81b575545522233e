// How fast transcripts are written and read, and how small they are: MB of recorded bytes per second of one
// core, and recorded bytes per stored byte. On made-up pgbench TPC-B traffic, or on a real capture: a file of
// (u64 time in ns, u32 session, u8 direction, u32 length, bytes), little-endian. Prints figures, judges
// nothing.
//
//   transcript_benchmark [capture file] [slab bytes]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "formats/crc32c.h"
#include "formats/transcript/chunk.h"

namespace {

using namespace understudy;

// Messages as pgbench and the server exchange them, byte for byte in form; numbers are random as its are.
class Traffic {
 public:
  Traffic(bool prepared, std::size_t slab_bytes, std::size_t total_bytes) : prepared_(prepared) {
    std::vector<unsigned> step(kSessions, 0);
    std::size_t made = 0;
    TimeNs time = 1'700'000'000'000'000'000;
    Slab slab(slab_bytes);
    while (made < total_bytes) {
      const std::uint32_t session = static_cast<std::uint32_t>(random_() % kSessions);
      time += static_cast<TimeNs>(std::exponential_distribution<>(1.0 / 25'000)(random_)) + 2'000;
      const unsigned at = step[session]++ % 14;
      message_.clear();
      at % 2 == 0 ? request(at / 2) : reply(at / 2);
      slab.append({1, session + 1}, time, at % 2 == 0 ? EventKind::kClientBytes : EventKind::kServerBytes,
                  message_);
      made += message_.size();
      if (slab.data().size() >= slab_bytes) {
        slabs.push_back(std::move(slab));
        slab = Slab(slab_bytes);
      }
    }
    if (!slab.empty()) slabs.push_back(std::move(slab));
  }

  std::vector<Slab> slabs;

 private:
  static constexpr std::uint32_t kSessions = 8;
  // The seven statements of TPC-B, and how many parameters each has when prepared.
  static constexpr const char* kStatements[] = {
      "BEGIN;",
      "UPDATE pgbench_accounts SET abalance = abalance + %d WHERE aid = %d;",
      "SELECT abalance FROM pgbench_accounts WHERE aid = %d;",
      "UPDATE pgbench_tellers SET tbalance = tbalance + %d WHERE tid = %d;",
      "UPDATE pgbench_branches SET bbalance = bbalance + %d WHERE bid = %d;",
      "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (%d, %d, %d, %d, CURRENT_TIMESTAMP);",
      "END;"};
  static constexpr unsigned kParameters[] = {0, 2, 1, 2, 2, 4, 0};
  static constexpr const char* kTags[] = {"BEGIN",    "UPDATE 1",   "SELECT 1", "UPDATE 1",
                                          "UPDATE 1", "INSERT 0 1", "COMMIT"};

  int number(unsigned statement, unsigned parameter) {
    const bool account =
        (statement == 1 && parameter == 1) || (statement == 2) || (statement == 5 && parameter == 2);
    const bool delta =
        (statement != 2 && parameter == 0 && statement != 5) || (statement == 5 && parameter == 3);
    if (account) return static_cast<int>(random_() % 1'000'000) + 1;
    if (delta) return static_cast<int>(random_() % 10'001) - 5'000;
    return static_cast<int>(random_() % 100) + 1;
  }

  void add(char type, const std::string& body) {
    message_.push_back(static_cast<Byte>(type));
    append_be32(message_, static_cast<std::uint32_t>(body.size() + 4));
    append_bytes(message_, as_bytes(body));
  }

  void request(unsigned statement) {
    if (prepared_) {
      std::string bind(1, '\0');
      bind += "P0_" + std::to_string(statement);
      bind += std::string("\0\0\0\0", 4) + static_cast<char>(kParameters[statement]);
      for (unsigned i = 0; i < kParameters[statement]; ++i) {
        const std::string text = std::to_string(number(statement, i));
        bind += std::string("\0\0\0", 3) + static_cast<char>(text.size()) + text;
      }
      add('B', bind + std::string("\0\1\0\0", 4));
      add('D', std::string("P\0", 2));
      add('E', std::string("\0\0\0\0\0", 5));
      add('S', "");
      return;
    }
    char text[256];
    std::snprintf(text, sizeof text, kStatements[statement], number(statement, 0), number(statement, 1),
                  number(statement, 2), number(statement, 3));
    add('Q', std::string(text) + '\0');
  }

  void reply(unsigned statement) {
    if (prepared_) add('2', "");
    if (statement == 2) {
      add('T', std::string("\0\1abalance\0\0\0\x40\x05\0\3\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 29));
      const std::string value = std::to_string(static_cast<int>(random_() % 100'000) - 50'000);
      add('D', std::string("\0\1\0\0\0", 5) + static_cast<char>(value.size()) + value);
    } else if (prepared_) {
      add('n', "");
    }
    add('C', std::string(kTags[statement]) + '\0');
    add('Z', statement == 6 ? "I" : "T");
  }

  bool prepared_;
  std::mt19937_64 random_{20'261'124};
  ByteBuffer message_;
};

std::vector<Slab> read_capture(const char* path, std::size_t slab_bytes) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> contents{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  ByteReader reader(as_bytes({contents.data(), contents.size()}));
  std::vector<Slab> slabs;
  Slab slab(slab_bytes);
  while (reader.remaining() > 0 && !reader.failed()) {
    const auto time = static_cast<TimeNs>(reader.le64());
    const std::uint32_t session = reader.le32();
    const std::uint8_t direction = reader.u8();
    const ByteView data = reader.bytes(reader.le32());
    slab.append({1, session}, time, direction == 0 ? EventKind::kClientBytes : EventKind::kServerBytes, data);
    if (slab.data().size() < slab_bytes) continue;
    slabs.push_back(std::move(slab));
    slab = Slab(slab_bytes);
  }
  if (!slab.empty()) slabs.push_back(std::move(slab));
  return slabs;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void measure(const char* name, const std::vector<Slab>& slabs) {
  constexpr int kRounds = 5;
  double encode = 1e9;
  double decode = 1e9;
  std::size_t raw = 0;
  std::size_t events = 0;
  std::size_t stored = 0;
  for (const Slab& slab : slabs) {
    raw += slab.data().size();
    events += slab.heads().size();
  }
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::pair<ChunkHead, ByteBuffer>> chunks(slabs.size());
    ChunkEncoder encoder;
    ByteBuffer out;
    stored = 0;
    double spent = 0;
    for (std::size_t i = 0; i < slabs.size(); ++i) {
      out.clear();
      const auto begin = std::chrono::steady_clock::now();
      chunks[i].first = encoder.encode(slabs[i], out);
      spent += seconds_since(begin);
      chunks[i].second = out;
      stored += out.size();
    }
    encode = std::min(encode, spent);
    const auto begin = std::chrono::steady_clock::now();
    for (const auto& [head, records] : chunks) {
      std::string error;
      const ByteView body = ByteView(records).last(head.stored_bytes);
      if (crc32c(body) != head.body_crc32c || !Chunk::decode(head, body, error)) std::abort();
    }
    decode = std::min(decode, seconds_since(begin));
  }
  std::printf(
      "%-22s %5.1f MB in %7zu events: encode %5.0f MB/s, decode %5.0f MB/s, ratio %5.2f, %.2f B/event\n",
      name, static_cast<double>(raw) / 1e6, events, static_cast<double>(raw) / encode / 1e6,
      static_cast<double>(raw) / decode / 1e6, static_cast<double>(raw) / static_cast<double>(stored),
      static_cast<double>(stored) / static_cast<double>(events));
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t slab_bytes =
      argc > 2 ? static_cast<std::size_t>(std::atoll(argv[2])) : Slab::kDefaultCapacityBytes;
  if (argc > 1) {
    measure(argv[1], read_capture(argv[1], slab_bytes));
    return 0;
  }
  measure("TPC-B prepared", Traffic(true, slab_bytes, 32 << 20).slabs);
  measure("TPC-B simple", Traffic(false, slab_bytes, 32 << 20).slabs);
}
