// One worker: a thread, its event loop, and the sessions that live on it from accept to end.
//
// Threads: constructed and destroyed by Proxy's owner; start_drain, stop and reload post; the rest is for the
// worker's own thread (or before it starts).
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "proxy/client_session.h"
#include "proxy/in_process_client.h"
#include "proxy/listener.h"
#include "proxy/session_context.h"

namespace understudy::proxy {

class Worker final : private RunnableOwner {
 public:
  // `drained` is called on the worker's thread, once, when it was asked to drain and its last session ended.
  Worker(unsigned index, ProxyShared& shared, const Limits& limits, std::function<void()> drained);
  ~Worker() override;

  void start();
  // Begins to accept from `descriptor`; `place` chooses the worker a new client lives on.
  void listen(int descriptor, std::function<Worker&(Worker& acceptor)> place);

  [[nodiscard]] EventLoop& loop() { return loop_; }
  [[nodiscard]] unsigned index() const { return context_.worker_index; }
  // Sessions living here; any thread.
  [[nodiscard]] std::uint32_t session_count() const { return session_count_.load(std::memory_order_relaxed); }

  // A new session whose client is at the other end of `connection`. The worker owns it; the reference is good
  // until the connection is closed.
  ClientSession& adopt(std::unique_ptr<Connection> connection, AdoptOptions options = {});

  // Any thread: no new clients; sessions end as they become idle.
  void start_drain();
  // Any thread: every session ends now, then the thread; at the latest some seconds later, if a server does
  // not take its cancel.
  void stop();
  void reload(const Limits& limits);
  // Any thread: sessions look again whether the proxy is paused.
  void pause_changed();
  // Any thread: sessions are shown to a recording that has begun, or no longer to one that has ended.
  void recording_began(std::shared_ptr<JoinTally> tally);
  void recording_ended();
  // Any thread; `done` is called on the worker's, unless that has ended.
  void tally(std::function<void(SessionTally)> done);
  void list_sessions(std::function<void(std::vector<SessionStatus>)> done);
  // Of requests answered here; any thread.
  [[nodiscard]] LatencyCounts latency() const { return latency_.counts(); }
  // Any thread: sessions look at the topology again.
  void topology_changed();
  void join();

 private:
  void stop_listening();
  void keep(std::unique_ptr<Runnable> runnable) override;
  void ended(Runnable& runnable) override;
  void session_cancelled(std::uint32_t number, bool sent) override;
  void session_cancel_taken(std::uint32_t number) override;
  void session_called(std::uint32_t number) override;
  void sweep();
  void end_streams();
  void check_drained();
  void end_now(ClientSession& session, const std::string& why);
  void check_stopped();
  [[nodiscard]] std::vector<ClientSession*> present_sessions() const;

  EventLoop loop_;
  ByteBuffer scratch_;
  StatementTraitsCache traits_;
  LatencyHistogram latency_;
  SessionContext context_;
  std::function<void()> drained_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_map<Runnable*, std::unique_ptr<Runnable>> runnables_;
  std::unordered_map<std::uint32_t, ClientSession*> sessions_;  // borrowed of runnables_, by number
  std::atomic<std::uint32_t> session_count_{0};
  TimeNs drain_deadline_ = 0;
  bool only_streams_ = false;  // left to drain
  unsigned last_cancels_ = 0;  // of sessions that were ended, on their way
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace understudy::proxy
