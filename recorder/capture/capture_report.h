// What `understudy record` says when it ends: a table for people, or JSON. Pure.
#pragma once

#include <string>
#include <vector>

#include "formats/capture/fragments.h"
#include "formats/capture/packet.h"
#include "formats/capture/reassembly.h"
#include "recorder/capture/capture_counts.h"
#include "recorder/statistics.h"

namespace understudy::recorder {

// A file that could not be read to its end.
struct UnreadFile {
  std::string name;
  std::string error;
  std::uint64_t offset = 0;      // where reading ended, in the decompressed file
  std::uint64_t bytes_left = 0;  // from there on
};

struct CaptureSummary {
  std::string output;
  unsigned run = 0;
  bool live = false;
  CaptureCounts sessions;
  capture::ReassemblyCounts tcp;
  capture::FragmentCounts fragments;
  capture::CaptureDrops drops;
  TimeNs first_packet = 0;
  TimeNs last_packet = 0;
  TimeNs clock_went_back = 0;
  std::vector<UnreadFile> unread_files;
  std::vector<std::uint16_t> other_ports;  // seen most, of those that were not wanted
  Statistics recording;
  bool recorded = true;  // everything that was to be written could be
};

// Something of PostgreSQL that passed is not on record, as far as is known.
[[nodiscard]] bool is_in_part(const CaptureSummary& summary);
[[nodiscard]] std::string summary_as_text(const CaptureSummary& summary);
[[nodiscard]] std::string summary_as_json(const CaptureSummary& summary);

}  // namespace understudy::recorder
