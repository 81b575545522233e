// A TlsConnection at both ends of a socket pair: what must hold when bytes come in pieces, or do not leave.
#include "proxy/tls_connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>

#include "proxy/socket_connection.h"
#include "proxy/tls_context.h"

namespace understudy::proxy {
namespace {

// A self-signed certificate and its key, in files that are removed with it.
class Papers {
 public:
  Papers() : directory_(std::filesystem::temp_directory_path() / ("us-tls-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(directory_);
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    X509* const certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME* const name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const Byte*>("here"), -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    write("certificate", [&](FILE* file) { PEM_write_X509(file, certificate); });
    write("key", [&](FILE* file) { PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr); });
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~Papers() { std::filesystem::remove_all(directory_); }
  Papers(const Papers&) = delete;
  Papers& operator=(const Papers&) = delete;
  [[nodiscard]] std::string certificate() const { return directory_ / "certificate"; }
  [[nodiscard]] std::string key() const { return directory_ / "key"; }

 private:
  template <typename Writer>
  void write(const char* name, Writer writer) {
    FILE* const file = std::fopen((directory_ / name).c_str(), "w");
    writer(file);
    std::fclose(file);
  }
  std::filesystem::path directory_;
};

class TlsConnectionTest : public ::testing::Test {
 protected:
  TlsConnectionTest() {
    TlsSettings settings;
    settings.clients.certificate_file = papers_.certificate();
    settings.clients.key_file = papers_.key();
    settings.servers.mode = ServerTlsMode::kVerifyCa;
    settings.servers.ca_file = papers_.certificate();
    contexts_ = load_tls(settings);
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    near_ = contexts_.clients->accept(std::make_unique<SocketConnection>(ends[0], "near", SocketOptions{}),
                                      false);
    far_ = contexts_.servers->connect(std::make_unique<SocketConnection>(ends[1], "far", SocketOptions{}),
                                      "here");
  }

  void shake_hands() {
    std::array<Byte, 16> nothing{};
    for (int turn = 0; turn < 10 && !(near_->established() && far_->established()); ++turn) {
      (void)far_->handshake();
      EXPECT_EQ(near_->read(nothing).status, IoStatus::kWouldBlock);
    }
    ASSERT_TRUE(near_->established() && far_->established()) << near_->error_text() << far_->error_text();
  }
  [[nodiscard]] bool readable(const Connection& connection) const {
    pollfd watched{connection.descriptor(), POLLIN, 0};
    return poll(&watched, 1, 0) == 1;
  }

