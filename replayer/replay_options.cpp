#include "replayer/replay_options.h"

namespace understudy::replayer {
namespace {

bool is_replication(const SessionDescriptor& descriptor) {
  const std::string value = descriptor.parameter("replication");
  return !value.empty() && value != "false" && value != "off" && value != "no" && value != "0";
}

}  // namespace

bool ReplayOptions::leaves_out(const SessionDescriptor& session) const {
  return is_replication(session) || session.opened_at < from || session.opened_at > until ||
         (wanted && !wanted(session));
}

}  // namespace understudy::replayer
