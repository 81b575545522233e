#include "proxy/name_lookup.h"

#include <arpa/inet.h>

#include <chrono>
#include <stdexcept>

namespace understudy::proxy {
namespace {

constexpr std::chrono::seconds kInterval{15};

bool is_name(const Address& address) {
  in6_addr number;
  return !address.is_unix() && inet_pton(AF_INET, address.host.c_str(), &number) != 1 &&
         inet_pton(AF_INET6, address.host.c_str(), &number) != 1;
}

}  // namespace

NameLookup::NameLookup(const std::vector<Address>& backends, Found found) : found_(std::move(found)) {
  for (std::size_t i = 0; i < backends.size(); ++i) {
    (is_name(backends[i]) ? names_ : numbers_).emplace(i, backends[i]);
  }
}

NameLookup::~NameLookup() { stop(); }

void NameLookup::start() {
  for (const auto& [index, address] : numbers_) found_(index, address, resolve(address, false), {});
  if (!names_.empty()) thread_ = std::thread([this] { look_up_names(); });
}

void NameLookup::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stopping_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void NameLookup::set(std::size_t index, const Address& address) {
  if (!is_name(address)) {
    forget(index);
    return look_up(index, address);
  }
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  names_.insert_or_assign(index, address);
  changed_ = true;
  stopping_.notify_all();
  if (!thread_.joinable()) thread_ = std::thread([this] { look_up_names(); });
}

void NameLookup::forget(std::size_t index) {
  const std::lock_guard lock(mutex_);
  names_.erase(index);
}

void NameLookup::look_up(std::size_t index, const Address& address) {
  try {
    found_(index, address, resolve(address, false), {});
  } catch (const std::runtime_error& error) {
    found_(index, address, {}, error.what());
  }
}

void NameLookup::look_up_names() {
  std::unique_lock lock(mutex_);
  do {
    changed_ = false;
    const std::map<std::size_t, Address> names = names_;
    for (const auto& [index, address] : names) {
      if (stopped_) return;
      lock.unlock();
      look_up(index, address);
      lock.lock();
    }
    stopping_.wait_for(lock, kInterval, [this] { return stopped_ || changed_; });
  } while (!stopped_);
}

}  // namespace understudy::proxy
