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

std::uint64_t hidden_by(const MaskCounts& counts, const masking::Rule& rule) {
  const auto found = counts.hidden_by.find(&rule);
  return found == counts.hidden_by.end() ? 0 : found->second;
}

// Why the rule may not be what was meant; empty when it was needed. Rows not taken apart are masked by the
// first rule that there is, whatever it names.
std::string why_unused(const MaskCounts& counts, const masking::Rule& rule) {
  if (rule.kind == masking::Rule::Kind::kColumn && !counts.named.contains(&rule))
    return "nothing in the recording names such a column, or an earlier rule is for it";
  if (masked_by(counts, rule) + hidden_by(counts, rule) == 0) return "no value was masked by it";
  return {};
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

std::string unused_rules(const MaskCounts& counts, const masking::Rules& rules) {
  std::string out;
  for (const masking::Rule& rule : rules.all()) {
    const std::string why = why_unused(counts, rule);
    if (!why.empty())
      out += "line " + std::to_string(rule.line) + ", \"" + rule.text() + "\": " + why +
             "; is it spelt as in the database?\n";
  }
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
    one.set("hidden", hidden_by(counts, rule));
    one.set("unused", !why_unused(counts, rule).empty());
    by_rule.add(one);
  }
  report.set("rules", by_rule);
  for (const Count& count : kCounts) report.set(count.key, counts.*count.value);
  std::ostringstream out;
  report.stringify(out, 2);
  return out.str() + "\n";
}

}  // namespace understudy::replayer
