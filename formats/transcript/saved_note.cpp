#include "formats/transcript/saved_note.h"

#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

namespace understudy {

void write_saved_note(const std::filesystem::path& directory, SegmentName last) {
  const std::filesystem::path path = directory / kSavedNote;
  std::ofstream out(path, std::ios::binary);
  out << format_segment_name(last)
      << "\nis the last segment that was saved (understudy ctl record save); others followed it.\n";
  out.close();
  if (!out) throw std::filesystem::filesystem_error("cannot write", path, {errno, std::generic_category()});
}

std::optional<SegmentName> read_saved_note(const std::filesystem::path& directory) {
  std::ifstream in(directory / kSavedNote, std::ios::binary);
  std::string name(64, '\0');  // longer than any segment's
  in.read(name.data(), static_cast<std::streamsize>(name.size()));
  name.resize(static_cast<std::size_t>(in.gcount()));
  return parse_segment_name(name.substr(0, name.find('\n')));
}

}  // namespace understudy
