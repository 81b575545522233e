// `understudy show --stats`: what a whole recording amounts to, and what is missing in it. One pass over the
// chunks; holds a tally for each session that is open and nothing for those that are over. One thread.
#pragma once

#include <array>
#include <map>
#include <unordered_map>

#include "formats/transcript/recording.h"
#include "formats/transcript/session_set.h"
#include "replayer/output.h"
#include "replayer/show/session_tally.h"

namespace understudy::replayer {

struct RecordingStatistics {
  // What the recorder left out, by reason: told by gap events in sessions, and by loss records of the file.
  struct Missing {
    std::uint64_t gaps = 0;
    SessionSet gap_sessions;
    std::uint64_t gap_events = 0;
    std::uint64_t gap_bytes = 0;
    std::uint64_t losses = 0;
    std::uint64_t loss_sessions = 0;
    std::uint64_t loss_events = 0;
    std::uint64_t loss_bytes = 0;
  };

  std::uint64_t segments = 0;
  std::uint64_t segments_unclean = 0;
  std::uint64_t runs = 0;
  std::uint64_t chunks = 0;
  std::uint64_t chunks_damaged = 0;
  std::uint64_t file_bytes = 0;
  TimeNs first_time = 0;
  TimeNs last_time = 0;
  SessionSet sessions;  // with events, or named as open; marks are of none
  std::uint64_t sessions_continuing = 0;
  std::uint64_t sessions_closed = 0;  // within the recording
  std::array<std::uint64_t, 256> events_by_kind{};
  std::uint64_t events = 0;
  std::uint64_t client_bytes = 0;
  std::uint64_t server_bytes = 0;
  MessageCounts messages;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::uint64_t bytes_not_read = 0;  // as messages (session_tally.h)
  std::map<GapReason, Missing> missing;

  // What passed, by what it takes on disk.
  [[nodiscard]] double compression_ratio() const;
};

[[nodiscard]] RecordingStatistics collect_statistics(const Recording& recording);

// Wrapped to so many columns.
void print_statistics(const RecordingStatistics& statistics, const Recording& recording, std::size_t columns,
                      Output& out);
void print_statistics_json(const RecordingStatistics& statistics, const Recording& recording, Output& out);

}  // namespace understudy::replayer
