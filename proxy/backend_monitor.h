// Watches the backends and publishes what it finds: a thread with an event loop, one HealthCheck a backend, a
// TopologyTracker that adds their answers up, and a CurrentTopology that everybody reads.
//
// A backend is checked each `interval`, and sooner where there is reason to:
// - at once, when a session broke (check_now) or the health connection was closed;
// - 50 ms after a failure, until it answers or is down;
// - all of them each 50 ms, while there is no primary or its last check failed.
// Where reads go to replicas, those are asked for their positions alone as soon as a session wants to know
// them, at most once a millisecond.
//
// A sole backend is asked for those who watch the proxy, and nothing hangs on its role: one that does not let
// health_user in is up all the same.
//
// With Patroni its members are watched, whoever they are (patroni_watch.h), and what one of the two finds out
// makes the monitor ask the other.
//
// Owned by the Proxy. Threads: start() and stop() from one, once each; the rest from any.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "proxy/commit_ledger.h"
#include "proxy/health_check.h"
#include "proxy/name_lookup.h"
#include "proxy/patroni_watch.h"
#include "proxy/replica_board.h"
#include "proxy/statistics.h"

namespace understudy::proxy {

// Where the clients' commits are accounted for; null: nowhere.
struct CommitBooks {
  CommitLedger* ledger = nullptr;
  Statistics* statistics = nullptr;
};

class BackendMonitor {
 public:
  // `topology`, `board` and `books` outlive it. `board` may be null: nobody reads at replicas. Throws as
  // PatroniWatch() does.
  BackendMonitor(const std::vector<Address>& backends, HealthSettings settings,
                 const PatroniSettings& patroni, ServerTlsSource tls, CurrentTopology& topology,
                 ReplicaBoard* board = nullptr, CommitBooks books = {}, bool sole = false);
  ~BackendMonitor();
  BackendMonitor(const BackendMonitor&) = delete;
  BackendMonitor& operator=(const BackendMonitor&) = delete;

  // Publishes the backends, all unknown, before it returns. Throws as NameLookup::start() does.
  void start();
  // May wait for a DNS lookup that is under way.
  void stop();

  // Something went wrong with a session at this backend: looks at once. Cheap to call often.
  void check_now(std::size_t backend);
  void reload(HealthSettings settings);
  // Replicas' positions are wanted.
  void ask_positions();
  // Asks the backend something, as health_user, in a connection of its own. `told` is called once, on the
  // monitor's thread, unless that ends before.
  void ask(std::size_t backend, const std::string& sql, TimeNs patience,
           std::function<void(const BackendAnswer&)> told);

 private:
  struct Watch {
    std::unique_ptr<HealthCheck> check;  // null: its place is free
    Address address;
    std::string name;  // of the backend, in logs
    std::atomic<bool> requested{false};
    bool looked_up = false;    // until then there is nothing to check
    bool check_again = false;  // a request came while one was under way
    bool told_turned_away = false;
    TimeNs began = 0;
    CommitLedger::Page page = 0;  // of the ledger, turned before the check began
    EventLoop::TimerId timer = 0;
  };

  void ask_positions_now();
  void position_answered(std::size_t backend, Lsn position);
  void forget_position(std::size_t backend);
  void note_position(std::size_t backend);
  struct Question {
    std::unique_ptr<DatabaseClient> client;
    std::string sql;
    TimeNs patience = 0;
    std::function<void(const BackendAnswer&)> told;
    bool asked = false;
  };

  void begin_question(std::size_t backend, std::unique_ptr<Question> question);
  void end_question(Question& question, BackendAnswer answer);
  void watch(std::size_t backend, const Address& address);
  void unwatch(std::size_t backend);
  void look_at_patroni();
  void patroni_answered(const PatroniCluster& cluster);
  void publish(const TopologyChanges& changes);
  void settle_accounts(std::size_t primary);
  void tell_missing(const CommitLedger::Account& account, std::uint64_t lost, std::uint64_t unclear,
                    const std::string& error);
  void looked_up(std::size_t backend, const Address& address, std::vector<SocketAddress> addresses,
                 std::string error);
  void begin_check(std::size_t backend);
  void check_soon(std::size_t backend);
  void turned_away(std::size_t backend, const std::string& why);
  void checked(std::size_t backend, bool answered, const TopologyChanges& changes);
  void schedule(std::size_t backend, TimeNs when);
  [[nodiscard]] bool urgent() const;
  [[nodiscard]] TimeNs pause() const;
  void log(const TopologyChange& change) const;

  CurrentTopology& topology_;
  ReplicaBoard* const board_;
  const CommitBooks books_;
  const bool sole_;
  HealthSettings settings_;
  const ServerTlsSource tls_;
  EventLoop loop_;
  TopologyTracker tracker_;
  // One for each place in the topology, those not taken yet included: others ask for checks meanwhile.
  std::vector<std::unique_ptr<Watch>> watches_;
  std::vector<std::unique_ptr<Question>> questions_;  // under way
  NameLookup lookup_;
  std::unique_ptr<PatroniWatch> patroni_;  // null: servers are judged by what they say alone
  bool was_urgent_ = true;
  TimeNs positions_asked_ = 0;
  std::thread thread_;
};

}  // namespace understudy::proxy
