// Both sides of a login against arbitrary messages, and against each other. What is held: nothing crashes;
// nobody is let in without the password; who has it is, whatever its characters; an exchange that somebody
// between has changed comes to nothing.
//
// The input's first byte says who is under test; the rest is lines of text, each a message.
#include <fuzzer/FuzzedDataProvider.h>

#include <charconv>

#include "proxy/authentication.h"
#include "proxy/client_authentication.h"
#include "tests/fuzz/require.h"

namespace understudy::proxy {
namespace {

using Method = AuthenticationMethod;

const ByteBuffer kBinding(32, 7);

const ScramSecret& secret_of_pencil() {
  static const ScramSecret secret = ScramSecret::from_password("pencil", ByteBuffer(16, 3), 1);
  return secret;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (true) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

// The payload of what is one whole message.
ByteView payload_of(const ByteBuffer& message, char type) {
  require(message.size() >= 5 && static_cast<char>(message.front()) == type);
  require(load_be32(message.data() + 1) == message.size() - 1);
  return ByteView(message).subspan(5);
}

void read_secret(std::string_view text) {
  const ByteBuffer bytes(text.begin(), text.end());
  require(from_base64(to_base64(bytes)) == bytes);
  const auto secret = ScramSecret::parse(text);
  if (!secret) return;
  require(secret->iterations > 0 && secret->iterations <= kMaxScramIterations && !secret->salt.empty());
  const auto again = ScramSecret::parse("SCRAM-SHA-256$" + std::to_string(secret->iterations) + ":" +
                                        to_base64(secret->salt) + "$" + to_base64(secret->stored_key) + ":" +
                                        to_base64(secret->server_key));
  require(again && again->salt == secret->salt && again->stored_key == secret->stored_key &&
          again->server_key == secret->server_key && again->iterations == secret->iterations);
}

// mechanism, client-first-message, client-final-messages
void scram_server_hears(const std::vector<std::string_view>& lines, bool bound) {
  if (lines.size() < 2) return;
  ScramServer server(secret_of_pencil(), true, "server", bound ? kBinding : ByteBuffer());
  const ScramServer::Step first = server.first(lines[0], lines[1]);
  require(first.message.empty() != first.error.empty());
  require(first.error.empty() == first.message.starts_with("r="));
  for (std::size_t i = 2; i < lines.size(); ++i) {
    const ScramServer::Step last = server.final(lines[i]);
    require(last.message.empty() && !last.error.empty() && !server.proven());
  }
}

// Rounds of PBKDF2 that would take the fuzzer's time: the client does as many as it is asked for.
bool is_costly(std::string_view challenge) {
  const std::string_view count = scram_attribute(challenge, 'i');
  int rounds = 0;
  std::from_chars(count.data(), count.data() + count.size(), rounds);
  return rounds > 100;
}

// Authentication messages, the first character of each for its code: 'A' is AuthenticationOk.
void client_hears(const std::vector<std::string_view>& lines, bool has_keys, bool bound) {
  ClientAuthenticator client = has_keys ? ClientAuthenticator("ada", ScramKeys{{1}, {2}})
                                        : ClientAuthenticator("ada", std::string("pencil"));
  if (bound) client.bind_to(kBinding);
  for (const std::string_view line : lines) {
    if (!has_keys && is_costly(line)) return;
    ByteBuffer payload;
    if (!line.empty()) append_be32(payload, static_cast<std::uint32_t>(line[0] - 'A'));
    if (!line.empty()) append_bytes(payload, as_bytes(line.substr(1)));
    const ClientAuthenticator::Step step = client.answer(payload);
    require(step.reply.empty() || step.error.empty());
    if (!step.reply.empty()) (void)payload_of(step.reply, 'p');
    if (!step.error.empty()) return;
  }
}

UserSecret secret_kept_as(unsigned kind, const std::string& user, const std::string& password) {
  UserSecret secret;
  const ScramSecret scram = ScramSecret::from_password(password, ByteBuffer(16, 3), 1);
  if (kind == 0) secret.scram = scram;
  if (kind == 1) secret.md5 = "md5" + hex_md5(password, as_bytes(user));
  if (kind == 2) secret.password = password;
  if (kind == 2) secret.scram_of_password = scram;
  return secret;
}

void proxy_hears(const std::vector<std::string_view>& lines, Method method, unsigned kind, bool bound) {
  const UserSecret secret = secret_kept_as(kind, "ada", "pencil");
  ClientAuthentication login(method, "ada", kind == 3 ? nullptr : &secret, bound ? kBinding : ByteBuffer());
  ClientAuthentication::Step step = login.begin();
  require(step.done == (method == Method::kTrust));
  if (step.done) return;
  for (const std::string_view line : lines) {
    if (!step.refused.empty()) break;
    (void)payload_of(step.message, 'R');
    step = login.answer(as_bytes(line));
    require(step.refused.empty() || (!step.done && step.message.empty()));
    if (!step.done) continue;
    require(method == Method::kPassword && kind != 3 && login.password() == "pencil");
    return;
  }
  require(!login.keys());
}

std::string text_of(FuzzedDataProvider& input) {
  std::string text = input.ConsumeRandomLengthString(40);
  std::erase(text, '\0');
  return text;
}

// Our own client at our own door.
void log_in(FuzzedDataProvider& input) {
  const Method method = input.PickValueInArray({Method::kPassword, Method::kMd5, Method::kScram});
  const unsigned kind = input.ConsumeIntegralInRange(0U, 2U);
  const bool wrong = input.ConsumeBool();
  const ByteBuffer binding = input.ConsumeBool() ? kBinding : ByteBuffer();
  const std::string user = text_of(input);
  const std::string password = "p" + text_of(input);
  const UserSecret secret = secret_kept_as(kind, user, password);
  ClientAuthentication proxy(method, user, &secret, binding);
  ClientAuthenticator client(user, wrong ? password + "x" : password);
  client.bind_to(binding);
  ClientAuthentication::Step said = proxy.begin();
  while (said.refused.empty() && !said.message.empty()) {
    const ClientAuthenticator::Step answer = client.answer(payload_of(said.message, 'R'));
    require(answer.error.empty());
    if (said.done) break;
    said = proxy.answer(payload_of(answer.reply, 'p'));
  }
  // SCRAM cannot be done with an md5 hash.
  const bool in = !wrong && !(method == Method::kScram && kind == 1);
  require(said.done == in && said.refused.empty() == in);
  require(proxy.keys().has_value() ==
          (in && (method == Method::kScram || (method == Method::kMd5 && kind == 0))));
}

// Somebody between them changes a byte of one message.
void tamper(FuzzedDataProvider& input) {
  const unsigned which = input.ConsumeIntegralInRange(0U, 3U);
  const std::size_t at = input.ConsumeIntegral<std::uint16_t>();
  const char value = input.ConsumeIntegral<char>();
  bool changed = false;
  const auto pass = [&](unsigned number, std::string message) {
    if (number == which) changed = message[at % message.size()] != value;
    if (number == which) message[at % message.size()] = value;
    return message;
  };
  const bool bound = input.ConsumeBool();
  ScramServer server(secret_of_pencil(), true, "server", bound ? kBinding : ByteBuffer());
  ScramClient client("pencil", "client");
  if (bound) client.bind_to(kBinding);
  const auto first =
      server.first(bound ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", pass(0, client.first_message()));
  if (!first.error.empty()) return require(changed);
  const std::string challenge = pass(1, first.message);
  if (is_costly(challenge)) return;
  std::string error;
  const std::string answer = client.final_message(challenge, error);
  if (!error.empty()) return require(changed);
  const std::string arrived = pass(2, answer);
  const auto last = server.final(arrived);
  if (!last.error.empty()) return require(changed && !server.proven());
  const bool verified = client.verify(pass(3, last.message));
  // Of the proof's last character two bits say nothing.
  const auto proof_of = [](const std::string& text) { return from_base64(scram_attribute(text, 'p')); };
  const bool as_sent = !changed || (which == 2 && proof_of(arrived) == proof_of(answer));
  require(server.proven() && verified == as_sent);
}

void check_all(std::string_view input) {
  if (input.size() < 2) return;
  const char choice = input[1];
  const std::string_view rest = input.substr(2);
  FuzzedDataProvider provider(as_bytes(rest).data(), rest.size());
  const bool one = (choice & 1) != 0;
  switch (input[0]) {
    case 'k':
      return read_secret(rest);
    case 's':
      return scram_server_hears(lines_of(rest), one);
    case 'c':
      return client_hears(lines_of(rest), one, (choice & 2) != 0);
    case 'l':
      return log_in(provider);
    case 't':
      return tamper(provider);
    default:
      return proxy_hears(lines_of(rest), static_cast<Method>((choice >> 3 & 7) % 5), choice >> 1 & 3, one);
  }
}

}  // namespace
}  // namespace understudy::proxy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  understudy::proxy::check_all(understudy::as_text({data, size}));
  return 0;
}
