// Servers that wait for clients and clients that wait for servers: limits, fairness, and who left meanwhile.
#include "proxy/server_pool.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/socket_connection.h"

namespace understudy::proxy {
namespace {

using Kind = ServerPool::Answer::Kind;
constexpr TimeNs kSecond = 1'000'000'000;

class ServerPoolTest : public testing::Test {
 protected:
  ~ServerPoolTest() override {
    for (const int end : far_ends_) ::close(end);
  }
  // A live connection whose other end the test holds.
  PooledServer server(TimeNs connected_at = 0) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    far_ends_.push_back(ends[1]);
    PooledServer made;
    made.connection = std::make_unique<SocketConnection>(ends[0], "unix:", SocketOptions());
    made.connected_at = connected_at;
    return made;
  }
  Kind ask(const std::string& key = "k", TimeNs now = 0) {
    last_ = pool_.acquire(key, now, [this] { ++calls_; });
    return last_.kind;
  }
  void limit(std::uint32_t size, std::uint32_t reserve = 0) {
    PoolLimits limits;
    limits.pool_size = size;
    limits.reserve_pool_size = reserve;
    pool_.set_limits(limits);
  }

  ServerPool pool_{PoolLimits()};
  ServerPool::Answer last_;
  int calls_ = 0;
  std::vector<int> far_ends_;
};

TEST_F(ServerPoolTest, AServerIsUsedAgainByItsOwnKindOnly) {
  EXPECT_EQ(ask("ada"), Kind::kConnect);
  pool_.release("ada", server(), 0);
  EXPECT_EQ(ask("bob"), Kind::kConnect);
  EXPECT_EQ(ask("ada"), Kind::kServer);
  EXPECT_EQ(ask("ada"), Kind::kConnect);
}

TEST_F(ServerPoolTest, WhoWaitsForAPoolWithoutServersIsListed) {
  using namespace std::string_literals;
  limit(1);
  EXPECT_EQ(ask("db\0ada\0a=1"s), Kind::kConnect);
  EXPECT_EQ(ask("db\0ada\0a=2"s), Kind::kWait);
  EXPECT_EQ(ask("db\0ada\0a=2"s), Kind::kWait);
  const auto listed = pool_.list();
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].second.open, 1U);
  EXPECT_EQ(listed[0].second.waiting, 0U);
  EXPECT_EQ(listed[1].first, "db\0ada\0a=2"s);
  EXPECT_EQ(listed[1].second.open, 0U);
  EXPECT_EQ(listed[1].second.waiting, 2U);
  EXPECT_EQ(pool_.counts().waiting, 2U);
}

TEST_F(ServerPoolTest, AfterARenewalNoServerConnectedBeforeIsUsed) {
  EXPECT_EQ(ask(), Kind::kConnect);
  PooledServer busy = server();
  busy.epoch = last_.epoch;
  EXPECT_EQ(ask(), Kind::kConnect);
  pool_.release("k", server(), 0);
  pool_.renew();
  EXPECT_EQ(pool_.counts().idle, 0U);
  pool_.release("k", std::move(busy), 0);
  EXPECT_EQ(ask(), Kind::kConnect);
  EXPECT_EQ(pool_.counts().open, 1U);
  PooledServer fresh = server();
  fresh.epoch = last_.epoch;
  pool_.release("k", std::move(fresh), 0);
  EXPECT_EQ(ask(), Kind::kServer);
}

TEST_F(ServerPoolTest, AFullPoolServesInOrderOfArrival) {
  limit(1);
  EXPECT_EQ(ask(), Kind::kConnect);
  EXPECT_EQ(ask(), Kind::kWait);
  const auto first = last_.ticket;
  EXPECT_EQ(ask(), Kind::kWait);
  const auto second = last_.ticket;
  pool_.release("k", server(), 0);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(pool_.collect("k", second).kind, Kind::kWait);
  EXPECT_EQ(pool_.collect("k", first).kind, Kind::kServer);
  pool_.gone("k", 0);
  EXPECT_EQ(calls_, 2);
  EXPECT_EQ(pool_.collect("k", second).kind, Kind::kConnect);
}

