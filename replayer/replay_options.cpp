#include "replayer/replay_options.h"

#include "formats/transcript/known_replies.h"

namespace understudy::replayer {
namespace {

bool is_replication(const SessionDescriptor& descriptor) {
  const std::string value = descriptor.parameter("replication");
  return !value.empty() && value != "false" && value != "off" && value != "no" && value != "0";
}

// A client that names no database means the one that is called as its user; a capture that joined a session
// and a log without %d did not see what it named.
bool tells_database(const SessionDescriptor& descriptor) {
  return !descriptor.parameter("database").empty() ||
         (!descriptor.user().empty() && descriptor.attribute(kRepliesAttribute).empty());
}

}  // namespace

std::string ReplayOptions::database_of(const SessionDescriptor& session) const {
  const std::string recorded = session.database();
  const bool is_mapped = mapping_of(databases, recorded) != nullptr;
  return is_mapped || tells_database(session) ? mapped(databases, recorded) : own_database;
}

bool ReplayOptions::leaves_out(const SessionDescriptor& session) const {
  return is_replication(session) || session.opened_at < from || session.opened_at > until ||
         (wanted && !wanted(session));
}

}  // namespace understudy::replayer
