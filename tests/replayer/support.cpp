#include "tests/replayer/support.h"

#include <cstdlib>
#include <fstream>

#include "formats/command.h"
#include "formats/transcript/segment_name.h"
#include "formats/wire/message_types.h"
#include "replayer/commands.h"

namespace understudy::test {
namespace {

template <typename Append>
std::string built(Append&& append) {
  ByteBuffer out;
  append(out);
  return std::string(as_text(out));
}

std::vector<wire::Value> values(const std::vector<std::string>& texts) {
  std::vector<wire::Value> out;
  for (const std::string& text : texts) out.push_back({as_bytes(text), false});
  return out;
}

}  // namespace

std::string query(std::string_view sql) {
  return built([&](ByteBuffer& out) { wire::append_query(out, sql); });
}
std::string parse(std::string_view statement, std::string_view sql, std::vector<std::uint32_t> types) {
  return built([&](ByteBuffer& out) { wire::append_parse(out, statement, sql, types); });
}
std::string bind(std::string_view portal, std::string_view statement, std::vector<Parameter> parameters,
                 std::vector<std::int16_t> result_formats) {
  std::vector<std::int16_t> formats;
  std::vector<wire::Value> list;
  for (const Parameter& one : parameters) {
    formats.push_back(one.binary ? 1 : 0);
    list.push_back(one.null ? wire::Value::null() : wire::Value{as_bytes(one.bytes), false});
  }
  return built([&](ByteBuffer& out) {
    wire::append_bind(out, {portal, statement, formats, list, result_formats});
  });
}
std::string describe(char target, std::string_view name) {
  return built([&](ByteBuffer& out) { wire::append_describe(out, static_cast<wire::Target>(target), name); });
}
std::string execute(std::string_view portal, std::uint32_t max_rows) {
  return built([&](ByteBuffer& out) { wire::append_execute(out, portal, max_rows); });
}
std::string close(char target, std::string_view name) {
  return built([&](ByteBuffer& out) { wire::append_close(out, static_cast<wire::Target>(target), name); });
}
std::string sync() { return built(wire::append_sync); }
std::string terminate() { return built(wire::append_terminate); }
std::string copy_data(std::string_view data) {
  return built([&](ByteBuffer& out) { wire::append_copy_data(out, as_bytes(data)); });
}
std::string copy_done() { return built(wire::append_copy_done); }
std::string function_call(std::uint32_t oid) {
  return built([&](ByteBuffer& out) { wire::append_function_call(out, oid, {}, {}, 0); });
}

std::string setting(std::string_view name, std::string_view value) {
  return built([&](ByteBuffer& out) { wire::append_parameter_status(out, name, value); });
}
std::string complete(std::string_view tag) {
  return built([&](ByteBuffer& out) { wire::append_command_complete(out, tag); });
}
std::string error(std::string_view sqlstate, std::string_view message) {
  return built([&](ByteBuffer& out) {
    wire::append_error_response(
        out, {.severity = "ERROR", .sqlstate = sqlstate, .message = message, .detail = {}, .hint = {}});
  });
}
std::string ready(char status) {
  return built([&](ByteBuffer& out) {
    wire::append_ready_for_query(out, static_cast<wire::TransactionStatus>(status));
  });
}
std::string row(std::vector<std::string> columns) {
  return built([&](ByteBuffer& out) { wire::append_data_row(out, values(columns)); });
}
std::string row_description(std::vector<std::string> names, std::int16_t format) {
  std::vector<wire::FieldDescription> fields;
  for (const std::string& name : names) {
    fields.emplace_back().name = name;
    fields.back().format = format;
  }
  return built([&](ByteBuffer& out) { wire::append_row_description(out, fields); });
}
std::string parameter_types(std::vector<std::uint32_t> types) {
  return built([&](ByteBuffer& out) { wire::append_parameter_description(out, types); });
}
std::string copy_in_response(std::uint8_t format) {
  return built(
      [&](ByteBuffer& out) { wire::append_copy_response(out, wire::backend::kCopyInResponse, format, {}); });
}
std::string empty(char type) {
  return built([&](ByteBuffer& out) { wire::append_empty_message(out, type); });
}

Outcome run_command(std::vector<std::string> arguments) {
  static const std::vector<Subcommand> kCommands = {{"show", "", replayer::run_show},
                                                    {"diff", "", replayer::run_diff},
                                                    {"verify", "", replayer::run_verify},
                                                    {"export", "", replayer::run_export}};
  arguments.insert(arguments.begin(), "understudy");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = run_command_line(static_cast<int>(arguments.size()), argv.data(), kCommands);
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

TerminalColumns::TerminalColumns(const char* columns) { ::setenv("COLUMNS", columns, 1); }
TerminalColumns::~TerminalColumns() { ::unsetenv("COLUMNS"); }

RecordingTest::RecordingTest() {
  std::string pattern = (std::filesystem::temp_directory_path() / "understudy-replayer-XXXXXX").string();
  directory_ = mkdtemp(pattern.data());
}

RecordingTest::~RecordingTest() { std::filesystem::remove_all(directory_); }

void RecordingTest::begin_segment(std::uint32_t run, std::uint32_t number,
                                  const std::vector<SessionDescriptor>& continuing) {
  SegmentHeader header = default_header();
  header.run = run;
  header.segment = number;
  if (linked_run_ == run) header.previous = link_;
  linked_run_ = run;
  name_ = format_segment_name({run, number});
  begin(continuing, header);
}

void RecordingTest::save() {
  if (link_.segment != writer_->link().segment) link_ = writer_->link();  // not closed
  std::ofstream(directory_ / name_, std::ios::binary)
      .write(reinterpret_cast<const char*>(file_.contents.data()), static_cast<std::streamsize>(size()));
}

void RecordingTest::finish_and_save() {
  finish();
  save();
}

void RecordingTest::open_as(const SessionDescriptor& descriptor) {
  ByteBuffer payload;
  encode(descriptor, payload);
  event(descriptor.id, descriptor.opened_at, EventKind::kOpened, as_text(payload));
}

void RecordingTest::gap(SessionId session, TimeNs time, const Gap& gap) {
  ByteBuffer payload;
  encode(gap, payload);
  event(session, time, EventKind::kGap, as_text(payload));
}

void RecordingTest::close_as(SessionId session, TimeNs time, CloseReason reason, std::string text) {
  ByteBuffer payload;
  encode(CloseDetail{reason, std::move(text)}, payload);
  event(session, time, EventKind::kClosed, as_text(payload));
}

Outcome RecordingTest::run(const std::string& command, std::vector<std::string> options) const {
  options.insert(options.begin(), {command, path()});
  return run_command(std::move(options));
}

}  // namespace understudy::test
