// How long a connection of the admin port may take: Poco's time-outs are for one read, so a client that sends
// a byte now and then would hold a thread for ever. A thread that serves a connection holds a Lease; when its
// time is over the connection is shut down, and the thread's next read or write ends.
//
// Where all threads are held and somebody waits for one, a request that is not whole yet has kLeastToAsk
// only: the oldest such connections end, as many as there are that wait.
//
// Any thread.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "formats/transcript/event.h"

namespace understudy::proxy {

class AdminConnections {
 public:
  // So many may wait for a thread at once.
  static constexpr std::size_t kMostWaiting = 32;

  // From its turn to the request's last byte, while others wait.
  static constexpr TimeNs kLeastToAsk = 200'000'000;

  // For a server of so many threads.
  explicit AdminConnections(std::size_t threads);
  ~AdminConnections();
  AdminConnections(const AdminConnections&) = delete;
  AdminConnections& operator=(const AdminConnections&) = delete;

  // A connection was accepted and waits for a thread; `key` names it until then. False: too many wait. The
  // descriptor is taken here, on the thread that accepts: later it could only be had of an object that Poco's
  // threads share.
  [[nodiscard]] bool admit(const void* key, int descriptor);

  // For the calling thread, which has one at a time.
  class Lease {
   public:
    Lease(AdminConnections& connections, const void* key, TimeNs time);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

   private:
    AdminConnections& connections_;
  };
  // The request is whole; the calling thread's connection may take so long from now on.
  void extend(TimeNs time);
  // Every connection ends, those to come too.
  void stop();

 private:
  struct Entry {
    int descriptor;  // a duplicate of our own: the connection's may be closed, and its number used again
    TimeNs until;
    TimeNs asks_since;  // 0: its request is whole, or it was shut down for those who wait
  };
  void watch();
  void make_room(TimeNs now);

  const std::size_t threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<const void*, Entry> waiting_;
  std::map<std::thread::id, Entry> entries_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace understudy::proxy
