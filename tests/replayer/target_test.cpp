#include "replayer/target.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "formats/transcript/known_replies.h"
#include "formats/wire/backend_builders.h"
#include "replayer/replay_options.h"

namespace understudy::replayer {
namespace {

TEST(ReplayDatabaseTest, IsTheTargetsWhereTheRecordingDoesNotTellIt) {
  ReplayOptions options;
  options.own_database = "shop";
  SessionDescriptor session;
  EXPECT_EQ(options.database_of(session), "shop") << "joined by a capture";
  session.startup_parameters = {{"user", "ann"}};
  EXPECT_EQ(options.database_of(session), "ann") << "PostgreSQL's default";
  session.attributes.emplace_back(kRepliesAttribute, kOnlyErrors);
  EXPECT_EQ(options.database_of(session), "shop") << "imported from a log without %d";
  session.startup_parameters.emplace_back("database", "ledger");
  EXPECT_EQ(options.database_of(session), "ledger");
  options.databases = {{"*", "other"}};
  EXPECT_EQ(options.database_of(session), "other");
  EXPECT_EQ(options.database_of({}), "other");
}

// Lets everybody in, and says no more.
class WelcomingServer {
 public:
  WelcomingServer() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { run(); });
  }
  ~WelcomingServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  [[nodiscard]] const std::string& port() const { return port_; }

 private:
  void run() {
    ByteBuffer welcome = {'R', 0, 0, 0, 8, 0, 0, 0, 0};  // AuthenticationOk
    wire::append_parameter_status(welcome, "server_version", "15.99");
    wire::append_ready_for_query(welcome, wire::TransactionStatus::kIdle);
    while (true) {
      const int client = accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      // Answered one after the other: who only looked in has hung up by then.
      Byte request[1024];
      if (recv(client, request, sizeof request, 0) > 0) {
        (void)!send(client, welcome.data(), welcome.size(), MSG_NOSIGNAL);
        while (recv(client, request, sizeof request, 0) > 0) {
        }
      }
      close(client);
    }
  }

  int listener_;
  std::string port_;
  std::thread thread_;
};

class TargetTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "understudy-target-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    for (const char* name : {"PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD",
                             "PGSERVICE", "PGSERVICEFILE", "PGOPTIONS", "PGCONNECT_TIMEOUT"}) {
      unsetenv(name);
    }
    setenv("PGPASSFILE", (directory_ / "none").c_str(), 1);
    setenv("PGSSLMODE", "disable", 1);
    setenv("PGGSSENCMODE", "disable", 1);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string write_pgpass(const std::string& lines) {
    const std::filesystem::path path = directory_ / "pgpass";
    std::ofstream(path) << lines;
    chmod(path.c_str(), 0600);
    return path.string();
  }
  [[nodiscard]] std::string uri(const std::string& user = "operator") const {
    return "postgresql://" + user + "@127.0.0.1:" + server_.port() + "/stage";
  }

  WelcomingServer server_;
  std::filesystem::path directory_;
};

TEST_F(TargetTest, AUriNamesTheServer) {
  const Target target(uri());
  EXPECT_EQ(target.address().host, "127.0.0.1");
  EXPECT_EQ(std::to_string(target.address().port), server_.port());
  EXPECT_EQ(target.server_version(), "15.99");
}

TEST_F(TargetTest, AHostNameIsResolvedOnce) {
  const Target target("host=localhost port=" + server_.port() + " user=x dbname=y");
  EXPECT_EQ(target.address().host, "127.0.0.1");
}

