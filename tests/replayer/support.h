// Recordings a test writes itself, and the replayer's commands run on them. A test owns its fixture and with
// it a directory, removed at the end.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {

inline constexpr SessionId kA{1, 1};
inline constexpr SessionId kB{1, 2};
inline constexpr SessionId kC{1, 3};

// Messages, to be put together with +.
std::string query(std::string_view sql);
std::string parse(std::string_view statement, std::string_view sql, std::vector<std::uint32_t> types = {});
struct Parameter {
  std::string bytes;
  bool binary = false;
  bool null = false;
};
std::string bind(std::string_view portal, std::string_view statement, std::vector<Parameter> parameters = {},
                 std::vector<std::int16_t> result_formats = {});
std::string describe(char target, std::string_view name);
std::string execute(std::string_view portal, std::uint32_t max_rows = 0);
std::string close(char target, std::string_view name);
std::string sync();
std::string terminate();
std::string copy_data(std::string_view data);
std::string copy_done();
std::string function_call(std::uint32_t oid);

std::string setting(std::string_view name, std::string_view value);
std::string complete(std::string_view tag);
std::string error(std::string_view sqlstate, std::string_view message);
std::string ready(char status = 'I');
std::string row(std::vector<std::string> columns);
std::string row_description(std::vector<std::string> names, std::int16_t format = 0);
std::string parameter_types(std::vector<std::uint32_t> types);
std::string copy_in_response(std::uint8_t format = 0);
std::string empty(char type);  // ParseComplete and the like

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};
// Runs a command as main() does.
Outcome run_command(std::vector<std::string> arguments);

// A terminal of so many columns, as the environment tells a command, until the end of a test.
class TerminalColumns {
 public:
  explicit TerminalColumns(const char* columns);
  ~TerminalColumns();
  TerminalColumns(const TerminalColumns&) = delete;
  TerminalColumns& operator=(const TerminalColumns&) = delete;
};

// A directory of segments. TranscriptTest's verbs write the segment at hand; save() puts it there.
class RecordingTest : public TranscriptTest {
 protected:
  RecordingTest();
  ~RecordingTest() override;

  void begin_segment(std::uint32_t run, std::uint32_t number,
                     const std::vector<SessionDescriptor>& continuing = {});
  // The segment, as it is.
  void save();
  void finish_and_save();

  // A session opened at `time` as `descriptor` says.
  void open_as(const SessionDescriptor& descriptor);
  void gap(SessionId session, TimeNs time, const Gap& gap);
  void close_as(SessionId session, TimeNs time, CloseReason reason, std::string text = {});

  [[nodiscard]] std::string path() const { return directory_.string(); }
  // What a user would type: the command, the recording, the rest.
  [[nodiscard]] Outcome run(const std::string& command, std::vector<std::string> options = {}) const;

  std::filesystem::path directory_;
  std::string name_;
  std::uint32_t linked_run_ = 0;  // of the segment begun last, which the next one follows
};

}  // namespace understudy::test
