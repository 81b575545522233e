// Masks the messages of one session, each in place: its length stays, and so does where it lies in the
// recording. Follows which statement an answer is of, as replayer/request_tracker.h does. What cannot be
// judged is hidden. Owned by the MaskedSession; one thread at a time.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/wire/lists.h"
#include "replayer/mask/copy_mask.h"
#include "replayer/mask/value_masker.h"

namespace understudy::replayer {

class SessionMask {
 public:
  // Borrowed.
  explicit SessionMask(ValueMasker& masker) : masker_(masker) {}

  // Its opening is told: nothing was asked before.
  void begin() { in_step_ = true; }
  // A whole message's payload. False when the message cannot be read, so that nothing behind it can be
  // either.
  [[nodiscard]] bool client(char type, std::span<Byte> payload);
  [[nodiscard]] bool server(char type, std::span<Byte> payload);

 private:
  struct Field {
    std::string name;
    std::uint32_t type_oid = 0;
    std::int16_t format = 0;
  };
  struct Statement {
    std::shared_ptr<const StatementValues> values;
    std::vector<std::uint32_t> parameter_types;
    std::vector<Field> fields;
    bool described = false;
  };
  struct Portal {
    std::shared_ptr<Statement> statement;
    std::vector<std::int16_t> formats;
    NamedValues named;  // what names it refers to stand for, once it is executed
  };
  // What will be answered.
  struct Pending {
    char type = 0;              // the client's message; CopyDone: one that came before the copy began
    bool of_statement = false;  // a Describe
    Portal portal;
    std::size_t result = 0;             // of a Query: which of its statements is being answered
    std::vector<Field> fields;          // of the rows of a Query
    std::string name;                   // of a Parse
    std::shared_ptr<Statement> before;  // and what had that name
  };

  [[nodiscard]] bool query(std::span<Byte> payload);
  [[nodiscard]] bool parse(std::span<Byte> payload);
  [[nodiscard]] bool bind(std::span<Byte> payload);
  // pg_notify($1, $2): the parameters as they are, if one is a payload; and what they are masked as.
  [[nodiscard]] static std::vector<std::string> payloads_before(const std::vector<ValueRole>& roles,
                                                                const wire::ValueList& parameters);
  void tell_payloads(const std::vector<ValueRole>& roles, const std::vector<std::string>& before,
                     const wire::ValueList& parameters);
  void name_target(char type, std::span<Byte> payload);
  [[nodiscard]] bool function_call(std::span<Byte> payload);
  void copy_data(std::span<Byte> payload, bool from_client);
  void copy_failed(std::span<Byte> payload);
  void copy_end();
  void copy_begins(bool from_client, std::span<Byte> payload);
  // `once`: it is run but now, not later again.
  [[nodiscard]] Portal mask_sql(std::span<Byte> sql, bool once);
  void follow_tables(const StatementValues& values);
  void table_created();
  void learn_table(bool in_transaction);
  void forget_tables();
  void forget_dropped();
  [[nodiscard]] NamedValues named_in(const std::shared_ptr<const StatementValues>& values) const;

  void describe_rows(std::span<Byte> payload);
  [[nodiscard]] bool data_row(std::span<Byte> payload);
  [[nodiscard]] bool notification(std::span<Byte> payload);
  [[nodiscard]] bool error(std::span<Byte> payload, bool is_error);
  [[nodiscard]] bool tells_masked(const Portal& portal) const;
  [[nodiscard]] bool constraint_detail(std::span<Byte> text, const std::vector<std::string>& tables);
  // Which bytes are of tokens now.
  std::vector<bool> repeat_tokens(std::span<Byte> text);
  [[nodiscard]] bool names_masked(std::string_view text) const;
  void hide_quoted(std::span<Byte> text, const std::vector<bool>& tokens);
  void failed();
  void forget_undefined();
  void ready(std::span<const Byte> status);
  void pop(char type);
  // What is being answered; null: nothing that is known.
  [[nodiscard]] Pending* front() { return lost_ || pending_.empty() ? nullptr : &pending_.front(); }
  [[nodiscard]] const Pending* front() const {
    return lost_ || pending_.empty() ? nullptr : &pending_.front();
  }
  void push(char type, Portal portal = {}, bool of_statement = false);
  // What the rows at hand are of; null: not to be told.
  [[nodiscard]] const ResultShape* shape() const;
  void mask_by_pattern(std::span<Byte> text);

  ValueMasker& masker_;
  std::map<std::string, std::shared_ptr<Statement>, std::less<>> statements_;
  std::map<std::string, Portal, std::less<>> portals_;
  NamedValues named_;
  TableColumns tables_;               // temporary ones whose columns are known
  std::vector<std::string> dropped_;  // of these: at the transaction's end
  TableEffects created_;              // one that nothing was sent behind yet
  std::deque<Pending> pending_;
  bool in_step_ = false;       // nothing is being answered but what is pending
  bool lost_ = false;          // what is being answered is pending no more
  bool lost_inside_ = false;   // and after that, the beginning of what ends with another
  std::size_t lost_ends_ = 0;  // so many ReadyForQuery are to come until it is through
  bool skipping_ = false;      // the server passes over everything up to a Sync not sent yet
  enum class Copying : std::uint8_t { kNothing, kIn, kOut };
  Copying copying_ = Copying::kNothing;
  CopyMask copy_;
};

}  // namespace understudy::replayer