TEST_F(ServerPoolTest, AClientThatLeftPassesItsTurnOn) {
  limit(1);
  EXPECT_EQ(ask(), Kind::kConnect);
  EXPECT_EQ(ask(), Kind::kWait);
  const auto first = last_.ticket;
  EXPECT_EQ(ask(), Kind::kWait);
  const auto second = last_.ticket;
  pool_.release("k", server(), 0);
  pool_.abandon("k", first, 0);  // called, but gone before it came
  EXPECT_EQ(calls_, 2);
  EXPECT_EQ(pool_.collect("k", second).kind, Kind::kServer);
  EXPECT_EQ(pool_.counts().open, 1U);
}

TEST_F(ServerPoolTest, WhoArrivesLaterDoesNotOvertake) {
  limit(1);
  EXPECT_EQ(ask(), Kind::kConnect);
  EXPECT_EQ(ask(), Kind::kWait);
  limit(2);
  EXPECT_EQ(ask(), Kind::kWait);  // there is room, but for the one before
  pool_.sweep(0);
  EXPECT_EQ(calls_, 1);
}

TEST_F(ServerPoolTest, TheReserveIsForThoseWhoWaitedLong) {
  limit(1, 1);
  EXPECT_EQ(ask("k", 0), Kind::kConnect);
  EXPECT_EQ(ask("k", 0), Kind::kWait);
  pool_.sweep(4 * kSecond);
  EXPECT_EQ(calls_, 0);
  pool_.sweep(6 * kSecond);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(pool_.collect("k", last_.ticket).kind, Kind::kConnect);
}

TEST_F(ServerPoolTest, AServerThatWentAwayWhileItWaitedIsNotHandedOut) {
  EXPECT_EQ(ask(), Kind::kConnect);
  pool_.release("k", server(), 0);
  ::shutdown(far_ends_.back(), SHUT_RDWR);
  EXPECT_EQ(ask(), Kind::kConnect);
  EXPECT_EQ(pool_.counts().open, 1U);
}

TEST_F(ServerPoolTest, AServerThatSpokeWhileItWaitedIsNotHandedOut) {
  EXPECT_EQ(ask(), Kind::kConnect);
  pool_.release("k", server(), 0);
  ASSERT_EQ(::write(far_ends_.back(), "E", 1), 1);  // its good-bye
  EXPECT_EQ(ask(), Kind::kConnect);
}

TEST_F(ServerPoolTest, IdleAndOldServersAreClosed) {
  EXPECT_EQ(ask(), Kind::kConnect);
  EXPECT_EQ(ask(), Kind::kConnect);
  pool_.release("k", server(0), 0);
  pool_.sweep(599 * kSecond);
  EXPECT_EQ(pool_.counts().idle, 1U);
  pool_.sweep(601 * kSecond);
  EXPECT_EQ(pool_.counts().idle, 0U);
  pool_.release("k", server(0), 3601 * kSecond);
  EXPECT_EQ(ask("k", 3602 * kSecond), Kind::kConnect);
}

TEST_F(ServerPoolTest, EmptyPoolsAreForgotten) {
  EXPECT_EQ(ask(), Kind::kConnect);
  pool_.gone("k", 0);
  EXPECT_EQ(pool_.counts().pools, 0U);
}

std::string key_of(const std::string& database, const std::string& user, const std::string& application) {
  return database + '\0' + user + '\0' + "application_name=" + application;
}

