#include "replayer/mask/mask_report.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <algorithm>
#include <sstream>

namespace understudy::replayer {
namespace {

struct Count {
  const char* key;
  const char* words;
  std::uint64_t MaskCounts::*value;
};

constexpr Count kCounts[] = {
    {"sessions", "sessions", &MaskCounts::sessions},
    {"statements", "statements", &MaskCounts::statements},
    {"statements_not_understood", "  not understood: overwritten, and their results",
     &MaskCounts::not_understood},
    {"literals_unplaced", "  literals masked that are of no column", &MaskCounts::unplaced},
    {"values_hidden", "values hidden without a token", &MaskCounts::hidden},
    {"sessions_cut", "sessions cut where they cannot be read", &MaskCounts::sessions_cut},
    {"bytes_cut", "  bytes left out of them", &MaskCounts::bytes_cut},
};
constexpr std::size_t kWordsColumns = 56;

std::uint64_t masked_by(const MaskCounts& counts, const masking::Rule& rule) {
  const auto found = counts.masked.find(&rule);
  return found == counts.masked.end() ? 0 : found->second;
}

std::string row(std::string words, std::uint64_t value) {
  words.resize(std::max(words.size() + 2, kWordsColumns), ' ');
  return "  " + words + std::to_string(value) + "\n";
}

}  // namespace

std::string mask_report(const MaskCounts& counts, const masking::Rules& rules, const std::string& output) {
  std::string out = "masked into " + output + "\n";
  for (const masking::Rule& rule : rules.all())
    out += row("values by " + rule.text(), masked_by(counts, rule));
  for (const Count& count : kCounts) out += row(count.words, counts.*count.value);
  return out;
}

std::string mask_report_json(const MaskCounts& counts, const masking::Rules& rules) {
  Poco::JSON::Object report(Poco::JSON_PRESERVE_KEY_ORDER);
  Poco::JSON::Array by_rule;
  for (const masking::Rule& rule : rules.all()) {
    Poco::JSON::Object one(Poco::JSON_PRESERVE_KEY_ORDER);
    one.set("line", rule.line);
    one.set("rule", rule.text());
    one.set("values", masked_by(counts, rule));
    by_rule.add(one);
  }
  report.set("rules", by_rule);
  for (const Count& count : kCounts) report.set(count.key, counts.*count.value);
  std::ostringstream out;
  report.stringify(out, 2);
  return out.str() + "\n";
}

}  // namespace understudy::replayer
