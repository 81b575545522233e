// Logs for tests: what a parser hands out, however its bytes are cut.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "formats/logs/log_record.h"

namespace understudy::logs {

class Collector final : public LogHandler {
 public:
  std::vector<LogRecord> records;
  std::vector<std::pair<std::uint64_t, std::string>> problems;

  void record(const LogRecord& record) override { records.push_back(record); }
  void unreadable(std::uint64_t line, std::string_view why) override {
    problems.emplace_back(line, std::string(why));
  }
  // What was handed out, to be compared.
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const LogRecord& one : records) {
      for (const std::string* field :
           {&one.session, &one.process, &one.user, &one.database, &one.application, &one.client,
            &one.severity, &one.sqlstate, &one.message, &one.detail, &one.hint, &one.context, &one.statement})
        out += *field + "|";
      out += std::to_string(one.time) + "|" + std::to_string(one.line) + "\n";
    }
    for (const auto& [line, why] : problems) out += std::to_string(line) + ": " + why + "\n";
    return out;
  }
};

using MakeParser = std::function<std::unique_ptr<LogParser>(LogHandler&)>;

inline void feed_in_pieces(LogParser& parser, const std::string& text, std::size_t largest, unsigned seed) {
  std::mt19937 random(seed);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t piece = std::min<std::size_t>(text.size() - at, 1 + random() % largest);
    parser.feed(as_bytes(std::string_view(text).substr(at, piece)));
    at += piece;
  }
  parser.finish();
}

// Reads `text` whole, and cut in many ways: always the same.
inline Collector read_log(const MakeParser& make, const std::string& text) {
  Collector whole;
  feed_in_pieces(*make(whole), text, text.size() + 1, 0);
  for (unsigned seed = 1; seed <= 20; ++seed) {
    Collector pieces;
    feed_in_pieces(*make(pieces), text, seed <= 2 ? 1 : seed * 7, seed);
    EXPECT_EQ(whole.text(), pieces.text()) << "seed " << seed;
  }
  return whole;
}

}  // namespace understudy::logs
