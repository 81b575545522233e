// TLS sessions of OpenSSL with itself, read from outside with the secrets it logs.
#include "recorder/capture/tls_conversation.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <fstream>
#include <random>

#include "tests/recorder/support.h"

namespace understudy::recorder {
namespace {

template <auto kFree>
struct With {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, With<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, With<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, With<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, With<SSL_free>>;

std::string logged;  // by OpenSSL's callback, which knows no other place

struct Suite {
  int version;
  const char* name;
};

// Two ends in memory, and what passes between them.
class TwoEnds {
 public:
  struct Piece {
    Direction from;
    std::string bytes;
  };
  std::vector<Piece> passed;

  explicit TwoEnds(const Suite& suite) : key_(EVP_EC_gen("P-256")), context_(SSL_CTX_new(TLS_method())) {
    logged.clear();
    SSL_CTX_set_min_proto_version(context_.get(), suite.version);
    SSL_CTX_set_max_proto_version(context_.get(), suite.version);
    const bool tls13 = suite.version == TLS1_3_VERSION;
    EXPECT_EQ(tls13 ? SSL_CTX_set_ciphersuites(context_.get(), suite.name)
                    : SSL_CTX_set_cipher_list(context_.get(), suite.name),
              1);
    SSL_CTX_set_keylog_callback(context_.get(),
                                [](const SSL*, const char* line) { logged += std::string(line) + "\n"; });
    make_certificate();
    client_ = make(true);
    server_ = make(false);
    for (int rounds = 0; rounds < 10; ++rounds) {
      (void)SSL_do_handshake(client_.get());
      carry();
      (void)SSL_do_handshake(server_.get());
      carry();
    }
    EXPECT_EQ(SSL_is_init_finished(client_.get()) + SSL_is_init_finished(server_.get()), 2);
  }

  void say(Direction from, const std::string& text) {
    SSL* const end = from == Direction::kFromClient ? client_.get() : server_.get();
    EXPECT_EQ(SSL_write(end, text.data(), static_cast<int>(text.size())), static_cast<int>(text.size()));
    carry();
    char heard[1 << 16];
    SSL* const other = from == Direction::kFromClient ? server_.get() : client_.get();
    while (SSL_read(other, heard, sizeof heard) > 0) {
    }
    carry();
  }
  void update_keys(Direction from) {
    SSL_key_update(from == Direction::kFromClient ? client_.get() : server_.get(), SSL_KEY_UPDATE_REQUESTED);
  }