TEST_F(ServerPoolTest, ALimitHoldsForAllStartUpParametersTogether) {
  limit(2);
  const std::string one = key_of("shop", "ada", "one");
  const std::string two = key_of("shop", "ada", "two");
  EXPECT_EQ(ask(one), Kind::kConnect);
  EXPECT_EQ(ask(two), Kind::kConnect);
  EXPECT_EQ(ask(two), Kind::kWait);
  const auto ticket = last_.ticket;
  EXPECT_EQ(ask(key_of("shop", "bob", "one")), Kind::kConnect);
  // What becomes free is no server for who waits, and ends for it.
  pool_.release(one, server(), 0);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(pool_.collect(two, ticket).kind, Kind::kConnect);
  EXPECT_EQ(pool_.counts().open, 3U);
  EXPECT_EQ(pool_.counts().idle, 0U);
}

TEST_F(ServerPoolTest, TheLongestIdleEndsFirst) {
  limit(3);
  for (const char* const name : {"a", "b", "c"}) EXPECT_EQ(ask(key_of("shop", "ada", name)), Kind::kConnect);
  pool_.release(key_of("shop", "ada", "b"), server(1), 1);
  pool_.release(key_of("shop", "ada", "a"), server(1), 2);
  pool_.release(key_of("shop", "ada", "c"), server(1), 3);
  EXPECT_EQ(ask(key_of("shop", "ada", "d"), 4), Kind::kConnect);
  EXPECT_EQ(ask(key_of("shop", "ada", "a"), 4), Kind::kServer);
  EXPECT_EQ(ask(key_of("shop", "ada", "c"), 4), Kind::kServer);
  EXPECT_EQ(ask(key_of("shop", "ada", "b"), 4), Kind::kWait);
}

TEST_F(ServerPoolTest, DatabasesAndUsersHaveLimitsOfTheirOwn) {
  PoolLimits limits;
  limits.max_db_connections = 2;
  limits.max_user_connections = 3;
  pool_.set_limits(limits);
  EXPECT_EQ(ask(key_of("shop", "ada", "")), Kind::kConnect);
  EXPECT_EQ(ask(key_of("shop", "bob", "")), Kind::kConnect);
  EXPECT_EQ(ask(key_of("shop", "ada", "")), Kind::kWait);
  const auto ticket = last_.ticket;
  EXPECT_EQ(ask(key_of("bank", "ada", "")), Kind::kConnect);
  EXPECT_EQ(ask(key_of("post", "ada", "")), Kind::kConnect);
  EXPECT_EQ(ask(key_of("post", "ada", ""), 1), Kind::kWait);
  // Bob's server is free, and makes room in the database for Ada, but she has three.
  pool_.release(key_of("shop", "bob", ""), server(), 0);
  EXPECT_EQ(pool_.collect(key_of("shop", "ada", ""), ticket).kind, Kind::kWait);
  pool_.gone(key_of("bank", "ada", ""), 0);
  EXPECT_EQ(pool_.collect(key_of("shop", "ada", ""), ticket).kind, Kind::kConnect);
}

TEST_F(ServerPoolTest, BackendsHaveLimitsOfTheirOwnAndAParameterIsNoBackend) {
  using namespace std::string_literals;
  limit(1);
  const std::string at_the_primary = key_of("shop", "ada", "a");
  EXPECT_EQ(ask(at_the_primary), Kind::kConnect);
  EXPECT_EQ(ask(at_the_primary + "\0@replica:5432"s), Kind::kConnect);
  EXPECT_EQ(ask(at_the_primary + "\0@replica:5432"s), Kind::kWait);
  EXPECT_EQ(ask(at_the_primary + "\0@anything=1"s), Kind::kWait);
}

TEST_F(ServerPoolTest, WithoutALimitFewIdleForOthersThanAreServed) {
  for (int i = 0; i < 1000; ++i) {
    const std::string key = key_of("shop", "ada", std::to_string(i));
    ASSERT_EQ(ask(key), Kind::kConnect);
    pool_.release(key, server(), i);
  }
  EXPECT_LE(pool_.counts().open, 22U);
  EXPECT_EQ(ask(key_of("shop", "ada", "999")), Kind::kServer);
}

}  // namespace
}  // namespace understudy::proxy
