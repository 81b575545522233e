#include "proxy/tls_transport.h"

#include <openssl/bio.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace understudy::proxy {
namespace {

TlsTransport& transport_of(BIO* bio) { return *static_cast<TlsTransport*>(BIO_get_data(bio)); }

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

int receive(BIO* bio, char* into, std::size_t size, std::size_t* received) {
  TlsTransport& transport = transport_of(bio);
  BIO_clear_retry_flags(bio);
  *received = 0;
  if (transport.receives_left == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  --transport.receives_left;
  const ssize_t count = recv(transport.descriptor, into, size, 0);
  if (count > 0) {
    *received = static_cast<std::size_t>(count);
    transport.filled = *received == size;
    return 1;
  }
  transport.filled = false;
  if (count == 0) {
    transport.ended = true;
  } else if (would_block(errno)) {
    BIO_set_retry_read(bio);
  } else {
    transport.error = errno;
  }
  return 0;
}

int transmit(BIO* bio, const char* from, std::size_t size, std::size_t* sent) {
  TlsTransport& transport = transport_of(bio);
  BIO_clear_retry_flags(bio);
  *sent = 0;
  const ssize_t count = send(transport.descriptor, from, size, MSG_NOSIGNAL);
  if (count >= 0) {
    *sent = static_cast<std::size_t>(count);
    return 1;
  }
  if (would_block(errno)) {
    BIO_set_retry_write(bio);
  } else {
    transport.error = errno;
  }
  return 0;
}

long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return transport_of(bio).ended ? 1 : 0;
  return 0;
}

BIO_METHOD* make_method() {
  BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "understudy socket");
  if (method == nullptr) return nullptr;
  BIO_meth_set_read_ex(method, receive);
  BIO_meth_set_write_ex(method, transmit);
  BIO_meth_set_ctrl(method, control);
  return method;
}

}  // namespace

bio_st* make_transport_bio(TlsTransport& transport) {
  static BIO_METHOD* const method = make_method();  // one for the process, as OpenSSL's own are
  BIO* const bio = method == nullptr ? nullptr : BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, &transport);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace understudy::proxy
