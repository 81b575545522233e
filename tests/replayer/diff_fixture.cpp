#include "tests/replayer/diff_fixture.h"

#include <cstdlib>
#include <fstream>

#include "formats/transcript/known_replies.h"
#include "formats/transcript/segment_name.h"
#include "formats/wire/message_types.h"

namespace understudy::replayer::test {
namespace {

std::vector<wire::Value> values_of(const Cells& cells) {
  std::vector<wire::Value> values;
  for (const auto& cell : cells) values.push_back(cell ? wire::Value{as_bytes(*cell)} : wire::Value::null());
  return values;
}

}  // namespace

std::string letters(std::size_t number) {
  std::string name;
  do {
    name.insert(name.begin(), static_cast<char>('a' + number % 26));
    number /= 26;
  } while (number > 0);
  return "t" + name;
}

Client& Client::query(std::string_view sql) { return wire::append_query(bytes_, sql), *this; }
Client& Client::parse(std::string_view name, std::string_view sql) {
  return wire::append_parse(bytes_, name, sql), *this;
}
Client& Client::bind(std::string_view statement, const Cells& parameters, std::string_view portal) {
  const auto values = values_of(parameters);
  wire::append_bind(bytes_, {.portal = portal, .statement = statement, .parameters = values});
  return *this;
}
Client& Client::describe(wire::Target target, std::string_view name) {
  return wire::append_describe(bytes_, target, name), *this;
}
Client& Client::execute(std::string_view portal, std::uint32_t max_rows) {
  return wire::append_execute(bytes_, portal, max_rows), *this;
}
Client& Client::close(wire::Target target, std::string_view name) {
  return wire::append_close(bytes_, target, name), *this;
}
Client& Client::sync() { return wire::append_sync(bytes_), *this; }
Client& Client::flush() { return wire::append_flush(bytes_), *this; }
Client& Client::copy_data(std::string_view text) {
  return wire::append_copy_data(bytes_, as_bytes(text)), *this;
}
Client& Client::copy_done() { return wire::append_copy_done(bytes_), *this; }
Client& Client::copy_fail(std::string_view why) { return wire::append_copy_fail(bytes_, why), *this; }
Client& Client::function_call(std::uint32_t oid, const Cells& arguments) {
  return wire::append_function_call(bytes_, oid, {}, values_of(arguments), 0), *this;
}
Client& Client::terminate() { return wire::append_terminate(bytes_), *this; }
Client& Client::ask(std::string_view sql, const Cells& parameters) {
  return parse("", sql).bind("", parameters).describe().execute();
}

Server& Server::columns(const std::vector<std::string>& names, std::uint32_t type) {
  std::vector<wire::FieldDescription> described;
  for (const std::string& name : names)
    described.push_back({.name = name, .type_oid = type, .type_size = 4, .type_modifier = -1});
  return fields(described);
}
Server& Server::fields(const std::vector<wire::FieldDescription>& columns) {
  return wire::append_row_description(bytes_, columns), *this;
}
Server& Server::row(const Cells& cells) { return wire::append_data_row(bytes_, values_of(cells)), *this; }
Server& Server::tag(std::string_view tag) { return wire::append_command_complete(bytes_, tag), *this; }
Server& Server::error(std::string_view sqlstate, std::string_view message, std::string_view severity) {
  wire::append_error_response(bytes_, {.severity = severity, .sqlstate = sqlstate, .message = message});
  return *this;
}
Server& Server::notice(std::string_view message, std::string_view sqlstate) {
  wire::append_notice_response(bytes_, {.severity = "NOTICE", .sqlstate = sqlstate, .message = message});
  return *this;
}
Server& Server::status(std::string_view name, std::string_view value) {
  return wire::append_parameter_status(bytes_, name, value), *this;
}
Server& Server::notification(std::string_view channel, std::string_view payload, std::uint32_t process_id) {
  return wire::append_notification_response(bytes_, process_id, channel, payload), *this;
}
Server& Server::copy(char type, std::size_t columns, std::uint8_t format) {
  const std::vector<std::int16_t> formats(columns, format);
  return wire::append_copy_response(bytes_, type, format, formats), *this;
}
Server& Server::copy_data(std::string_view text) {
  return wire::append_copy_data(bytes_, as_bytes(text)), *this;
}
Server& Server::copy_done() { return wire::append_copy_done(bytes_), *this; }
Server& Server::parameters(const std::vector<std::uint32_t>& types) {
  return wire::append_parameter_description(bytes_, types), *this;
}
Server& Server::function_result(const std::string& value) {
  return wire::append_function_call_response(bytes_, {as_bytes(value)}), *this;
}
Server& Server::say(char type) { return wire::append_empty_message(bytes_, type), *this; }
Server& Server::ready(char status) {
  return wire::append_ready_for_query(bytes_, static_cast<wire::TransactionStatus>(status)), *this;
}
Server& Server::prepared() {
  return say(wire::backend::kParseComplete).say(wire::backend::kBindComplete).say(wire::backend::kNoData);
}
Server& Server::rows(const std::vector<std::string>& values) {
  columns({"value"});
  for (const std::string& value : values) row({value});
  return tag("SELECT " + std::to_string(values.size())).ready();
}

Tape::Tape(std::string id) : id_(std::move(id)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "understudy-diff-XXXXXX").string();
  directory_ = mkdtemp(pattern.data());
}

