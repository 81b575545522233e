// Which clients may come in, and how each must prove who it is: rules in the manner of pg_hba.conf, the first
// that fits decides. Immutable once read; shared between threads as a snapshot.
//
//     # type    database  user        address        method
//     local     all       all                        trust
//     host      shop      ada,bob     10.0.0.0/8     scram-sha-256
//     hostssl   all       all         ::/0           md5
//     host      all       all         all            reject
//
// Of databases, "replication" is physical replication, which "all" is not; "sameuser" is the one of the
// user's name. A word in quotes is a name. There are no groups, files or regular expressions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/bytes.h"
#include "proxy/authentication_method.h"

namespace understudy::proxy {

// Who is at the door.
struct Visitor {
  std::string peer;  // as Connection::peer(): "192.0.2.7:49152", "[::1]:49152", "unix:"
  bool tls = false;
  std::string database;
  std::string user;
  bool replication = false;  // physical: of no database
};
// What the start-up parameter "replication" asks for: true is physical replication, "database" logical.
[[nodiscard]] bool is_physical_replication(std::string_view parameter);

// A network: address bytes (4 or 16) and how many bits of them count.
struct Network {
  std::vector<Byte> address;
  unsigned bits = 0;
  // "10.0.0.0/8", "::1/128", "192.0.2.7". None when it is no such thing.
  [[nodiscard]] static std::optional<Network> parse(std::string_view text);
  [[nodiscard]] bool contains(const std::vector<Byte>& host) const;
};
// The address in a peer's name; none for a Unix socket.
[[nodiscard]] std::optional<std::vector<Byte>> peer_address(std::string_view peer);
// Of this machine: a Unix socket, 127.0.0.0/8 or ::1.
[[nodiscard]] bool is_local_peer(std::string_view peer);

// One of a rule's databases or users.
struct RuleName {
  std::string text;
  bool quoted = false;  // a name, whatever it says
  [[nodiscard]] bool is_keyword(std::string_view word) const { return !quoted && text == word; }
};

class AccessRules {
 public:
  // The text of a file called `name`. Throws std::runtime_error with name and line.
  [[nodiscard]] static AccessRules parse(std::string_view text, const std::string& name);
  // One rule for everybody.
  [[nodiscard]] static AccessRules everybody(AuthenticationMethod method);

  // None: no rule fits, which means no.
  [[nodiscard]] std::optional<AuthenticationMethod> method_for(const Visitor& visitor) const;
  [[nodiscard]] std::size_t size() const { return rules_.size(); }

 private:
  enum class Type : std::uint8_t { kAny, kLocal, kHost, kHostSsl, kHostNoSsl };
  struct Rule {
    Type type = Type::kAny;
    std::vector<RuleName> databases;  // "all", "sameuser", "replication" or a name
    std::vector<RuleName> users;      // "all" or a name
    std::optional<Network> network;   // none: any
    AuthenticationMethod method = AuthenticationMethod::kReject;
  };
  static Rule parse_rule(const std::vector<std::string>& fields);
  [[nodiscard]] static bool fits(const Rule& rule, const Visitor& visitor);

  std::vector<Rule> rules_;
};

}  // namespace understudy::proxy
