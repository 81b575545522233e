#include "formats/transcript/chain.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "formats/transcript/segment_name.h"

namespace understudy {
namespace {

std::string named(std::uint32_t segment) { return "segment " + std::to_string(segment); }

std::string missing(std::uint32_t run, std::uint32_t from, std::uint32_t to) {
  if (from == to) {
    return named(from) + " (" + format_segment_name({.run = run, .segment = from}) + ") is missing";
  }
  return "one or more of the segments " + std::to_string(from) + " to " + std::to_string(to) +
         " are missing, the last one surely";
}

}  // namespace

void ChainCheck::problem(const std::filesystem::path& path, std::string what) {
  problems_.push_back({path.string(), std::move(what)});
}

void ChainCheck::add(const SegmentReport& report, const std::filesystem::path& path) {
  if (!report.chained) {
    // Of format 1.0, or its header is damaged: then the next one tells what it was.
    return report.damage.empty() ? add_unchained(report, path) : add_unusable(path);
  }
  check_name(report, path);
  if (unchained_ == report.header.run) {
    problem(path, "is chained, and a segment of format 1.0 is before it in its run: that was put in");
  }
  if (previous_ && previous_->run == report.header.run) {
    check_link(report, path);
  } else {
    const std::uint32_t after = report.header.previous ? report.header.previous->segment : 0;
    runs_.push_back({.run = report.header.run, .first = report.header.segment, .begins_after = after});
  }
  if (std::exchange(linked_, report.header.run) != report.header.run) check_run_link(report, path);
  note(report, path);
  previous_ = Seen{.path = path,
                   .run = report.header.run,
                   .segment = report.header.segment,
                   .recording_id = report.header.recording_id,
                   .encrypted = report.encrypted,
                   .digest = report.digest && report.digest->fits ? report.digest : std::nullopt};
  lasts_.insert_or_assign(report.header.run, *previous_);
}

// One program writes a run: all of it is chained, or nothing.
void ChainCheck::add_unchained(const SegmentReport& report, const std::filesystem::path& path) {
  check_name(report, path);
  const auto name = parse_segment_name(path.filename().string());
  const auto is_of = [&](std::uint32_t run) {
    return report.header.run == run || (name && name->run == run);
  };
  if (previous_ && is_of(previous_->run)) {
    return problem(
        path, "is of format 1.0, unlike " + named(previous_->segment) + " before it: put in, or replaced");
  }
  unchained_ = name ? name->run : report.header.run;
  const std::uint32_t segment = name ? name->segment : report.header.segment;
  lasts_.insert_or_assign(*unchained_, Seen{.path = path, .run = *unchained_, .segment = segment});
}

void ChainCheck::add_unusable(const std::filesystem::path& path) {
  const auto name = parse_segment_name(path.filename().string());
  if (!name) return previous_.reset();
  const bool goes_on = previous_ && previous_->run == name->run;
  if (!goes_on) runs_.push_back({.run = name->run, .first = name->segment});
  runs_.back().last = name->segment;
  runs_.back().end = ChainRun::End::kUnread;
  runs_.back().digest.reset();
  previous_ = Seen{.path = path, .run = name->run, .segment = name->segment};
  lasts_.insert_or_assign(name->run, *previous_);
}

void ChainCheck::note(const SegmentReport& report, const std::filesystem::path& path) {
  ChainRun& run = runs_.back();
  run.last = report.header.segment;
  run.end = ChainRun::End::kUnclosed;
  run.vouched_by = 0;
  run.digest.reset();
  if (!report.clean || !report.digest) return;
  run.end = report.digest->digest.last ? ChainRun::End::kLast : ChainRun::End::kGoesOn;
  run.digest = report.digest->digest.content;
  if (!report.digest->fits) return;
  head_ = ChainHead{path.string(), report.header.run, report.header.segment, *run.digest};
  if (expected_ == run.digest) found_ = head_;
}

// A file by itself may be called anything; one called like a segment is meant to be that segment.
void ChainCheck::check_name(const SegmentReport& report, const std::filesystem::path& path) {
  const auto name = parse_segment_name(path.filename().string());
  const SegmentName holds{.run = report.header.run, .segment = report.header.segment};
  if (!name || *name == holds) return;
  problem(path, "holds what was written as " + format_segment_name(holds) + ": swapped or renamed");
}

void ChainCheck::check_link(const SegmentReport& report, const std::filesystem::path& path) {
  const std::uint32_t before = previous_->segment;
  const std::optional<SegmentLink>& link = report.header.previous;
  if (!previous_->recording_id.empty() && previous_->recording_id != report.header.recording_id) {
    problem(path, "belongs to another recording than " + named(before) + " before it: replaced");
  } else if (previous_->encrypted && *previous_->encrypted != report.encrypted) {
    problem(path, std::string(report.encrypted ? "is" : "is not") + " encrypted, unlike " + named(before) +
                      " before it: replaced");
  } else if (!link) {
    problem(path, "says that it is the first of its run, and is not: " + named(before) + " is before it");
  } else if (link->segment > before) {
    problem(path, missing(report.header.run, before + 1, link->segment) + ": this one follows it, not " +
                      named(before));
  } else if (link->segment < before) {
    problem(path, "follows " + named(link->segment) + ", but " + named(before) +
                      " is before it: swapped, or put in");
  } else if (!holds_what(*link)) {
    problem(previous_->path, "is not what it was when " + named(report.header.segment) +
                                 " began: something in its first " + std::to_string(link->bytes) +
                                 " bytes was changed or cut out, or it was replaced");
  }
}

// Runs are deleted from the oldest on. That the run before this one is gone while older ones are here, or the
// end of it, is no copy of a part.
void ChainCheck::check_run_link(const SegmentReport& report, const std::filesystem::path& path) {
  const std::optional<RunLink> link = run_link_of(report.header);
  if (!link) return;
  const auto before = lasts_.find(link->run);
  if (before != lasts_.end()) return check_last_of(before->second, link->last, report, path);
  if (lasts_.empty() || lasts_.begin()->first > link->run) {
    runs_.back().begins_after_run = link->run;
    return;
  }
  problem(path, "follows run " + std::to_string(link->run) +
                    ", of which nothing is here, though older ones are: its " + named(link->last.segment) +
                    " (" + format_segment_name({.run = link->run, .segment = link->last.segment}) +
                    ") and all before it are missing");
}

// Where that run went on behind this one's beginning (another recorder's), its own links tell of the rest.
void ChainCheck::check_last_of(const Seen& last, const SegmentLink& link, const SegmentReport& report,
                               const std::filesystem::path& path) {
  if (link.segment > last.segment) {
    return problem(path, missing(last.run, last.segment + 1, link.segment) + " of run " +
                             std::to_string(last.run) + ": this run began when that was the last one");
  }
  if (link.segment < last.segment) return;
  if (!still_holds(last, link)) {
    return problem(last.path, "is not what it was when run " + std::to_string(report.header.run) +
                                  " began: something in its first " + std::to_string(link.bytes) +
                                  " bytes was changed or cut out, or it was replaced");
  }
  for (ChainRun& run : runs_) {
    if (run.run == last.run && run.end == ChainRun::End::kUnclosed) run.vouched_by = report.header.run;
  }
}

// It may have been written to since: by another recorder, whose run was not over.
bool ChainCheck::still_holds(const Seen& seen, const SegmentLink& link) {
  if (seen.digest && seen.digest->offset == link.bytes) return seen.digest->digest.content == link.sha256;
  try {
    const std::unique_ptr<ReadableFile> file = open_file(seen.path);
    return file->size() >= link.bytes && sha256_of_file(*file, seen.path.string(), link.bytes) == link.sha256;
  } catch (const std::system_error&) {
    return false;  // what cannot be opened was told of already
  }
}

// A closed segment was closed right after the next one began: it holds nothing more than the link tells of.
bool ChainCheck::holds_what(const SegmentLink& link) const {
  if (previous_->digest) {
    return previous_->digest->offset == link.bytes && previous_->digest->digest.content == link.sha256;
  }
  return still_holds(*previous_, link);
}

}  // namespace understudy
