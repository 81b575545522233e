#include "formats/transcript/chain.h"

#include <system_error>

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
  note(report);
  previous_ = Seen{.path = path,
                   .run = report.header.run,
                   .segment = report.header.segment,
                   .recording_id = report.header.recording_id,
                   .encrypted = report.encrypted,
                   .digest = report.digest && report.digest->fits ? report.digest : std::nullopt};
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
}

void ChainCheck::note(const SegmentReport& report) {
  ChainRun& run = runs_.back();
  run.last = report.header.segment;
  run.end = ChainRun::End::kUnclosed;
  run.digest.reset();
  if (!report.clean || !report.digest) return;
  run.end = report.digest->digest.last ? ChainRun::End::kLast : ChainRun::End::kGoesOn;
  run.digest = report.digest->digest.content;
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

// A closed segment was closed right after the next one began: it holds nothing more than the link tells of.
bool ChainCheck::holds_what(const SegmentLink& link) const {
  if (previous_->digest) {
    return previous_->digest->offset == link.bytes && previous_->digest->digest.content == link.sha256;
  }
  try {
    const std::unique_ptr<ReadableFile> file = open_file(previous_->path);
    return file->size() >= link.bytes &&
           sha256_of_file(*file, previous_->path.string(), link.bytes) == link.sha256;
  } catch (const std::system_error&) {
    return false;  // what cannot be opened was told of already
  }
}

}  // namespace understudy
