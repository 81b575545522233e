#include "formats/capture/connection_table.h"

#include <algorithm>

namespace understudy::capture {
namespace {

// So long a connection that is over is remembered, for what is sent again; and one that says nothing.
constexpr TimeNs kDisposableAge = 60'000'000'000;

}  // namespace

struct ConnectionTable::Entry {
  Entry(const Flow& its_flow, std::unique_ptr<ConversationListener> its_listener,
        const ReassemblyOptions& options, ReassemblyCounts& counts, ReassemblyMemory& memory)
      : flow(its_flow), listener(std::move(its_listener)), connection(*listener, options, counts, memory) {}
  Flow flow;
  std::unique_ptr<ConversationListener> listener;  // gone once the connection is over
  TcpConnection connection;
  TimeNs last_packet = 0;
  Kind kind = kDisposable;
  bool listed = false;    // in stalled_
  Order::iterator place;  // in orders_[kind]
};

ConnectionTable::ConnectionTable(ConversationFactory& factory, const ReassemblyOptions& options,
                                 ReassemblyCounts& counts)
    : factory_(factory), options_(options), counts_(counts) {}

ConnectionTable::~ConnectionTable() = default;

void ConnectionTable::take(const IpAddress& source, const IpAddress& destination, const TcpSegment& segment,
                           TimeNs now) {
  const Endpoint sender{source, segment.source_port};
  const Endpoint receiver{destination, segment.destination_port};
  const Side from = sender < receiver ? Side::kA : Side::kB;
  const Flow flow = from == Side::kA ? Flow{sender, receiver} : Flow{receiver, sender};
  Entry* entry = find(flow);
  if (entry != nullptr) {
    TcpConnection& connection = entry->connection;
    const bool fresh_syn =
        segment.syn && !segment.ack && (connection.closed() || connection.contradicts(from, segment));
    const bool stranger =
        connection.closed() && segment.payload_length > 0 && !connection.is_late(from, segment);
    if (fresh_syn || stranger) {
      connection.close(ConversationEnd::kReplaced, std::nullopt, now);
      remove(*entry);
      entry = nullptr;
    }
  }
  // A connection already open is taken note of once it says something.
  if (entry == nullptr && !segment.syn && segment.payload_length == 0) return;
  if (entry == nullptr) entry = open(flow, from, segment, now);
  entry->connection.take(from, segment, now);
  touch(*entry, now);
}

ConnectionTable::Entry* ConnectionTable::find(const Flow& flow) {
  if (last_ != nullptr && last_->flow == flow) return last_;
  const auto at = entries_.find(flow);
  return last_ = at == entries_.end() ? nullptr : at->second.get();
}

ConnectionTable::Entry* ConnectionTable::open(const Flow& flow, Side from, const TcpSegment& segment,
                                              TimeNs now) {
  make_room(now);
  ++counts_.connections;
  ConversationOpening opening{flow, now, segment.syn, std::nullopt};
  // Who answers a SYN did not send the first one.
  if (segment.syn) opening.initiator = segment.ack ? other(from) : from;
  auto entry = std::make_unique<Entry>(flow, factory_.conversation(opening), options_, counts_, memory_);
  entry->place = orders_[kDisposable].insert(orders_[kDisposable].end(), entry.get());
  last_ = entry.get();
  entries_.emplace(flow, std::move(entry));
  return last_;
}

void ConnectionTable::make_room(TimeNs now) {
  Order& disposable = orders_[kDisposable];
  while (!disposable.empty() && now - disposable.front()->last_packet > kDisposableAge) {
    Entry& old = *disposable.front();
    old.connection.close(ConversationEnd::kEvicted, std::nullopt, now);
    remove(old);
  }
  while (entries_.size() >= options_.max_connections) {
    Entry& oldest = *(disposable.empty() ? orders_[kTalking] : disposable).front();
    if (!oldest.connection.closed()) ++counts_.connections_evicted;
    oldest.connection.close(ConversationEnd::kEvicted, std::nullopt, now);
    remove(oldest);
  }
}

void ConnectionTable::touch(Entry& entry, TimeNs now) {
  entry.last_packet = now;
  const bool talking = !entry.connection.closed() && entry.connection.has_data();
  if (entry.connection.closed()) entry.listener.reset();
  const Kind kind = talking ? kTalking : kDisposable;
  orders_[kind].splice(orders_[kind].end(), orders_[entry.kind], entry.place);
  entry.kind = kind;
  if (entry.listed || !entry.connection.stalled()) return;
  entry.listed = true;
  stalled_.push_back(&entry);
}

void ConnectionTable::remove(Entry& entry) {
  if (last_ == &entry) last_ = nullptr;
  if (entry.listed) std::erase(stalled_, &entry);
  orders_[entry.kind].erase(entry.place);
  entries_.erase(Flow(entry.flow));
}

void ConnectionTable::tick(TimeNs now) {
  std::erase_if(stalled_, [now](Entry* entry) {
    entry->connection.check_patience(now);
    return !(entry->listed = entry->connection.stalled());
  });
}

void ConnectionTable::finish(TimeNs now) {
  for (const Kind kind : {kTalking, kDisposable}) {
    while (!orders_[kind].empty()) {
      Entry& entry = *orders_[kind].front();
      entry.connection.close(ConversationEnd::kCaptureEnded, std::nullopt, now);
      remove(entry);
    }
  }
}

}  // namespace understudy::capture
