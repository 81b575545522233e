// A session driven by hand through a Continuity: what the client says, what the server answers, losses and
// moves.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "formats/wire/backend_builders.h"
#include "formats/wire/backend_messages.h"
#include "formats/wire/frontend_builders.h"
#include "proxy/continuity.h"

namespace understudy::proxy {

using Lines = std::vector<std::string>;

// A message of either direction in a line: its type and, where it has one, its first text. What the proxy
// asks on its own, in seven messages, is one: "own: " and the SQL.
inline Lines lines_of(ByteView bytes) {
  Lines lines;
  bool own = false;
  while (!bytes.empty()) {
    const std::size_t size = std::size_t{load_be32(bytes.data() + 1)} + 1;
    const ByteView payload = bytes.subspan(5, size - 5);
    const char type = static_cast<char>(bytes.front());
    bytes = bytes.subspan(size);
    if (as_text(payload).find(kOwnName) != std::string_view::npos) {
      own = true;
      if (type == 'P') lines.push_back("own: " + std::string(wire::Parse::decode(payload)->sql));
      continue;
    }
    const bool ends_own = std::exchange(own, false) && (type == 'S' || type == 'H');
    if (ends_own) continue;
    std::string line(1, type);
    if (type == 'E' && payload.size() > 1 && payload[0] == 'S') {
      const auto error = wire::ErrorResponse::decode(payload);
      line += " " + std::string(error->sqlstate());
    } else if (type == 'Q' || type == 'C' || type == 'Z') {
      line += " " + std::string(as_text(payload.first(type == 'Z' ? 1 : payload.size() - 1)));
    } else if (type == 'D' && payload.size() > 3) {  // a row, not a Describe
      line += " " + std::string(as_text(payload.last(1)));
    }
    lines.push_back(line);
  }
  return lines;
}

inline const std::string kMarkQuestion = "own: " + std::string(kAskForMark);

class ContinuityTest : public ::testing::Test {
 protected:
  static ContinuityLimits guarded() {
    ContinuityLimits limits;
    limits.commit_guard = true;
    return limits;
  }
  void use(const ContinuityLimits& limits) {
    session_ = std::make_unique<Continuity>(limits, traits_);
    session_->served_by(1, {{"TimeZone", "UTC"}});
  }
  ContinuityTest() { use({}); }

  // What a server is sent when the client says `sql`.
  Lines ask(std::string_view sql) {
    ByteBuffer bytes;
    wire::append_query(bytes, sql);
    return lines_of(session_->to_server(bytes));
  }
  // What the client sees of an answer.
  Lines answer(const ByteBuffer& bytes) {
    Lines shown = lines_of(session_->to_client(bytes));
    for (const std::string& line : lines_of(session_->take_for_client())) shown.push_back(line);
    return shown;
  }
  static ByteBuffer done(std::string_view tag, char status) {
    ByteBuffer bytes;
    wire::append_command_complete(bytes, tag);
    wire::append_ready_for_query(bytes, static_cast<wire::TransactionStatus>(status));
    return bytes;
  }
  static ByteBuffer row(std::string_view value) {
    ByteBuffer bytes;
    const wire::Value columns[] = {{as_bytes(value)}};
    wire::append_data_row(bytes, columns);
    return bytes;
  }
  static ByteBuffer error(std::string_view sqlstate, std::string_view severity = "ERROR") {
    ByteBuffer bytes;
    wire::append_error_response(bytes, {.severity = severity, .sqlstate = sqlstate, .message = "no"});
    return bytes;
  }
  static ByteBuffer failed(char status) {
    ByteBuffer bytes = error("22012");
    wire::append_ready_for_query(bytes, static_cast<wire::TransactionStatus>(status));
    return bytes;
  }
  static ByteBuffer rows_of_answer(std::initializer_list<std::string_view> values) {
    ByteBuffer bytes;
    std::vector<wire::Value> columns;
    for (const std::string_view value : values) columns.push_back({as_bytes(value), false});
    wire::append_data_row(bytes, columns);
    append_bytes(bytes, done("SELECT 1", 'I'));
    return bytes;
  }
  static ByteBuffer both(ByteBuffer one, const ByteBuffer& other) {
    append_bytes(one, other);
    return one;
  }
  void exchange(std::string_view sql, std::string_view tag, char status) {
    (void)ask(sql);
    (void)answer(done(tag, status));
  }
  // The transaction's id, as the server tells it.
  void tell_mark(std::string_view id, std::string_view lsn) {
    EXPECT_EQ(answer(rows_of_answer({id, lsn, "noon"})), Lines{});
  }
  // Moves to a server; what it is asked at once.
  Lines move(std::uint32_t timeline = 2, std::vector<TimelineSwitch> switches = {{1, Lsn{0x1000}}}) {
    session_->server_lost();
    EXPECT_EQ(session_->cannot_move(), "");
    return find(timeline, std::move(switches));
  }
  Lines find(std::uint32_t timeline = 2, std::vector<TimelineSwitch> switches = {{1, Lsn{0x1000}}}) {
    session_->server_found(timeline, std::move(switches), {{"TimeZone", "UTC"}});
    return said();
  }
  Lines said() { return lines_of(session_->take_for_server()); }
  [[nodiscard]] bool relaying() const { return session_->stage() == Continuity::Stage::kRelaying; }

  StatementTraitsCache traits_;
  std::unique_ptr<Continuity> session_;
};

class CommitGuardTest : public ContinuityTest {
 protected:
  CommitGuardTest() { use(guarded()); }
  // Up to a COMMIT that is not answered; the id was given out at `lsn`.
  void commit_in_flight(std::string_view lsn) {
    exchange("BEGIN", "BEGIN", 'T');
    EXPECT_EQ(ask("UPDATE t SET a = 1"), (Lines{"Q UPDATE t SET a = 1", kMarkQuestion}));
    EXPECT_EQ(answer(done("UPDATE 1", 'T')), (Lines{"C UPDATE 1", "Z T"}));
    tell_mark("77", lsn);
    EXPECT_EQ(ask("COMMIT"), Lines{"Q COMMIT"});
  }
  // Its COMMIT waits until the id is known.
  static Lines replayed() { return {"Q BEGIN", "Q UPDATE t SET a = 1", kMarkQuestion}; }
  static std::string fate_question() {
    return "Q SELECT pg_catalog.txid_status(77), (pg_catalog.date_part('epoch', "
           "pg_catalog.pg_postmaster_start_time()) * 1000000)::pg_catalog.int8, "
           "(pg_catalog.pg_control_checkpoint()).checkpoint_lsn";
  }
};

}  // namespace understudy::proxy
