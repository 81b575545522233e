// One exchange: its replies on both servers, side by side.
#include <algorithm>

#include "formats/transcript/known_replies.h"
#include "formats/wire/backend_messages.h"
#include "formats/wire/message_types.h"
#include "replayer/counted.h"
#include "replayer/readable.h"
#include "replayer/session_comparison.h"

namespace understudy::replayer {
namespace {

namespace backend = wire::backend;

constexpr std::uint32_t kFirstUserOid = 16384;  // FirstNormalObjectId: lower ones are the same everywhere

bool is_row(const Reply* reply) {
  return reply != nullptr &&
         (reply->message.type == backend::kDataRow || reply->message.type == backend::kCopyData);
}

bool same_payload(const wire::Message& a, const wire::Message& b) {
  return a.payload_length == b.payload_length && a.hash == b.hash &&
         std::equal(a.payload.begin(), a.payload.end(), b.payload.begin(), b.payload.end());
}

std::string kind_of(const Reply& reply) {
  return std::string(wire::message_name(Direction::kFromServer, reply.message.type));
}

std::string describe(const wire::FieldDescription& field) {
  return readable_text(field.name, 60) + " " + readable_type(field.type_oid, field.type_modifier) +
         (field.format == 0 ? "" : ", binary");
}

// "3 columns, text".
std::string describe_copy(const wire::Message& message) {
  const auto copy = wire::CopyOutResponse::decode(message.payload);  // the three kinds share their shape
  if (!copy) return "COPY that cannot be read";
  std::string out = "COPY of " + std::to_string(copy->column_formats.size()) + " columns, ";
  return out + (copy->overall_format == 0 ? "text" : "binary");
}

std::string state_in_words(const wire::Message& ready) {
  const std::string_view status = as_text(ready.payload);
  return status == "I"   ? "idle"
         : status == "T" ? "in a transaction"
         : status == "E" ? "in a failed transaction"
                         : "transaction status " + readable_text(status, 10);
}

void append_item(std::string& list, const std::string& item) {
  constexpr std::size_t kListBytes = 2000;
  if (list.size() > kListBytes) return;
  list += (list.empty() ? "" : ", ") + item;
  if (list.size() > kListBytes) list += ", ...";
}

// Types made by users are known by OIDs that each server makes for itself.
bool same_type(std::uint32_t a, std::uint32_t b, NoiseCounts& noise) {
  if (a == b) return true;
  if (a < kFirstUserOid || b < kFirstUserOid) return false;
  noise.add(NoiseRule::kTypeOid);
  return true;
}

// A replay asks lo_create() for what was asked of lo_creat() (object_creation.h).
bool same_name(std::string_view a, std::string_view b) {
  const auto asked = [](std::string_view name) { return name == "lo_creat" ? "lo_create" : name; };
  return asked(a) == asked(b);
}

bool same_field(const wire::FieldDescription& a, const wire::FieldDescription& b, NoiseCounts& noise) {
  if (!same_name(a.name, b.name) || a.type_size != b.type_size || a.type_modifier != b.type_modifier ||
      a.format != b.format || !same_type(a.type_oid, b.type_oid, noise)) {
    return false;
  }
  if (a.table_oid != b.table_oid || a.table_column != b.table_column) noise.add(NoiseRule::kTableOid);
  return true;
}

// Of an imported session: it was answered then, not only by then.
bool tells_time(const wire::Message& message) {
  if (message.type == backend::kErrorResponse) return true;
  const auto complete = wire::CommandComplete::decode(message.payload);
  return message.type == backend::kCommandComplete && complete && complete->tag == kAnsweredThen;
}

}  // namespace

void SessionComparison::next_a() {
  reply_a_ = a_.next_reply();
  if (reply_a_ == nullptr) return;
  timed_a_ = timed_a_ || tells_time(reply_a_->message);
  if (reply_a_->latency >= 0 && timed_a_)
    result_.add_latency(Side::kA, reply_a_->statement, reply_a_->latency);
}

void SessionComparison::next_b() {
  reply_b_ = b_.next_reply();
  if (reply_b_ == nullptr) return;
  timed_b_ = timed_b_ || tells_time(reply_b_->message);
  if (reply_b_->latency >= 0 && timed_b_)
    result_.add_latency(Side::kB, reply_b_->statement, reply_b_->latency);
}

void SessionComparison::drain() {
  while (reply_a_ != nullptr) next_a();
  while (reply_b_ != nullptr) next_b();
}

void SessionComparison::compare_exchange() {
  if (a_.transaction_status() == 'I' && b_.transaction_status() == 'I') transaction_diverged_ = false;
  exchange_different_ = false;
  rows_different_ = false;
  failure_told_ = false;
  timed_a_ = !a_only_errors_;
  timed_b_ = !b_only_errors_;
  next_a();
  next_b();
  if (only_errors()) {
    compare_failures();
  } else {
    compare_replies();
  }
  drain();
  compare_ends();
  if (!exchange_different_) return;
  ++result_.totals.exchanges_different;
  transaction_diverged_ = true;
}

void SessionComparison::compare_replies() {
  while (reply_a_ != nullptr && reply_b_ != nullptr) {
    if (is_row(reply_a_) || is_row(reply_b_)) {
      compare_rows();
    } else if (reply_a_->message.type != reply_b_->message.type) {
      compare_other_types();
      return;
    } else {
      if (!compare_same_type()) return;
      next_a();
      next_b();
    }
  }
}

// Of a log's replies only errors are known. Where one side does not go on, compare_ends() says so.
void SessionComparison::compare_failures() {
  ++result_.totals.exchanges_by_errors;
  while (reply_a_ != nullptr && reply_a_->message.type != backend::kErrorResponse) next_a();
  while (reply_b_ != nullptr && reply_b_->message.type != backend::kErrorResponse) next_b();
  if (reply_a_ != nullptr && reply_b_ != nullptr) return compare_errors();
  if (reply_a_ == nullptr && reply_b_ == nullptr) return;
  if (!(reply_a_ == nullptr ? a_ : b_).answered()) return;
  failure_told_ = true;
  report(reply_a_ == nullptr ? DifferenceClass::kNewError : DifferenceClass::kVanishedError,
         reply_a_ == nullptr ? "no error" : readable_error(reply_a_->message.payload),
         reply_b_ == nullptr ? "no error" : readable_error(reply_b_->message.payload));
}

// Replies of two kinds: what follows cannot be set side by side.
void SessionComparison::compare_other_types() {
  const bool error_a = reply_a_->message.type == backend::kErrorResponse;
  const bool error_b = reply_b_->message.type == backend::kErrorResponse;
  const auto said = [](const Reply& reply, bool error) {
    return error ? readable_error(reply.message.payload) : kind_of(reply);
  };
  // A result whose rows differ may well end in another way: that was told already.
  if (rows_different_ && !error_a && !error_b) return;
  failure_told_ = error_a || error_b;
  report(error_b   ? DifferenceClass::kNewError
         : error_a ? DifferenceClass::kVanishedError
                   : DifferenceClass::kReply,
         said(*reply_a_, error_a), said(*reply_b_, error_b));
}

// False when what follows cannot be set side by side.
bool SessionComparison::compare_same_type() {
  const char type = reply_a_->message.type;
  if (type == backend::kRowDescription) compare_columns();
  if (type == backend::kCopyOutResponse) {
    const auto copy = wire::CopyOutResponse::decode(reply_a_->message.payload);
    copy_format_ = copy && copy->overall_format == 0 ? RowFormat::kCopyText : RowFormat::kCopyBinary;
  }
  if (same_payload(reply_a_->message, reply_b_->message)) {
    if (type == backend::kCommandComplete) rows_different_ = false;
    return true;
  }
  switch (type) {
    case backend::kErrorResponse:
      compare_errors();
      return true;
    case backend::kCommandComplete:
      compare_tags();
      return true;
    case backend::kParameterDescription:
      compare_parameters();
      return true;
    case backend::kReadyForQuery:
      report(DifferenceClass::kTransactionState, state_in_words(reply_a_->message),
             state_in_words(reply_b_->message));
      return true;
    case backend::kFunctionCallResponse:
      compare_function_results();
      return true;
    case backend::kCopyInResponse:
    case backend::kCopyOutResponse:
    case backend::kCopyBothResponse:
      report(DifferenceClass::kColumns, describe_copy(reply_a_->message), describe_copy(reply_b_->message));
      return true;
    default:
      return true;
  }
}

void SessionComparison::compare_rows() {
  const Reply at = is_row(reply_a_) ? *reply_a_ : *reply_b_;
  rows_.begin(at.message.type == backend::kCopyData ? copy_format_ : RowFormat::kDataRow);
  while (is_row(reply_a_) || is_row(reply_b_)) {
    const bool one = is_row(reply_a_);
    const bool other = is_row(reply_b_);
    if (one && other) {
      rows_.add(reply_a_->message, reply_b_->message);
    } else {
      rows_.add(one ? Side::kA : Side::kB, (one ? reply_a_ : reply_b_)->message);
    }
    if (one) next_a();
    if (other) next_b();
  }
  const RowOutcome outcome = rows_.finish();
  result_.totals.rows += std::max(outcome.rows_a, outcome.rows_b);
  // What one server sent before it failed, or before its recording ends, is no result to compare.
  const auto failed = [](const Reply* reply) {
    return reply != nullptr && reply->message.type == backend::kErrorResponse;
  };
  if (reply_a_ == nullptr || reply_b_ == nullptr || failed(reply_a_) != failed(reply_b_)) return;
  report_rows(outcome, at);
}

void SessionComparison::report_rows(const RowOutcome& outcome, const Reply& at) {
  if (outcome.same_rows() && outcome.moved == 0) return;
  rows_different_ = true;
  Difference made = difference(outcome.rows_a != outcome.rows_b ? DifferenceClass::kRowCount
                               : outcome.same_rows()            ? DifferenceClass::kRowOrder
                                                                : DifferenceClass::kRows,
                               a_, &at);
  made.rows = outcome;
  if (at.message.type == backend::kDataRow) made.columns = result_.columns.names(at.statement);
  if (outcome.rows_a != outcome.rows_b) {
    made.in_a = counted(outcome.rows_a, "row");
    made.in_b = counted(outcome.rows_b, "row");
  }
  add(std::move(made));
}

// Severity and SQLSTATE are strict, the message is not: servers and languages word it anew.
void SessionComparison::compare_errors() {
  const auto a = wire::ErrorResponse::decode(reply_a_->message.payload);
  const auto b = wire::ErrorResponse::decode(reply_b_->message.payload);
  // A log may not tell SQLSTATEs.
  const bool untold = only_errors() && a && b && (a->sqlstate().empty() || b->sqlstate().empty());
  if (a && b && a->severity() == b->severity() && (untold || a->sqlstate() == b->sqlstate())) {
    result_.noise.add(NoiseRule::kErrorText);
    return;
  }
  failure_told_ = true;
  report(DifferenceClass::kSqlstate, readable_error(reply_a_->message.payload),
         readable_error(reply_b_->message.payload));
}

void SessionComparison::compare_tags() {
  const auto a = wire::CommandComplete::decode(reply_a_->message.payload);
  const auto b = wire::CommandComplete::decode(reply_b_->message.payload);
  const bool same_command = a && b && a->command == b->command;
  // Rows that differ in number were told as such.
  if (!(same_command && rows_different_)) {
    const bool other_count = same_command && a->rows != b->rows;
    report(other_count ? DifferenceClass::kRowCount : DifferenceClass::kCommandTag,
           a ? readable_text(a->tag, 100) : "?", b ? readable_text(b->tag, 100) : "?");
  }
  rows_different_ = false;
}

void SessionComparison::compare_columns() {
  result_.columns.note(reply_a_->statement, reply_a_->message.payload);
  if (same_payload(reply_a_->message, reply_b_->message)) return;
  const auto a = wire::RowDescription::decode(reply_a_->message.payload);
  const auto b = wire::RowDescription::decode(reply_b_->message.payload);
  if (!a || !b) {
    report(DifferenceClass::kColumns, a ? "columns" : "columns that cannot be read",
           b ? "columns" : "columns that cannot be read");
    return;
  }
  auto at_b = b->fields.begin();
  const auto end_b = b->fields.end();
  std::string in_a;
  std::string in_b;
  for (const wire::FieldDescription& field : a->fields) {
    const bool missing = at_b == end_b;
    if (missing || !same_field(field, *at_b, result_.noise)) {
      append_item(in_a, describe(field));
      if (!missing) append_item(in_b, describe(*at_b));
    }
    if (!missing) ++at_b;
  }
  for (; !(at_b == end_b); ++at_b) append_item(in_b, describe(*at_b));
  if (in_a.empty() && in_b.empty()) return;
  report(DifferenceClass::kColumns, in_a.empty() ? "no such column" : in_a,
         in_b.empty() ? "no such column" : in_b);
}

void SessionComparison::compare_parameters() {
  const auto a = wire::ParameterDescription::decode(reply_a_->message.payload);
  const auto b = wire::ParameterDescription::decode(reply_b_->message.payload);
  bool same = a && b && a->types.size() == b->types.size();
  for (std::size_t i = 0; same && i < a->types.size(); ++i)
    same = same_type(a->types[i], b->types[i], result_.noise);
  const auto described = [](const auto& parameters) {
    std::string list;
    for (std::size_t i = 0; parameters && i < parameters->types.size(); ++i)
      append_item(list, "$" + std::to_string(i + 1) + " " + readable_type(parameters->types[i], -1));
    return list.empty() ? std::string("no parameters") : list;
  };
  if (!same) report(DifferenceClass::kColumns, described(a), described(b));
}

void SessionComparison::compare_function_results() {
  const auto a = wire::FunctionCallResponse::decode(reply_a_->message.payload);
  const auto b = wire::FunctionCallResponse::decode(reply_b_->message.payload);
  if (a && b && noise_.absorbs(a->result, b->result, result_.noise)) return;
  const auto described = [](const auto& response) {
    constexpr std::size_t kResultBytes = 200;
    return response ? readable_value(response->result, kResultBytes) : "a result too large to keep";
  };
  report(DifferenceClass::kRows, described(a), described(b));
}

void SessionComparison::compare_ends() {
  if (a_.answered() != b_.answered()) {
    end_unanswered(a_.answered() ? b_ : a_, a_.answered() ? b_is_replay_ : a_is_replay_);
    return;
  }
  ++result_.totals.exchanges;
  if (a_.request().hash() != b_.request().hash()) ++result_.totals.requests_changed;
  if (!only_errors() && a_.answered()) compare_asides();
}

// A failed exchange brings other notices by nature.
void SessionComparison::compare_asides() {
  if (exchange_different_) return;
  const auto compare = [this](const Asides& a, const Asides& b) {
    if (a == b) return;
    report(DifferenceClass::kNotices, a.count == 0 ? "none" : std::to_string(a.count) + ": " + a.first,
           b.count == 0 ? "none" : std::to_string(b.count) + ": " + b.first);
  };
  compare(a_.notices(), b_.notices());
  compare(a_.settings(), b_.settings());
}

}  // namespace understudy::replayer
