#include "replayer/show/chain_report.h"

#include <Poco/JSON/Array.h>

#include <filesystem>

#include "formats/transcript/segment_name.h"
#include "replayer/counted.h"
#include "replayer/message_json.h"

namespace understudy::replayer {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::size_t kRunsShown = 10;
constexpr std::size_t kProblemsShown = 20;

std::string end_of(const ChainRun& run) {
  const std::string last = "segment " + std::to_string(run.last);
  switch (run.end) {
    case ChainRun::End::kLast:
      return last + " is the last there was";
    case ChainRun::End::kGoesOn:
      return "others followed " + last + ", which are not here";
    case ChainRun::End::kUnread:
      return last + " could not be read, so whether others followed it is not known";
    case ChainRun::End::kUnclosed:
      break;
  }
  if (run.vouched_by > 0) {
    return last + " was not closed, and still holds what it held when run " + std::to_string(run.vouched_by) +
           " began";
  }
  return last + " was not closed, so whether anything is missing at its end cannot be proven";
}

std::string describe(const ChainRun& run, bool whole) {
  std::string text = "run " + std::to_string(run.run) + ": ";
  if (run.begins_after_run > 0) text += "begins after run " + std::to_string(run.begins_after_run) + "; ";
  if (run.begins_after > 0) text += "begins after segment " + std::to_string(run.begins_after) + "; ";
  if (whole && run.first != run.last) {
    text +=
        "segments " + std::to_string(run.first) + " to " + std::to_string(run.last) + " follow each other; ";
  }
  return text + end_of(run);
}

std::string place_of(const ChainHead& head) {
  return format_segment_name({.run = head.run, .segment = head.segment});
}

std::string describe_expected(const ChainCheck& chain) {
  const std::string hash = hexadecimal(*chain.expected());
  if (!chain.holds_expected()) {
    return "expected " + hash +
           ": no such segment is here. It was deleted, replaced or changed, or it is of another recording";
  }
  const std::string place = place_of(*chain.holds_expected());
  const bool newest = chain.head()->digest == *chain.expected();
  return "expected " + hash + ": here, " + place + (newest ? "" : ", and others follow it");
}

Object json_head(const ChainHead& head) {
  Object out = json_object();
  out.set("file", json_text(head.file));
  out.set("sha256", hexadecimal(head.digest));
  return out;
}

Object json_expected(const ChainCheck& chain) {
  Object out = json_object();
  out.set("sha256", hexadecimal(*chain.expected()));
  out.set("here", chain.holds_expected().has_value());
  if (chain.holds_expected()) out.set("file", json_text(chain.holds_expected()->file));
  return out;
}

const char* name_of(ChainRun::End end) {
  if (end == ChainRun::End::kLast) return "last";
  if (end == ChainRun::End::kUnread) return "not read";
  return end == ChainRun::End::kGoesOn ? "goes on" : "not closed";
}

}  // namespace

std::vector<std::string> chain_as_text(const ChainCheck& chain) {
  std::vector<std::string> lines;
  const auto tell = [&lines](const std::string& what) {
    lines.push_back((lines.empty() ? "  chain  " : "         ") + what);
  };
  for (const ChainProblem& problem : chain.problems()) {
    if (lines.size() == kProblemsShown) break;
    tell("broken: " + std::filesystem::path(problem.file).filename().string() + " " + problem.what);
  }
  if (chain.problems().size() > kProblemsShown)
    tell("and " + counted(chain.problems().size() - kProblemsShown, "more break") + " (all with --json)");
  for (std::size_t i = 0; i < chain.runs().size() && i < kRunsShown; ++i) {
    tell(describe(chain.runs()[i], chain.whole()));
  }
  if (chain.runs().size() > kRunsShown)
    tell("and " + counted(chain.runs().size() - kRunsShown, "more run") + " (all with --json)");
  // For scripts, as one line of three words and the hash.
  if (chain.head()) lines.push_back("  chain ends at " + hexadecimal(chain.head()->digest));
  if (chain.expected()) lines.push_back("  chain " + describe_expected(chain));
  return lines;
}

Object chain_as_json(const ChainCheck& chain) {
  Array problems;
  for (const ChainProblem& problem : chain.problems()) {
    Object one = json_object();
    one.set("file", json_text(problem.file));
    one.set("what", problem.what);
    problems.add(one);
  }
  Array runs;
  for (const ChainRun& run : chain.runs()) {
    Object one = json_object();
    one.set("run", run.run);
    one.set("first_segment", run.first);
    one.set("last_segment", run.last);
    one.set("begins_after", run.begins_after);
    one.set("begins_after_run", run.begins_after_run);
    one.set("end", name_of(run.end));
    if (run.vouched_by > 0) one.set("end_told_by_run", run.vouched_by);
    if (run.digest) one.set("sha256", hexadecimal(*run.digest));
    runs.add(one);
  }
  Object out = json_object();
  out.set("whole", chain.whole());
  out.set("problems", problems);
  out.set("runs", runs);
  if (chain.head()) out.set("head", json_head(*chain.head()));
  if (chain.expected()) out.set("expected", json_expected(chain));
  return out;
}

}  // namespace understudy::replayer