  Papers papers_;
  TlsContexts contexts_;
  std::unique_ptr<TlsConnection> near_;
  std::unique_ptr<TlsConnection> far_;
};

TEST_F(TlsConnectionTest, NothingCanBeWrittenBeforeTheHandshakeIsDone) {
  EXPECT_EQ(near_->write(as_bytes("FATAL")).status, IoStatus::kClosed);
  shake_hands();
  EXPECT_EQ(near_->write(as_bytes("hello")).written, 5U);
}

TEST_F(TlsConnectionTest, WhatOpenSslHoldsIsSaidToBeHeldAndIsReadThoughTheSocketIsSilent) {
  shake_hands();
  const ByteBuffer sent(50'000, Byte{'x'});
  ASSERT_EQ(far_->write(sent).written, sent.size());
  std::array<Byte, 1000> scratch{};
  std::size_t received = 0;
  bool silent_and_held = false;
  while (received < sent.size()) {
    ASSERT_TRUE(near_->holds_bytes() || readable(*near_)) << received << " bytes came, the rest is lost";
    silent_and_held = silent_and_held || (near_->holds_bytes() && !readable(*near_));
    const ReadResult result = near_->read(scratch);
    ASSERT_EQ(result.status, IoStatus::kOk);
    EXPECT_EQ(result.more, near_->holds_bytes());
    received += result.bytes.size();
  }
  EXPECT_TRUE(silent_and_held);
  EXPECT_FALSE(near_->holds_bytes());
}

TEST_F(TlsConnectionTest, PartOfARecordIsNotHeldElseItWouldBeAskedForInABusyLoop) {
  // What crosses is cut in two by a relay in the middle: raw sockets, TLS at both outer ends.
  std::array<int, 2> left{};
  std::array<int, 2> right{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, left.data()), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, right.data()), 0);
  near_ =
      contexts_.clients->accept(std::make_unique<SocketConnection>(left[0], "near", SocketOptions{}), false);
  far_ = contexts_.servers->connect(std::make_unique<SocketConnection>(right[0], "far", SocketOptions{}),
                                    "here");
  SocketConnection near_wire(left[1], "", {});
  SocketConnection far_wire(right[1], "", {});
  std::array<Byte, 65536> wire{};
  std::array<Byte, 65536> scratch{};
  for (int turn = 0; turn < 10 && !(near_->established() && far_->established()); ++turn) {
    (void)far_->handshake();
    (void)near_wire.write(far_wire.read(wire).bytes);
    (void)near_->read(scratch);
    (void)far_wire.write(near_wire.read(wire).bytes);
  }
  ASSERT_TRUE(near_->established() && far_->established());
  ASSERT_EQ(far_->write(as_bytes("a record")).written, 8U);
  const ByteView record = far_wire.read(wire).bytes;
  for (std::size_t at = 0; at < record.size(); ++at) {
    EXPECT_EQ(near_->read(scratch).status, IoStatus::kWouldBlock);
    EXPECT_FALSE(near_->holds_bytes());
    ASSERT_EQ(near_wire.write(record.subspan(at, 1)).written, 1U);
  }
  EXPECT_EQ(as_text(near_->read(scratch).bytes), "a record");
}

TEST_F(TlsConnectionTest, WhatDidNotLeaveCanBeOfferedAgainFromElsewhere) {
  shake_hands();
  ByteBuffer pending(4'000'000);
  for (std::size_t i = 0; i < pending.size(); ++i) pending[i] = static_cast<Byte>(i % 251);
  const ByteBuffer whole = pending;
  ByteBuffer received;
  ByteBuffer scratch(100'000);
  bool was_full = false;
  while (received.size() < whole.size()) {
    const WriteResult result = far_->write(pending);
    ASSERT_TRUE(result.status == IoStatus::kOk || result.status == IoStatus::kWouldBlock);
    was_full = was_full || result.written < pending.size();
    pending = ByteBuffer(pending.begin() + static_cast<std::ptrdiff_t>(result.written), pending.end());
    const ReadResult read = near_->read(scratch);
    ASSERT_TRUE(read.status == IoStatus::kOk || read.status == IoStatus::kWouldBlock);
    append_bytes(received, read.bytes);
  }
  EXPECT_TRUE(was_full);
  EXPECT_EQ(received, whole);
}

TEST_F(TlsConnectionTest, AFarewellIsTheEndAfterTheLastBytes) {
  shake_hands();
  ASSERT_EQ(far_->write(as_bytes("last words")).written, 10U);
  far_->shutdown_write();
  std::array<Byte, 100> scratch{};
  EXPECT_EQ(as_text(near_->read(scratch).bytes), "last words");
  EXPECT_TRUE(near_->holds_bytes() || readable(*near_));
  EXPECT_EQ(near_->read(scratch).status, IoStatus::kClosed);
}

TEST_F(TlsConnectionTest, ChangedBytesAreAnErrorNotAnEnd) {
  shake_hands();
  const std::string_view nonsense{"\x17\x03\x03\x00\x20 thirty-two bytes of no ciphertext", 37};
  ASSERT_EQ(send(far_->descriptor(), nonsense.data(), nonsense.size(), 0), 37);
  std::array<Byte, 100> scratch{};
  EXPECT_EQ(near_->read(scratch).status, IoStatus::kError);
  EXPECT_NE(near_->error_text(), "");
  EXPECT_EQ(near_->read(scratch).status, IoStatus::kError);
  EXPECT_EQ(near_->write(as_bytes("x")).status, IoStatus::kClosed);
}

TEST_F(TlsConnectionTest, AFailedHandshakeSaysWhy) {
  ASSERT_EQ(send(far_->descriptor(), "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
  std::array<Byte, 100> scratch{};
  EXPECT_EQ(near_->read(scratch).status, IoStatus::kError);
  EXPECT_EQ(near_->error_text(), "TLS handshake failed: http request");
}

TEST_F(TlsConnectionTest, AnAlertBehindWhichThePeerClosedIsHeardWhenAWriteFails) {
  shake_hands();
  // Nonsense makes the near end send an alert; then it is gone, before the far end has read a thing.
  ASSERT_EQ(send(far_->descriptor(), "\x17\x03\x03\x00\x11 no ciphertext ..", 22, 0), 22);
  std::array<Byte, 100> scratch{};
  EXPECT_EQ(near_->read(scratch).status, IoStatus::kError);
  near_ = nullptr;
  EXPECT_EQ(far_->write(as_bytes("SELECT 1")).status, IoStatus::kClosed);
  EXPECT_EQ(far_->error_text(), "TLS: sslv3 alert bad record mac");
}

TEST_F(TlsConnectionTest, BothEndsBindTheChannelToTheSameCertificate) {
  shake_hands();
  EXPECT_EQ(near_->server_end_point().size(), 32U);
  EXPECT_EQ(near_->server_end_point(), far_->server_end_point());
  EXPECT_EQ(far_->peer_common_name(), "here");
  EXPECT_EQ(near_->peer_common_name(), "");
  EXPECT_EQ(far_->peer_distinguished_name(), "CN=here");
  EXPECT_EQ(near_->peer_distinguished_name(), "");
  EXPECT_EQ(near_->version(), "TLSv1.3");
}

}  // namespace
}  // namespace understudy::proxy
