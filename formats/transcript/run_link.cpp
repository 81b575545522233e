#include "formats/transcript/run_link.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <vector>

#include "formats/transcript/segment_name.h"
#include "formats/transcript/segment_reader.h"

namespace understudy {
namespace {

// Takes a number and the blank after it from the front of the text.
template <typename Number>
bool take_number(std::string_view& text, Number& out) {
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, out);
  if (error != std::errc() || next == end || *next != ' ') return false;
  text.remove_prefix(static_cast<std::size_t>(next - text.data()) + 1);
  return true;
}

// Of a file that holds something; none otherwise.
std::optional<SegmentLink> link_to(const std::filesystem::path& path, std::uint32_t segment) {
  const SegmentReader reader(open_file(path), path.string(), nullptr, Contents::kOptional);
  if (!reader.clean() && reader.chunk_count() == 0) return std::nullopt;
  if (const auto closed = reader.digest())
    return SegmentLink{segment, closed->offset, closed->digest.content};
  // As long as it is now: whoever writes it may go on.
  const std::uint64_t bytes = reader.size_bytes();
  return SegmentLink{segment, bytes, sha256_of_file(*open_file(path), path.string(), bytes)};
}

}  // namespace

std::string to_text(const RunLink& link) {
  return std::to_string(link.run) + " " + std::to_string(link.last.segment) + " " +
         std::to_string(link.last.bytes) + " " + hexadecimal(link.last.sha256);
}

std::optional<RunLink> run_link_of(const SegmentHeader& header) {
  const auto told = std::find_if(header.attributes.begin(), header.attributes.end(),
                                 [](const auto& pair) { return pair.first == kFollowsAttribute; });
  if (told == header.attributes.end()) return std::nullopt;
  std::string_view text = told->second;
  RunLink link;
  const bool numbers = take_number(text, link.run) && take_number(text, link.last.segment) &&
                       take_number(text, link.last.bytes);
  const auto hash = parse_sha256(text);
  if (!numbers || !hash || link.run >= header.run) return std::nullopt;
  link.last.sha256 = *hash;
  return link;
}

std::optional<RunLink> last_before(const std::filesystem::path& directory, std::uint32_t run) {
  std::vector<SegmentName> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    const auto name = parse_segment_name(at->path().filename().string());
    if (name && name->run < run) names.push_back(*name);
  }
  std::sort(names.rbegin(), names.rend());
  for (const SegmentName& name : names) {
    try {
      const auto link = link_to(directory / format_segment_name(name), name.segment);
      if (link) return RunLink{name.run, *link};
    } catch (const RecordingError&) {  // foreign, or of a newer version
    } catch (const std::system_error&) {
    }
  }
  return std::nullopt;
}

}  // namespace understudy
