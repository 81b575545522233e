// auth_file and auth_hba_file against arbitrary text. What is held: nothing crashes; a refusal names file and
// line; users and secrets written down are found again; rules judge line by line, the first that fits.
//
// The input's first letter says which of them the rest is. Of rules the first line is the visitor: peer,
// database, user, and "tls" or "replication", parted by blanks.
#include <fuzzer/FuzzedDataProvider.h>
#include <openssl/evp.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <stdexcept>

#include "proxy/access_rules.h"
#include "proxy/user_file.h"
#include "tests/fuzz/require.h"

namespace understudy::proxy {
namespace {

// Nothing when it was refused.
template <typename Parsed>
std::optional<Parsed> parse(std::string_view text) {
  try {
    return Parsed::parse(text, "file");
  } catch (const std::runtime_error& error) {
    const std::string_view what = error.what();
    require(what.starts_with("file:"));
    const std::string_view line = what.substr(5, what.find(':', 5) - 5);
    const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
    require(!line.empty() && std::stol(std::string(line)) <= lines);
    return std::nullopt;
  }
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

bool same(const UserSecret& a, const UserSecret& b) {
  return a.password == b.password && a.md5 == b.md5 && a.scram.has_value() == b.scram.has_value() &&
         a.scram_of_password.has_value() == b.scram_of_password.has_value();
}

void write_users(FuzzedDataProvider& input) {
  std::map<std::string, std::string> users;
  std::string text;
  while (input.remaining_bytes() > 0 && users.size() < 5) {
    std::string user = input.ConsumeRandomLengthString(40);
    std::string secret = input.ConsumeRandomLengthString(200);
    std::erase(user, '\n');
    std::erase(secret, '\n');
    if (user.empty() || !users.emplace(user, secret).second) continue;
    text += quoted(user) + (input.ConsumeBool() ? "\t" : " ") + quoted(secret) + "\n";
  }
  const auto file = parse<UserFile>(text);
  require(file && file->size() == users.size());
  for (const auto& [user, secret] : users) {
    require(file->find(user) != nullptr && same(*file->find(user), parse_user_secret(user, secret)));
  }
}

void judge(std::string_view input) {
  const std::size_t end = input.find('\n');
  if (end == std::string_view::npos) return;
  std::istringstream words{std::string(input.substr(0, end))};
  std::string extra;
  Visitor visitor;
  words >> visitor.peer >> visitor.database >> visitor.user;
  while (words >> extra) {
    visitor.tls = visitor.tls || extra == "tls";
    visitor.replication = visitor.replication || is_physical_replication(extra);
  }
  (void)is_local_peer(visitor.peer);
  const std::string_view text = input.substr(end + 1);
  const auto rules = parse<AccessRules>(text);
  if (!rules) return;
  std::optional<AuthenticationMethod> first;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t line_end = std::min(text.find('\n', at), text.size());
    const auto rule = parse<AccessRules>(text.substr(at, line_end - at));
    require(rule && rule->size() <= 1);
    count += rule->size();
    if (!first) first = rule->method_for(visitor);
    at = line_end + 1;
  }
  require(rules->size() == count && rules->method_for(visitor) == first);
}

void read_network(std::string_view text) {
  const auto network = Network::parse(text);
  if (!network) return;
  require(network->address.size() == 4 || network->address.size() == 16);
  require(network->bits <= 8 * network->address.size());
  require(network->contains(network->address));
  std::vector<Byte> other = network->address;
  for (unsigned bit = 0; bit < 8 * other.size(); ++bit) {
    const Byte mask = static_cast<Byte>(0x80U >> (bit % 8));
    other[bit / 8] ^= mask;
    require(network->contains(other) == (bit >= network->bits));
    other[bit / 8] ^= mask;
  }
}

void check_all(std::string_view input) {
  if (input.empty()) return;
  const std::string_view rest = input.substr(1);
  FuzzedDataProvider provider(as_bytes(rest).data(), rest.size());
  switch (input[0]) {
    case 'u':
      (void)parse<UserFile>(rest);
      return;
    case 'w':
      return write_users(provider);
    case 'n':
      return read_network(rest);
    default:
      return judge(rest);
  }
}

}  // namespace
}  // namespace understudy::proxy

// OpenSSL's, in whose place it is linked: the SCRAM secret of a password takes milliseconds, and they tell a
// fuzzer nothing.
extern "C" int PKCS5_PBKDF2_HMAC(const char* password, int password_bytes, const unsigned char*, int, int,
                                 const EVP_MD*, int out_bytes, unsigned char* out) {
  for (int i = 0; i < out_bytes; ++i) {
    out[i] = password_bytes == 0 ? 0 : static_cast<unsigned char>(password[i % password_bytes]);
  }
  return 1;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  understudy::proxy::check_all(understudy::as_text({data, size}));
  return 0;
}
