// All TCP connections that are seen, by their two ends. Bounded: the one silent for longest makes room, and
// those that are over or never said anything go first. One thread at a time.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "formats/capture/tcp_connection.h"

namespace understudy::capture {

class ConnectionTable {
 public:
  // All borrowed, and must outlive it.
  ConnectionTable(ConversationFactory& factory, const ReassemblyOptions& options, ReassemblyCounts& counts);
  ~ConnectionTable();
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  void take(const IpAddress& source, const IpAddress& destination, const TcpSegment& segment, TimeNs now);
  // What time brings: holes that were waited for in vain, connections that are over.
  void tick(TimeNs now);
  // The capture ends: so does every connection.
  void finish(TimeNs now);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry;
  using Entries = std::unordered_map<Flow, std::unique_ptr<Entry>>;
  using Order = std::list<Entry*>;  // silent for longest first
  // In the order in which they are given up when there are too many.
  enum Kind : std::size_t { kDisposable, kTalking, kKinds };

  Entry* find(const Flow& flow);
  Entry* open(const Flow& flow, Side from, const TcpSegment& segment, TimeNs now);
  void make_room(TimeNs now);
  void touch(Entry& entry, TimeNs now);
  void remove(Entry& entry);

  ConversationFactory& factory_;
  const ReassemblyOptions& options_;
  ReassemblyCounts& counts_;
  ReassemblyMemory memory_;
  Entries entries_;
  Order orders_[kKinds];
  std::vector<Entry*> stalled_;  // in the order in which they stalled
  Entry* last_ = nullptr;        // of the packet before: the next is often its too
};

}  // namespace understudy::capture