TEST_F(TargetTest, TheEnvironmentAndServiceFilesNameIt) {
  setenv("PGHOST", "127.0.0.1", 1);
  setenv("PGPORT", server_.port().c_str(), 1);
  setenv("PGUSER", "operator", 1);
  EXPECT_EQ(std::to_string(Target("").address().port), server_.port());
  unsetenv("PGHOST");
  unsetenv("PGPORT");
  const std::filesystem::path services = directory_ / "services";
  std::ofstream(services) << "[stage]\nhost=127.0.0.1\nport=" << server_.port()
                          << "\npassword=of the service\n";
  setenv("PGSERVICEFILE", services.c_str(), 1);
  Target target("service=stage");
  EXPECT_EQ(std::to_string(target.address().port), server_.port());
  EXPECT_EQ(target.password("operator", "stage"), "of the service");
}

TEST_F(TargetTest, EveryUserHasThePasswordOfItsLineInPgpass) {
  setenv("PGPASSFILE",
         write_pgpass(
             "127.0.0.1:*:shop:alice:in the shop\n127.0.0.1:*:*:alice:elsewhere\n*:*:*:bob:a\\:b\\\\c\n")
             .c_str(),
         1);
  Target target(uri());
  EXPECT_EQ(target.password("alice", "shop"), "in the shop");
  EXPECT_EQ(target.password("alice", "stage"), "elsewhere");
  EXPECT_EQ(target.password("bob", "shop"), "a:b\\c");
  EXPECT_EQ(target.password("carol", "shop"), "");
}

TEST_F(TargetTest, TheGivenPasswordIsItsUsersFirstAndOthersLast) {
  const std::string pgpass = write_pgpass("*:*:*:operator:not this\n*:*:*:alice:her own\n");
  Target target(uri("operator:given") + "?passfile=" + pgpass);
  EXPECT_EQ(target.password("operator", "stage"), "given");
  EXPECT_EQ(target.password("alice", "stage"), "her own");
  EXPECT_EQ(target.password("bob", "stage"), "given");
}

TEST_F(TargetTest, PgpasswordDoesNotHideWhatPgpassSaysOfOthers) {
  setenv("PGPASSWORD", "given", 1);
  setenv("PGPASSFILE", write_pgpass("*:*:*:alice:her own\n").c_str(), 1);
  Target target(uri());
  EXPECT_EQ(target.password("operator", "stage"), "given");
  EXPECT_EQ(target.password("alice", "stage"), "her own");
}

TEST_F(TargetTest, NamesAreQuotedWhereverTheyGo) {
  setenv("PGPASSFILE", write_pgpass("*:*:da ta:o'br\\\\ian:his own\n").c_str(), 1);
  Target target(uri());
  EXPECT_EQ(target.password("o'br\\ian", "da ta"), "his own");
  EXPECT_EQ(target.password("x' host='elsewhere", "y"), "");
}

TEST_F(TargetTest, WhatCannotBeReachedOrReadIsToldInLibpqsWords) {
  for (const char* conninfo :
       {"postgresql://[broken", "port=none", "no_such_option=1", "host=/nowhere user=x"}) {
    try {
      const Target target(conninfo);
      ADD_FAILURE() << conninfo;
    } catch (const std::runtime_error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("cannot connect to the target: ")) << error.what();
      EXPECT_NE(std::string(error.what()).back(), '\n');
    }
  }
}

TEST_F(TargetTest, CatalogsThatCannotBeReadSayNothing) {
  const Target target(uri());
  EXPECT_EQ(TargetTables().find("anything"), nullptr);
}

TEST(NameMap, NamesAreMappedOrAllOthersAreOrNone) {
  const NameMap some = {{"alice", "bob"}, {"carol", ""}};
  EXPECT_EQ(mapped(some, "alice"), "bob");
  EXPECT_EQ(mapped(some, "carol"), "");
  EXPECT_EQ(mapped(some, "dave"), "dave");
  const NameMap others = {{"alice", "alice"}, {"*", "bench"}};
  EXPECT_EQ(mapped(others, "alice"), "alice");
  EXPECT_EQ(mapped(others, "dave"), "bench");
  EXPECT_EQ(mapped(others, "*"), "bench");
  EXPECT_EQ(mapped({}, "dave"), "dave");
}

}  // namespace
}  // namespace understudy::replayer
