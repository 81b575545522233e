// Does a connection of the admin port end when others need its thread, and only then when it may?
#include "proxy/admin_connections.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

namespace understudy::proxy {
namespace {

constexpr TimeNs kHour = 3'600'000'000'000;

// A client's connection to the port, and the port's end of it.
class Pair {
 public:
  Pair() {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0);
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    EXPECT_EQ(setsockopt(ends_[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  }
  ~Pair() {
    for (const int end : ends_) close(end);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  [[nodiscard]] int port_end() const { return ends_[1]; }
  // Waits for it.
  [[nodiscard]] bool ends() const { return recv(ends_[0], &scratch_, 1, 0) == 0; }
  [[nodiscard]] bool is_open() const { return recv(ends_[0], &scratch_, 1, MSG_DONTWAIT) < 0; }
  void leave() const { shutdown(ends_[0], SHUT_RDWR); }

 private:
  int ends_[2] = {-1, -1};
  mutable char scratch_ = 0;
};

// One that a thread of the port serves: it reads until the connection's end.
class Served {
 public:
  Served(AdminConnections& connections, bool whole) {
    EXPECT_TRUE(connections.admit(&pair_, pair_.port_end()));
    std::promise<void> begun;
    thread_ = std::thread([this, &connections, &begun, whole] {
      const AdminConnections::Lease lease(connections, &pair_, kHour);
      if (whole) connections.extend(kHour);
      begun.set_value();
      char byte = 0;
      while (read(pair_.port_end(), &byte, 1) > 0) continue;
    });
    begun.get_future().wait();
  }
  ~Served() {
    pair_.leave();
    thread_.join();
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  [[nodiscard]] const Pair& client() const { return pair_; }

 private:
  Pair pair_;
  std::thread thread_;
};

TEST(AdminConnectionsTest, WhoHasAskedInPartEndsForWhoWaits) {
  AdminConnections connections(2);
  const Served in_part(connections, false);
  const Served whole(connections, true);
  const Pair waits;
  EXPECT_TRUE(connections.admit(&waits, waits.port_end()));
  EXPECT_TRUE(in_part.client().ends());
  EXPECT_TRUE(whole.client().is_open());
  EXPECT_TRUE(waits.is_open());
}

TEST(AdminConnectionsTest, AsManyEndAsWait) {
  AdminConnections connections(3);
  const Served first(connections, false);
  const Served second(connections, false);
  const Served whole(connections, true);
  const Pair waits;
  const Pair waits_too;
  EXPECT_TRUE(connections.admit(&waits, waits.port_end()));
  EXPECT_TRUE(connections.admit(&waits_too, waits_too.port_end()));
  EXPECT_TRUE(first.client().ends());
  EXPECT_TRUE(second.client().ends());
  EXPECT_TRUE(whole.client().is_open());
}

TEST(AdminConnectionsTest, NoMoreWaitThanMay) {
  AdminConnections connections(1);
  const Pair pairs[AdminConnections::kMostWaiting + 1];
  for (const Pair& pair : pairs) {
    EXPECT_EQ(connections.admit(&pair, pair.port_end()), &pair != std::end(pairs) - 1);
  }
}

}  // namespace
}  // namespace understudy::proxy