 private:
  void make_certificate() {
    const Certificate certificate(X509_new());
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key_.get());
    X509_sign(certificate.get(), key_.get(), EVP_sha256());
    SSL_CTX_use_certificate(context_.get(), certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), key_.get());
  }
  Session make(bool client) {
    Session session(SSL_new(context_.get()));
    SSL_set_bio(session.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    client ? SSL_set_connect_state(session.get()) : SSL_set_accept_state(session.get());
    return session;
  }
  void carry() {
    for (const Direction from : {Direction::kFromClient, Direction::kFromServer}) {
      SSL* const sender = from == Direction::kFromClient ? client_.get() : server_.get();
      SSL* const receiver = from == Direction::kFromClient ? server_.get() : client_.get();
      char bytes[1 << 16];
      for (int size = 0; (size = BIO_read(SSL_get_wbio(sender), bytes, sizeof bytes)) > 0;) {
        BIO_write(SSL_get_rbio(receiver), bytes, size);
        passed.push_back({from, std::string(bytes, static_cast<std::size_t>(size))});
      }
    }
  }

  Key key_;
  Context context_;
  Session client_;
  Session server_;
};

// "c:..." and "s:...", what one says in a row is one.
std::string heard(const TwoEnds& ends, TlsKeyLog& keys, std::string* reason = nullptr) {
  TlsConversation conversation(keys);
  std::mt19937 random(1);
  std::string talk;
  Direction last = Direction::kFromServer;
  const auto sink = [&](Direction from, ByteView data) {
    if (talk.empty() || from != last) talk += from == Direction::kFromClient ? "c:" : "s:";
    last = from;
    talk += as_text(data);
  };
  for (const TwoEnds::Piece& piece : ends.passed) {
    for (std::size_t at = 0; at < piece.bytes.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 700, piece.bytes.size() - at);
      if (!conversation.take(piece.from, as_bytes(std::string_view(piece.bytes).substr(at, size)), sink)) {
        if (reason != nullptr) *reason = conversation.reason();
        return talk;
      }
      at += size;
    }
  }
  return talk;
}

std::string talk_over(TwoEnds& ends) {
  const std::string long_text(50'000, 'x');
  ends.say(Direction::kFromClient, "ask");
  ends.say(Direction::kFromServer, "answer");
  ends.say(Direction::kFromClient, long_text);
  ends.update_keys(Direction::kFromServer);
  ends.say(Direction::kFromServer, "with other keys");
  ends.say(Direction::kFromClient, "with other keys too");
  return "c:asks:answerc:" + long_text + "s:with other keysc:with other keys too";
}

constexpr Suite kSuites[] = {
    {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
    {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},  {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"}, {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

TEST(TlsConversationTest, WithItsSecretsASessionIsReadInEverySuite) {
  for (const Suite& suite : kSuites) {
    SCOPED_TRACE(suite.name);
    TwoEnds ends(suite);
    const std::string expected = talk_over(ends);
    TlsKeyLog keys;
    keys.add("# a comment\nnonsense\n" + logged);
    EXPECT_TRUE(heard(ends, keys) == expected);
  }
}

TEST(TlsConversationTest, SecretsMayComeLaterThanThePackets) {
  TwoEnds ends(kSuites[0]);
  const std::string expected = talk_over(ends);
  TemporaryDirectory directory;
  const auto file = directory.path() / "keys";
  std::ofstream log(file);
  log << logged.substr(0, 30) << std::flush;
  TlsKeyLog keys(file);
  TlsConversation conversation(keys);
  std::string talk;
  const auto sink = [&](Direction, ByteView data) { talk += as_text(data); };
  const std::size_t half = ends.passed.size() / 2;
  for (std::size_t n = 0; n < ends.passed.size(); ++n) {
    if (n == half) {
      EXPECT_EQ(talk, "");
      log << logged.substr(30) << std::flush;
    }
    EXPECT_TRUE(conversation.take(ends.passed[n].from, as_bytes(ends.passed[n].bytes), sink));
  }
  EXPECT_TRUE(talk.ends_with("with other keys too"));
}

TEST(TlsConversationTest, WhatCannotBeReadSaysWhy) {
  std::string reason;
  TlsKeyLog none;
  TwoEnds without(kSuites[1]);
  without.say(Direction::kFromClient, std::string(2'000'000, 'x'));
  EXPECT_EQ(heard(without, none, &reason), "");
  EXPECT_EQ(reason, "TLS, no key");

  TwoEnds other(kSuites[1]);
  other.say(Direction::kFromClient, "ask");
  std::string wrong = logged;
  for (std::size_t line = wrong.find('\n'); line != std::string::npos; line = wrong.find('\n', line + 1)) {
    wrong[line - 1] = wrong[line - 1] == '0' ? '1' : '0';
  }
  TlsKeyLog misfit;
  misfit.add(wrong);
  EXPECT_EQ(heard(other, misfit, &reason), "");
  EXPECT_EQ(reason, "TLS, and the key does not fit");

  TwoEnds cbc({TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256"});
  TlsKeyLog keys;
  keys.add(logged);
  EXPECT_EQ(heard(cbc, keys, &reason), "");
  EXPECT_EQ(reason, "TLS, with cipher suite 0xC023, which is not read");
}

TEST(TlsConversationTest, ATamperedRecordEndsIt) {
  TwoEnds ends(kSuites[0]);
  (void)talk_over(ends);
  TlsKeyLog keys;
  keys.add(logged);
  std::string reason;
  ends.passed.back().bytes.back() ^= 1;
  EXPECT_TRUE(heard(ends, keys, &reason).ends_with("with other keys"));
  EXPECT_EQ(reason, "TLS, and the key does not fit");
}

TEST(TlsConversationTest, WhatStandsBeforeDamageInOnePieceIsRead) {
  TwoEnds ends(kSuites[0]);
  ends.say(Direction::kFromClient, "ask");
  ASSERT_EQ(ends.passed.back().from, Direction::kFromClient);
  ends.passed.back().bytes += std::string("\x07\x03\x03\0\0", 5);
  TlsKeyLog keys;
  keys.add(logged);
  TlsConversation conversation(keys);
  std::string talk;
  const auto sink = [&](Direction, ByteView data) { talk += as_text(data); };
  for (const TwoEnds::Piece& piece : ends.passed) {
    const bool last = &piece == &ends.passed.back();
    EXPECT_EQ(conversation.take(piece.from, as_bytes(piece.bytes), sink), !last);
  }
  EXPECT_EQ(talk, "ask");
  EXPECT_EQ(conversation.reason(), "TLS, damaged");
}

}  // namespace
}  // namespace understudy::recorder
