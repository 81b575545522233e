// Do the segments of a recording follow one another, or was one taken out, put in, swapped or replaced? Each
// says which one it follows and what that held (SegmentLink), and each run which one was before it (RunLink).
// See formats/README.md, "The chain". One thread at a time.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/run_link.h"
#include "formats/transcript/verify.h"

namespace understudy {

// Something that is not as it was written; `what` is a sentence that names the segment.
struct ChainProblem {
  std::string file;
  std::string what;
  bool operator==(const ChainProblem&) const = default;
};

// The segments there are of one run.
struct ChainRun {
  enum class End : std::uint8_t {
    kLast,      // the last one says that nothing follows
    kGoesOn,    // the last one says that another followed: it is not here
    kUnclosed,  // the last one was not closed: what its writer had not sealed, or was cut off its end, is
                // unknown
    kUnread     // the last one could not be read
  };
  std::uint32_t run = 0;
  std::uint32_t first = 0;  // segments
  std::uint32_t last = 0;
  std::uint32_t begins_after = 0;      // the segment that the first one follows, deleted since; 0: none
  std::uint32_t begins_after_run = 0;  // the run before it, deleted since with all before that; 0: none
  End end = End::kUnclosed;
  std::uint32_t vouched_by = 0;  // a later run that says what the last segment held, and it does; 0: none
  std::optional<Sha256Value> digest = std::nullopt;  // of the last one, if closed: all of the run hangs on it
};

// The last closed segment. On its digest all before it hangs: who has kept that can tell later whether what
// was there is there still.
struct ChainHead {
  std::string file;
  std::uint32_t run = 0;
  std::uint32_t segment = 0;
  Sha256Value digest{};
};

class ChainCheck {
 public:
  // Before any is added: a digest that was the head once.
  void expect(const Sha256Value& digest) { expected_ = digest; }
  // Segments in order of their names, each verified already. Throws RecordingError when a file cannot be read
  // again. Those of format 1.0 say nothing of each other; among chained ones they have no place.
  void add(const SegmentReport& report, const std::filesystem::path& path);
  // A file in the place of a segment that is none, or cannot be read.
  void add_unusable(const std::filesystem::path& path);

  [[nodiscard]] const std::vector<ChainProblem>& problems() const { return problems_; }
  [[nodiscard]] const std::vector<ChainRun>& runs() const { return runs_; }
  [[nodiscard]] bool whole() const { return problems_.empty(); }
  // None while no segment is closed.
  [[nodiscard]] const std::optional<ChainHead>& head() const { return head_; }
  [[nodiscard]] const std::optional<Sha256Value>& expected() const { return expected_; }
  // The segment with that digest; none: it is not here, or not as it was.
  [[nodiscard]] const std::optional<ChainHead>& holds_expected() const { return found_; }

 private:
  struct Seen {
    std::filesystem::path path = {};
    std::uint32_t run = 0;
    std::uint32_t segment = 0;
    std::string recording_id = {};                      // empty: not known
    std::optional<bool> encrypted = std::nullopt;       // none: not known
    std::optional<DigestReport> digest = std::nullopt;  // and found to fit
  };
  void add_unchained(const SegmentReport& report, const std::filesystem::path& path);
  void check_name(const SegmentReport& report, const std::filesystem::path& path);
  void check_link(const SegmentReport& report, const std::filesystem::path& path);
  void check_run_link(const SegmentReport& report, const std::filesystem::path& path);
  void check_last_of(const Seen& last, const SegmentLink& link, const SegmentReport& report,
                     const std::filesystem::path& path);
  void note(const SegmentReport& report, const std::filesystem::path& path);
  [[nodiscard]] bool holds_what(const SegmentLink& link) const;
  [[nodiscard]] static bool still_holds(const Seen& seen, const SegmentLink& link);
  void problem(const std::filesystem::path& path, std::string what);

  std::optional<Seen> previous_;
  std::map<std::uint32_t, Seen> lasts_;  // of each run, so far
  std::uint32_t linked_ = 0;             // the last run whose link was checked
  std::optional<ChainHead> head_;
  std::optional<Sha256Value> expected_;
  std::optional<ChainHead> found_;
  std::optional<std::uint32_t> unchained_;  // the run of the last segment of format 1.0
  std::vector<ChainProblem> problems_;
  std::vector<ChainRun> runs_;
};

}  // namespace understudy
