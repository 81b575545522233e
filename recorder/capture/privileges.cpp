#include "recorder/capture/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace understudy::recorder {
namespace {

const passwd& user_named(const std::string& name) {
  const passwd* const found = ::getpwnam(name.c_str());
  if (found == nullptr) throw std::runtime_error("there is no user \"" + name + "\" to go on as (--user)");
  return *found;
}

[[noreturn]] void fail(const std::string& doing) {
  throw std::runtime_error(doing + ": " + std::generic_category().message(errno));
}

}  // namespace

std::string user_to_become(const std::string& wanted) {
  if (::geteuid() != 0) {
    if (!wanted.empty()) throw std::runtime_error("only root can go on as another user (--user)");
    return {};
  }
  const char* const caller = std::getenv("SUDO_USER");
  const std::string user = !wanted.empty() ? wanted : caller != nullptr ? caller : "nobody";
  (void)user_named(user);
  return user;
}

void create_for(const std::filesystem::path& directory, const std::string& user) {
  if (std::filesystem::exists(directory)) return;
  std::filesystem::create_directories(directory);
  if (::chmod(directory.c_str(), S_IRWXU) != 0) {
    throw std::system_error(errno, std::generic_category(), directory.string());
  }
  if (user.empty()) return;
  const passwd& owner = user_named(user);
  if (::chown(directory.c_str(), owner.pw_uid, owner.pw_gid) != 0) {
    throw std::system_error(errno, std::generic_category(), directory.string());
  }
}

void drop_privileges(const std::string& user) {
  if (!user.empty() && user != "root") {
    const passwd owner = user_named(user);
    if (::initgroups(user.c_str(), owner.pw_gid) != 0) fail("leaving root's groups");
    if (::setresgid(owner.pw_gid, owner.pw_gid, owner.pw_gid) != 0) fail("becoming the group of " + user);
    if (::setresuid(owner.pw_uid, owner.pw_uid, owner.pw_uid) != 0) fail("becoming the user " + user);
  }
  if (user == "root") return;  // asked for
  // What a file capability gave goes too.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &header, none) != 0) fail("giving up capabilities");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("giving up privileges for good");
}

void check_writable(const std::filesystem::path& directory, const std::string& user) {
  if (user.empty() || ::access(directory.c_str(), R_OK | W_OK | X_OK) == 0) return;
  throw std::runtime_error(directory.string() + ": " + std::generic_category().message(errno) +
                           " for the user " + user +
                           ", as whom it goes on once the interface is open: make the directory that user's "
                           "(chown), name another that does not exist yet, or another user (--user)");
}

}  // namespace understudy::recorder
