// Looks users up in the database, on the primary: one connection that is kept, one question after the other,
// and what was found is remembered for a while.
//
//     look_up -> remembered? -> told after about the time that asking takes
//             -> asked already? -> told with the others
//             -> a place in the queue -> primary? connected? -> asked -> told
//
// While there is no primary the queue waits, each for as long as it may. Users that are not there are asked
// for at each login: remembering them would tell them from others, and failed logins make it forget the
// others.
//
// Owned by the Proxy; an event loop on a thread of its own. Threads: start() and stop() from one; the rest
// from any.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/access_policy.h"
#include "proxy/auth_query.h"
#include "proxy/database_client.h"
#include "proxy/statistics.h"
#include "proxy/topology.h"

namespace understudy::proxy {

// What became of a lookup.
struct UserLookup {
  enum class Outcome : std::uint8_t { kAnswered, kNoPrimary, kFailed };
  Outcome outcome = Outcome::kAnswered;
  std::shared_ptr<const UserSecret> secret;  // kAnswered: null when there is no such user
  std::string error;                         // why not, for the log
};

class UserDirectory {
 public:
  using Told = std::function<void(const UserLookup&)>;
  struct Sources {
    const CurrentTopology& topology;
    ServerTlsSource tls;
    // Something is wrong with that backend; null: it is the only one, and is not waited for.
    std::function<void(std::size_t backend)> suspect;
    Statistics& statistics;
  };

  explicit UserDirectory(Sources sources);
  ~UserDirectory();
  UserDirectory(const UserDirectory&) = delete;
  UserDirectory& operator=(const UserDirectory&) = delete;

  void start();
  // Nobody is told any more.
  void stop();

  // `policy` has a query. `told` is called on the directory's thread, within `patience`.
  void look_up(std::shared_ptr<const AccessPolicy> policy, const std::string& user, TimeNs patience,
               Told told);
  // Its login failed: it may have another secret by now.
  void forget(const std::string& user);
  void topology_changed();

 private:
  struct Waiting {
    std::string user;
    TimeNs since = 0;
    TimeNs deadline = 0;
    std::vector<Told> told;
  };
  struct Remembered {
    std::shared_ptr<const UserSecret> secret;
    TimeNs at = 0;
  };

  void begin(const std::shared_ptr<const AccessPolicy>& policy, const std::string& user, TimeNs patience,
             Told told);
  void use(const AuthQuery& query);
  void go_on();
  void connect(const BackendState& primary);
  void drop();
  void ask();
  void answered(const QueryAnswer& answer);
  void failed(const std::string& why);
  void tell_front(const UserLookup& lookup);
  void tell_late(TimeNs now);
  void remember(const std::string& user, const std::shared_ptr<const UserSecret>& secret);
  void retry_at(TimeNs when);

  const Sources sources_;
  EventLoop loop_;
  AuthQuery query_;
  std::deque<Waiting> waiting_;  // the front is asked for, if asking_
  bool asking_ = false;
  bool asked_before_ = false;  // in this connection, which may have been dead since
  std::unique_ptr<DatabaseClient> client_;
  Address backend_;  // of client_
  EventLoop::TimerId timer_ = 0;
  std::map<std::string, Remembered> remembered_;
  std::deque<std::pair<TimeNs, std::string>> oldest_;  // of what is remembered, and of what was forgotten
  std::vector<TimeNs> recent_;                         // how long the last questions took
  std::size_t next_recent_ = 0;
  bool told_wrong_ = false;  // the log knows
  std::thread thread_;
};

}  // namespace understudy::proxy
