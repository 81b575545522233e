// What a recorder has done so far, in numbers. A value; copied out by Recorder::statistics().
#pragma once

#include <cstddef>
#include <cstdint>

namespace understudy::recorder {

struct Statistics {
  // Recorded.
  std::uint64_t sessions = 0;    // opened, shed ones included
  std::uint64_t events = 0;      // written to segments
  std::uint64_t data_bytes = 0;  // their bytes, before compression
  std::uint64_t chunks = 0;
  std::uint64_t segments = 0;          // created
  std::uint64_t stored_bytes = 0;      // in segments, everything included
  std::uint64_t segments_expired = 0;  // deleted since: record_keep_size, record_keep_age
  std::uint64_t expired_bytes = 0;     // in these
  std::uint64_t passwords_hidden = 0;  // pieces of clients' SQL recorded without the passwords in them
  // Not recorded because the queue was full. In the transcript as gap events and loss records.
  std::uint64_t sessions_shed = 0;
  std::uint64_t events_shed = 0;
  std::uint64_t bytes_shed = 0;
  // Not recorded because of the disk. In the transcript as gap events and loss records, once it works again.
  std::uint64_t disk_errors = 0;
  std::uint64_t events_lost = 0;
  std::uint64_t bytes_lost = 0;
  bool disk_failing = false;  // at present
  // The queue between the workers and the recorder thread.
  std::size_t queue_bytes = 0;
  std::size_t queue_peak_bytes = 0;
};

}  // namespace understudy::recorder
