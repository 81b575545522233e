// Puts tokens in the place of values: in messages, in literals, in COPY data. One for a run of `understudy
// mask`; one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "formats/bytes.h"
#include "formats/masking/rules.h"
#include "formats/masking/tokens.h"
#include "replayer/mask/notified_payloads.h"
#include "replayer/mask/statement_values.h"

namespace understudy::replayer {

struct MaskCounts {
  std::map<const masking::Rule*, std::uint64_t> masked;     // values that got tokens
  std::map<const masking::Rule*, std::uint64_t> hidden_by;  // values overwritten, of `hidden`
  std::set<const masking::Rule*> named;                     // columns that some statement or result calls so
  std::uint64_t hidden = 0;                                 // values overwritten, for want of a token
  std::uint64_t unplaced = 0;  // of `masked`: literals of no column that can be told
  std::uint64_t statements = 0;
  std::uint64_t not_understood = 0;  // of these: texts overwritten whole
  std::uint64_t sessions = 0;
  std::uint64_t sessions_cut = 0;
  std::uint64_t bytes_cut = 0;
};

// What a value is, when it is to be decided whether it is masked.
struct ValuePlace {
  const masking::Rule* column_rule = nullptr;
  std::uint32_t type_oid = 0;  // 0: not known
  bool binary = false;
  bool list = false;  // of an unknown type: an array
};

// What PREPARE and DECLARE gave names; null: not to be told.
using NamedValues = std::map<std::string, std::shared_ptr<const StatementValues>, std::less<>>;

class ValueMasker {
 public:
  // Both are borrowed.
  ValueMasker(const masking::Rules& rules, std::string_view key) : rules_(rules), tokens_(key) {}

  // Replaces the value if a rule says so; its length stays. What was there and what is now are remembered in
  // `seen`.
  void mask(std::span<Byte> value, const ValuePlace& place);
  // The token of a text by that rule, of the same length; or it is hidden.
  void mask_text(std::span<Byte> text, const masking::Rule& rule);
  // Overwrites a value that is not to be told.
  void hide(std::span<Byte> value, std::uint32_t type_oid, bool binary);
  // Overwrites a text that is not to be told, one that might be anything.
  static void blot(std::span<Byte> text);

  // A text of SQL, in place; its values are known to the caller. `named`: what EXECUTE refers to; what is not
  // there has its arguments hidden.
  void mask_statement(std::span<Byte> sql, const StatementValues& values, const NamedValues& named);
  // What is said of the text, from memory if it was seen before.
  [[nodiscard]] std::shared_ptr<const StatementValues> read(std::string_view sql);
  // The same again, of a text just read, with what is known of tables.
  [[nodiscard]] std::shared_ptr<const StatementValues> read(std::string_view sql,
                                                            const TableColumns& known) const {
    return std::make_shared<const StatementValues>(read_statement_values(sql, rules_, known));
  }

  [[nodiscard]] const masking::Rules& rules() const { return rules_; }
  [[nodiscard]] MaskCounts& counts() { return counts_; }
  [[nodiscard]] NotifiedPayloads& payloads() { return payloads_; }
  // Values masked lately and their tokens, for messages that repeat them. Bounded.
  [[nodiscard]] const std::map<std::string, std::string>& seen() const { return seen_; }

 private:
  void remember(std::string_view value, std::string_view token);
  [[nodiscard]] const masking::Rule* rule_for_literal(const ConstantPlace& place, std::string_view value,
                                                      const StatementValues& values,
                                                      const ValueRole& role) const;
  void mask_constant(std::span<Byte> sql, const ConstantPlace& place, const StatementValues& values,
                     const ValueRole& role);
  void hide_constant(std::span<Byte> sql, const ConstantPlace& place);
  void hide_digits(std::span<Byte> number);
  void mask_number(std::span<Byte> token, bool negative, const masking::Rule& rule);
  void mask_value(std::span<Byte> value, const masking::Rule& rule, std::uint32_t type_oid, bool binary);
  [[nodiscard]] const masking::Rule* for_unknown_type(std::span<Byte> value, bool binary) const;
  // Of an array, each element; without a rule, each by its own. False when it cannot be read.
  [[nodiscard]] bool mask_elements(std::span<Byte> value, const masking::Rule* rule,
                                   std::uint32_t element_oid, bool binary);
  [[nodiscard]] bool mask_array(std::span<Byte> value, const masking::Rule* rule, std::uint32_t element_oid);
  [[nodiscard]] bool mask_array_text(std::span<Byte> value, const masking::Rule* rule,
                                     std::uint32_t element_oid);
  void mask_element(std::span<Byte> value, const masking::Rule* rule, std::uint32_t oid, bool binary);
  [[nodiscard]] bool escaped_fits(std::string_view element) const;
  [[nodiscard]] bool mask_binary(std::span<Byte> value, const masking::Rule& rule, std::uint32_t type_oid);

  const masking::Rules& rules_;
  masking::Tokens tokens_;
  MaskCounts counts_;
  NotifiedPayloads payloads_;
  std::map<std::string, std::string> seen_;
  std::size_t seen_bytes_ = 0;
  std::map<std::string, std::shared_ptr<const StatementValues>, std::less<>> statements_;
  std::size_t statement_bytes_ = 0;
};

}  // namespace understudy::replayer
