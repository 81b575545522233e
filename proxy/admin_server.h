// The admin port: HTTP in front of AdminService. A few threads of its own, which share nothing with the
// workers' path; whoever connects holds one for a bounded time, whatever it sends or does not send.
//
// Construct, start and destroy on one thread; destroy before the proxy's stop().
#pragma once

#include <memory>
#include <string>

#include "proxy/admin_service.h"
#include "proxy/admin_settings.h"
#include "proxy/login_guard.h"

namespace understudy::proxy {

class AdminServer {
 public:
  // Binds; answers from start() on. Throws std::runtime_error: an address that cannot be used, or one that
  // others than this machine reach, without a token.
  AdminServer(const AdminSettings& settings, const LoginGuardSettings& guard, Proxy& proxy,
              std::function<AdminService::Reloaded()> reload, AdminService::Recording recording = {});
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  void start();
  // "127.0.0.1:6433", with the port the kernel chose.
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  struct Http;  // Poco's

  AdminService service_;
  std::string address_;
  std::unique_ptr<Http> http_;
};

}  // namespace understudy::proxy
