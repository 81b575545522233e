// Which statements are the same but for their constants? Each text is given the number of its kind, by the
// fingerprint of PostgreSQL's own parser (libpg_query), parsed once a kind in the common case. Bounded: so
// many kinds are told apart, the rest share one. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace understudy::replayer {

using StatementId = std::uint32_t;

class StatementCatalog {
 public:
  static constexpr std::size_t kDefaultStatements = 2000;
  // No statement at all: a Sync alone, or a session as a whole.
  static constexpr StatementId kNone = 0;
  // One that was prepared where the recording does not show it.
  static constexpr StatementId kUnknown = 1;
  // The kind of everything beyond the bound.
  static constexpr StatementId kOther = 2;

  // Whether the number stands for statements of one kind only.
  [[nodiscard]] static bool is_one_kind(StatementId id) { return id > kOther; }

  explicit StatementCatalog(std::size_t max_statements = kDefaultStatements);

  [[nodiscard]] StatementId identify(std::string_view sql);
  // "SELECT balance FROM account WHERE id = $1": constants replaced, white space as one blank, readable
  // (readable.h), cut at about 500 bytes. What the parser cannot read stays as it is.
  [[nodiscard]] const std::string& text(StatementId id) const { return texts_[id]; }

  // Of the kind, as pg_query_fingerprint() tells it; of texts the parser cannot read, a hash. 0 when the
  // number stands for no one kind.
  [[nodiscard]] std::uint64_t fingerprint(StatementId id) const { return fingerprints_[id]; }
  // The same of a text by itself.
  [[nodiscard]] static std::uint64_t fingerprint_of(std::string_view sql);

  // The text with numbers and quoted strings replaced, when that can be told without a parser: texts that
  // agree in it are of one kind. Else the text as it is.
  [[nodiscard]] static std::string skeleton(std::string_view sql);

 private:
  StatementId parse(std::string_view sql);
  StatementId add(std::uint64_t fingerprint, std::string_view text);

  std::size_t max_texts_;
  std::vector<std::string> texts_;
  std::vector<std::uint64_t> fingerprints_;
  std::unordered_map<std::uint64_t, StatementId> by_fingerprint_;
  // By the hash of a skeleton, so that a text that differs in its constants only is not parsed again; emptied
  // when full.
  std::unordered_map<std::uint64_t, StatementId> by_skeleton_;
};

}  // namespace understudy::replayer
