// Two small recordings, written with verbs, for the tests of the diff: a session opens, its client asks, its
// server answers, it closes. What the two peers say is put together by Client and Server. A test owns its
// fixture.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/transcript/recording.h"
#include "formats/transcript/segment_writer.h"
#include "formats/wire/backend_builders.h"
#include "formats/wire/frontend_builders.h"
#include "replayer/diff.h"

namespace understudy::replayer::test {

inline constexpr TimeNs kMillisecond = 1'000'000;
inline constexpr TimeNs kStart = 1'800'000'000'000'000'000;

// Columns of a row, or parameters; nothing is NULL.
using Cells = std::vector<std::optional<std::string>>;

// "ta", "tb", ..., "tba": names that are no two alike but for their digits, which libpg_query takes for parts
// of one table.
[[nodiscard]] std::string letters(std::size_t number);

// What a client says, message after message.
class Client {
 public:
  Client& query(std::string_view sql);
  Client& parse(std::string_view name, std::string_view sql);
  Client& bind(std::string_view statement, const Cells& parameters = {}, std::string_view portal = "");
  Client& describe(wire::Target target = wire::Target::kPortal, std::string_view name = "");
  Client& execute(std::string_view portal = "", std::uint32_t max_rows = 0);
  Client& close(wire::Target target, std::string_view name);
  Client& sync();
  Client& flush();
  Client& copy_data(std::string_view text);
  Client& copy_done();
  Client& copy_fail(std::string_view why);
  Client& function_call(std::uint32_t oid, const Cells& arguments);
  Client& terminate();
  // Parse, Bind, Describe and Execute of an unnamed statement.
  Client& ask(std::string_view sql, const Cells& parameters = {});
  operator ByteView() const { return bytes_; }

 private:
  ByteBuffer bytes_;
};

// What a server says.
class Server {
 public:
  Server& columns(const std::vector<std::string>& names, std::uint32_t type = 23);
  Server& fields(const std::vector<wire::FieldDescription>& columns);
  Server& row(const Cells& cells);
  Server& tag(std::string_view tag);
  Server& error(std::string_view sqlstate, std::string_view message = "no",
                std::string_view severity = "ERROR");
  Server& notice(std::string_view message, std::string_view sqlstate = "00000");
  Server& status(std::string_view name, std::string_view value);
  Server& notification(std::string_view channel, std::string_view payload, std::uint32_t process_id = 1);
  Server& copy(char type, std::size_t columns = 2, std::uint8_t format = 0);
  Server& copy_data(std::string_view text);
  Server& copy_done();
  Server& parameters(const std::vector<std::uint32_t>& types);
  Server& function_result(const std::string& value);
  // Messages that are but their type: wire::backend::kParseComplete, ...
  Server& say(char type);
  Server& ready(char status = 'I');
  // ParseComplete, BindComplete, NoData: to a Client::ask() of a statement without rows.
  Server& prepared();
  // A whole answer to a simple Query of one column.
  Server& rows(const std::vector<std::string>& values);
  operator ByteView() const { return bytes_; }

 private:
  ByteBuffer bytes_;
};

// What a server tells at login.
struct LoginOptions {
  std::string user = "alice";
  std::string database = "shop";
  std::string application = "till";
  std::uint32_t process_id = 4711;
  std::string version = "15.18";
  std::vector<std::pair<std::string, std::string>> settings = {};
  // Of a replay: the recorded session and the recording.
  std::string origin = {};
  std::string recording = {};
  std::string replication = {};
  std::string replies = {};  // kRepliesAttribute
};

// A recording being written. Time goes on by a millisecond with every event.
class Tape {
 public:
  explicit Tape(std::string id);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Opens a session and logs it in; what follows is said in it.
  Tape& session(std::uint32_t number, const LoginOptions& login = {});
  // Opens it, and nothing more.
  Tape& connection(std::uint32_t number, const LoginOptions& login = {});
  // What follows is said in this session, opened before.
  Tape& in(std::uint32_t number);
  Tape& asks(ByteView client);
  Tape& answers(ByteView server);
  // A simple Query and its answer.
  Tape& exchange(std::string_view sql, ByteView server);
  Tape& leaves(CloseReason reason = CloseReason::kClientLeft);
  Tape& gap();
  // The time of the next event.
  Tape& after(TimeNs duration);
  // Ends a chunk here, which damage() then spoils.
  Tape& seal();
  Tape& damage_last_chunk();
  // Its recorder is killed at the end of it.
  Tape& not_closed();
  // Before anything else: sessions that were open before.
  Tape& continues(std::uint32_t number, const LoginOptions& login = {});

  [[nodiscard]] const std::string& id() const { return id_; }
  // As it is written so far; nothing can be written after.
  const Recording& recording();
  // The first session of it.
  [[nodiscard]] SessionSummary first_session();

 private:
  void event(EventKind kind, ByteView data);
  void write();

  std::string id_;
  std::filesystem::path directory_;
  std::vector<SessionDescriptor> continuing_;
  SessionId session_{1, 1};
  TimeNs time_ = kStart;
  Slab slab_;
  ChunkEncoder encoder_;
  std::vector<std::pair<ChunkHead, ByteBuffer>> chunks_;
  bool closed_ = true;
  std::unique_ptr<Recording> recording_;
};

// A LoginOptions of a session that replays `origin` of `tape`.
[[nodiscard]] LoginOptions replaying(const Tape& tape, std::uint32_t origin, LoginOptions login = {});

// Two tapes and what a diff says of them.
class DiffTest : public testing::Test {
 protected:
  // Opens session 1 on both sides.
  void both_open();
  void both_ask(ByteView client);
  void both_answer(ByteView server);
  void both_exchange(std::string_view sql, ByteView server);
  void both_leave();
  // The same question, two answers.
  void asked(std::string_view sql, ByteView answer_a, ByteView answer_b);

  // Runs the diff; `found` holds every difference, in order of finding.
  void compare(bool ignore_unpaired = false);
  [[nodiscard]] std::vector<DifferenceClass> classes() const;
  [[nodiscard]] const Difference& only_difference() const;
  [[nodiscard]] std::uint64_t noise(NoiseRule rule) const { return result.noise.of(rule); }

  Tape a{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  Tape b{"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"};
  DiffResult result;
  std::vector<Difference> found;
  SessionPairs::By paired_by = SessionPairs::By::kName;
};

}  // namespace understudy::replayer::test
