// What reassembly tells of one TCP connection: its bytes in order, and every byte that is missing.
// Implemented by who makes sessions of them (recorder/capture), and by tests.
#pragma once

#include <memory>
#include <optional>

#include "formats/capture/addresses.h"
#include "formats/transcript/event.h"

namespace understudy::capture {

enum class ConversationEnd : std::uint8_t {
  kClosed,       // both sides ended their stream
  kReset,        // one side reset the connection
  kReplaced,     // its ports were used again, and its end was not seen
  kEvicted,      // too many connections at once: this one was silent for longest
  kCaptureEnded  // it may have gone on
};

class ConversationListener {
 public:
  virtual ~ConversationListener() = default;
  // The next bytes of one side. Times never run backwards. `informed`: the sender had by then received all
  // that was told of the other side.
  virtual void data(Side from, TimeNs time, ByteView bytes, bool informed) = 0;
  // So many bytes of one side are missing here and will not come.
  virtual void lost(Side from, TimeNs time, std::uint64_t bytes) = 0;
  // That side sends nothing more.
  virtual void finished(Side from, TimeNs time) = 0;
  // The last call. `by`: who reset it.
  virtual void closed(ConversationEnd end, std::optional<Side> by, TimeNs time) = 0;
};

// What is known of a connection when it is first seen.
struct ConversationOpening {
  Flow flow;
  TimeNs time = 0;
  bool from_beginning = false;    // its SYN was seen
  std::optional<Side> initiator;  // who sent it, as far as its handshake was seen
};

class ConversationFactory {
 public:
  virtual ~ConversationFactory() = default;
  // Never null.
  [[nodiscard]] virtual std::unique_ptr<ConversationListener> conversation(
      const ConversationOpening& opening) = 0;
};

}  // namespace understudy::capture
