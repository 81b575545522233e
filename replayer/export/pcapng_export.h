// `understudy export --format pcapng`: the sessions as TCP conversations that Wireshark, tshark and
// `understudy record --pcap` read. Holds a few words a session that is open. One thread.
#pragma once

#include "replayer/condition_scope.h"
#include "replayer/export/export_choice.h"
#include "replayer/output.h"

namespace understudy::replayer {

struct PcapngExportCounts {
  std::uint64_t sessions = 0;
  std::uint64_t packets = 0;
  std::uint64_t invented = 0;        // sessions whose addresses could not be their own
  std::uint64_t secrets = 0;         // comments that tell of what is left out
  std::uint64_t gaps = 0;            // holes in the sequence numbers
  std::uint64_t bytes_left_out = 0;  // behind a hole whose size is not known
};

PcapngExportCounts export_pcapng(const Recording& recording, ExportChoice& choice, Output& out);

// On standard error.
void tell(const PcapngExportCounts& counts);

}  // namespace understudy::replayer
