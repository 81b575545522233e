// How OpenSSL reaches a non-blocking socket: a BIO whose reads are rationed. One read of a connection makes
// one recv(), as a plain socket's does, so OpenSSL never asks a socket it has just emptied, and a peer that
// sends fast cannot keep a worker busy with one session.
//
// Owned by a TlsConnection; used on its worker.
#pragma once

#include <cstddef>

struct bio_st;

namespace understudy::proxy {

struct TlsTransport {
  int descriptor = -1;
  unsigned receives_left = 0;  // further ones are answered "would block"
  bool filled = false;         // the last recv() brought as much as was asked for
  bool ended = false;          // end-of-file was read
  int error = 0;               // errno of what failed for good
};

// Null when there is no memory. `transport` must outlive the BIO.
[[nodiscard]] bio_st* make_transport_bio(TlsTransport& transport);

}  // namespace understudy::proxy