Tape::~Tape() {
  recording_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Tape::event(EventKind kind, ByteView data) {
  slab_.append(session_, time_, kind, data);
  time_ += kMillisecond;
}

Tape& Tape::connection(std::uint32_t number, const LoginOptions& login) {
  in(number);
  SessionDescriptor descriptor;
  descriptor.id = session_;
  descriptor.opened_at = time_;
  descriptor.startup_parameters = {
      {"user", login.user}, {"database", login.database}, {"application_name", login.application}};
  if (!login.replication.empty())
    descriptor.startup_parameters.emplace_back("replication", login.replication);
  if (!login.origin.empty())
    descriptor.attributes = {{"origin", login.origin}, {"recording", login.recording}};
  if (!login.replies.empty()) descriptor.attributes.emplace_back(kRepliesAttribute, login.replies);
  ByteBuffer payload;
  encode(descriptor, payload);
  event(EventKind::kOpened, payload);
  return *this;
}

Tape& Tape::session(std::uint32_t number, const LoginOptions& login) {
  connection(number, login);
  Server said;
  ByteBuffer bytes;
  wire::append_authentication_ok(bytes);
  said.status("server_version", login.version).status("session_authorization", login.user);
  for (const auto& [name, value] : login.settings) said.status(name, value);
  append_bytes(bytes, said);
  const Byte key[4] = {};
  wire::append_backend_key_data(bytes, login.process_id, key);
  wire::append_ready_for_query(bytes, wire::TransactionStatus::kIdle);
  return answers(bytes);
}

Tape& Tape::continues(std::uint32_t number, const LoginOptions& login) {
  in(number);
  SessionDescriptor descriptor;
  descriptor.id = session_;
  descriptor.opened_at = kStart - kMillisecond;
  descriptor.startup_parameters = {{"user", login.user}, {"database", login.database}};
  continuing_.push_back(descriptor);
  return *this;
}

Tape& Tape::in(std::uint32_t number) {
  session_ = {1, number};
  return *this;
}
Tape& Tape::asks(ByteView client) { return event(EventKind::kClientBytes, client), *this; }
Tape& Tape::answers(ByteView server) { return event(EventKind::kServerBytes, server), *this; }
Tape& Tape::exchange(std::string_view sql, ByteView server) {
  return asks(Client().query(sql)).answers(server);
}

Tape& Tape::leaves(CloseReason reason) {
  ByteBuffer payload;
  encode(CloseDetail{reason, {}}, payload);
  return event(EventKind::kClosed, payload), *this;
}

Tape& Tape::gap() {
  ByteBuffer payload;
  encode(Gap{GapReason::kOverload, time_, time_, 1, 1, 2}, payload);
  return event(EventKind::kGap, payload), *this;
}

Tape& Tape::after(TimeNs duration) {
  time_ += duration - kMillisecond;
  return *this;
}

Tape& Tape::seal() {
  ByteBuffer records;
  const ChunkHead head = encoder_.encode(slab_, records);
  chunks_.emplace_back(head, std::move(records));
  slab_.clear();
  return *this;
}

Tape& Tape::damage_last_chunk() {
  seal();
  chunks_.back().second.back() ^= 0xFF;
  return *this;
}

Tape& Tape::not_closed() {
  closed_ = false;
  return *this;
}

void Tape::write() {
  if (!slab_.empty()) seal();
  const auto file = create_file(directory_ / format_segment_name({1, 1}));
  SegmentWriter writer(*file, {id_, 1, 1, kStart, "understudy test", {}}, continuing_);
  for (const auto& [head, records] : chunks_) EXPECT_FALSE(writer.append_chunk(head, records));
  if (closed_) {
    EXPECT_FALSE(writer.finish());
  }
}

const Recording& Tape::recording() {
  if (!recording_) {
    write();
    recording_ = std::make_unique<Recording>(directory_);
  }
  return *recording_;
}

SessionSummary Tape::first_session() {
  std::optional<SessionSummary> first;
  (void)for_each_session(recording(), [&](const SessionSummary& summary) {
    if (!first) first = summary;
  });
  return first.value();
}

LoginOptions replaying(const Tape& tape, std::uint32_t origin, LoginOptions login) {
  login.origin = SessionId{1, origin}.to_string();
  login.recording = tape.id();
  return login;
}

void DiffTest::both_open() {
  a.session(1);
  b.session(1, replaying(a, 1));
}
void DiffTest::both_ask(ByteView client) {
  a.asks(client);
  b.asks(client);
}
void DiffTest::both_answer(ByteView server) {
  a.answers(server);
  b.answers(server);
}
void DiffTest::both_exchange(std::string_view sql, ByteView server) { asked(sql, server, server); }
void DiffTest::both_leave() {
  a.leaves();
  b.leaves();
}
void DiffTest::asked(std::string_view sql, ByteView answer_a, ByteView answer_b) {
  a.exchange(sql, answer_a);
  b.exchange(sql, answer_b);
}

void DiffTest::compare(bool ignore_unpaired) {
  result.tell([this](const Difference& difference) { found.push_back(difference); });
  Diff diff(a.recording(), b.recording(), result, ignore_unpaired);
  EXPECT_TRUE(diff.run([](TimeNs) { return true; }));
  paired_by = diff.paired_by();
}

std::vector<DifferenceClass> DiffTest::classes() const {
  std::vector<DifferenceClass> all;
  for (const Difference& each : found) all.push_back(each.difference);
  return all;
}

const Difference& DiffTest::only_difference() const {
  static const Difference kNone;
  EXPECT_EQ(found.size(), 1U);
  return found.empty() ? kNone : found.front();
}

}  // namespace understudy::replayer::test
