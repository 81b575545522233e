// Asks Patroni who belongs to the cluster and who leads it, again and again: one endpoint after the other
// until one answers, which is then asked first the next time.
//
//     look(), or `interval` after the last -> GET /cluster -> told -> [GET /history -> told] -> rest
//                                                 +-> failed: the next endpoint; when all have: rest
//
// Owned by the BackendMonitor; used on its event loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/http_question.h"
#include "proxy/name_lookup.h"
#include "proxy/patroni_answer.h"
#include "proxy/patroni_settings.h"

namespace understudy::proxy {

class PatroniWatch {
 public:
  struct Listener {
    std::function<void(const PatroniCluster&)> answered;
    std::function<void(std::vector<TimelineSwitch>)> history;
    // None of them has answered, several times in a row; said once, until one does.
    std::function<void(std::string why)> silent;
  };

  // Throws std::runtime_error naming a file of certificates that cannot be used.
  PatroniWatch(EventLoop& loop, const PatroniSettings& settings, Listener listener);
  ~PatroniWatch();

  // From the thread that made it, before the loop runs. Throws as NameLookup::start() does.
  void start();
  void stop_lookup() { lookup_.stop(); }
  // Something happened: asks at once, or once more after the question under way. Cheap to call often.
  void look();

 private:
  struct Endpoint {
    PatroniEndpoint where;
    std::vector<SocketAddress> addresses;
    std::string error;  // of the last question; empty: it answered, or was not asked
  };

  void looked_up(std::size_t endpoint, std::vector<SocketAddress> addresses);
  void begin();
  void ask(const std::string& path);
  void answered(const HttpReply& reply);
  void take_cluster(const std::string& json);
  void take_history(const std::string& json);
  void failed(std::string why);
  void rest(TimeNs pause);
  [[nodiscard]] std::string errors() const;

  EventLoop& loop_;
  const PatroniSettings settings_;
  const Listener listener_;
  std::shared_ptr<const ServerTls> tls_;  // null where no endpoint is https
  std::vector<Endpoint> endpoints_;
  NameLookup lookup_;
  HttpQuestion question_;
  EventLoop::TimerId timer_ = 0;
  std::size_t current_ = 0;  // endpoint
  std::size_t tried_ = 0;    // endpoints, in this round
  unsigned failed_rounds_ = 0;
  TimeNs began_ = 0;  // this round
  bool asks_history_ = false;
  bool again_ = false;
  std::uint32_t leader_timeline_ = 0;
  std::uint32_t history_up_to_ = 0;  // the timeline whose history is known
};

}  // namespace understudy::proxy
