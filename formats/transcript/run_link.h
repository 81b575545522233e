// What a run says of the one before it in its directory: the last segment of that, as it was when this one
// began. With it nothing can be taken out between two runs, nor from the end of one that another follows,
// that `verify` would not tell. Told in an attribute of the header, which older readers pass over. See
// formats/README.md, "The chain".
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "formats/transcript/segment_writer.h"

namespace understudy {

inline constexpr std::string_view kFollowsAttribute = "follows";

struct RunLink {
  std::uint32_t run = 0;
  SegmentLink last;
  bool operator==(const RunLink&) const = default;
};

// "RUN SEGMENT BYTES SHA256", the value of the attribute.
[[nodiscard]] std::string to_text(const RunLink& link);
// None when the header says nothing of a run before its own, or what makes no sense.
[[nodiscard]] std::optional<RunLink> run_link_of(const SegmentHeader& header);

// The last segment of the runs before `run` in the directory that holds anything; none when there is none.
// Reads all of it, unless it was closed and so says itself what it holds. What cannot be read is passed over.
[[nodiscard]] std::optional<RunLink> last_before(const std::filesystem::path& directory, std::uint32_t run);

}  // namespace understudy
