// What a peer does not take must be kept, in order, and never for longer than there is a peer.
#include "proxy/endpoint.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace understudy::proxy {
namespace {

// A peer that takes `room` bytes, then none; or is gone.
class Peer final : public Connection {
 public:
  struct Seen {
    std::string taken;
    std::size_t room = 0;
    bool gone = false;
    bool end_of_file = false;
  };
  explicit Peer(Seen& seen) : seen_(seen) {}

  ReadResult read(std::span<Byte> /*scratch*/) override { return {}; }
  WriteResult write(ByteView bytes) override {
    if (seen_.gone) return {.status = IoStatus::kClosed, .written = 0};
    const std::size_t count = std::min(bytes.size(), seen_.room);
    if (count == 0) return {.status = IoStatus::kWouldBlock, .written = 0};
    seen_.taken += as_text(bytes.first(count));
    seen_.room -= count;
    return {.status = IoStatus::kOk, .written = count};
  }
  void shutdown_write() override { seen_.end_of_file = true; }
  int descriptor() const override { return -1; }
  const std::string& peer() const override { return name_; }
  std::string error_text() const override { return {}; }

 private:
  Seen& seen_;
  std::string name_ = "peer";
};

class Idler final : public Runnable {
 public:
  void run(std::uint32_t /*client_events*/, std::uint32_t /*server_events*/) override {}
};

class EndpointTest : public ::testing::Test {
 protected:
  EndpointTest() { endpoint_.attach(std::make_unique<Peer>(seen_)); }
  bool send(std::string_view text) { return endpoint_.send(as_bytes(text)); }

  Peer::Seen seen_;
  EventLoop loop_;
  Idler owner_;
  Endpoint endpoint_{loop_, owner_, Runnable::Slot::kClient};
};

TEST_F(EndpointTest, KeepsWhatIsNotTakenInOrder) {
  seen_.room = 3;
  ASSERT_TRUE(send("abcdef") && send("ghi"));
  EXPECT_TRUE(endpoint_.backlogged());
  seen_.room = 4;
  ASSERT_TRUE(endpoint_.flush());
  EXPECT_EQ(seen_.taken, "abcdefg");
  // Room again, but what came first goes first.
  ASSERT_TRUE(send("j"));
  seen_.room = 100;
  ASSERT_TRUE(endpoint_.flush());
  EXPECT_EQ(seen_.taken, "abcdefghij");
  EXPECT_FALSE(endpoint_.backlogged());
}

TEST_F(EndpointTest, EndOfFileComesAfterWhatWasKept) {
  seen_.room = 1;
  ASSERT_TRUE(send("ab"));
  endpoint_.finish_writing();
  EXPECT_FALSE(seen_.end_of_file);
  seen_.room = 1;
  ASSERT_TRUE(endpoint_.flush());
  EXPECT_EQ(seen_.taken, "ab");
  EXPECT_TRUE(seen_.end_of_file);
}

TEST_F(EndpointTest, EndOfFileComesAtOnceWhenNothingWasKept) {
  endpoint_.finish_writing();
  EXPECT_TRUE(seen_.end_of_file);
}

// Kept, it would be waited for on a descriptor that is always ready.
TEST_F(EndpointTest, ForgetsWhatAPeerThatVanishedWillNotTake) {
  ASSERT_TRUE(send("abc"));
  seen_.gone = true;
  EXPECT_FALSE(endpoint_.flush());
  EXPECT_FALSE(endpoint_.backlogged());
  EXPECT_FALSE(send("def"));
}

TEST_F(EndpointTest, HasNoBacklogOfAnEarlierConnection) {
  ASSERT_TRUE(send("abc"));
  endpoint_.finish_writing();
  Peer::Seen next{.taken = {}, .room = 100};
  endpoint_.attach(std::make_unique<Peer>(next));
  ASSERT_TRUE(send("d") && endpoint_.flush());
  EXPECT_EQ(next.taken, "d");
  EXPECT_FALSE(next.end_of_file);
  endpoint_.close();
}

}  // namespace
}  // namespace understudy::proxy
