// A session that outlives its servers, against servers that end at any moment. A client that pipelines
// without looking sends a stream; Continuity and ProtocolTracker stand between it and model servers
// (model_server.h) as a ClientSession puts them there; the same stream, said to a model server that never
// ends, is what it should look like. What is held:
//
//   - a server is sent whole messages that mean something, whatever was lost in the middle of what;
//   - the client sees what it would have seen without losses, up to an error of the proxy's own or the
//     session's end, and nothing of what the proxy asked for itself;
//   - nothing is written twice; without an error of the proxy's and without lost commits, nothing is missing;
//   - once servers stay, everything is answered.
//
// Of a client that sends requests before the last one is answered the answers are not compared with
// commit_guard on: what the proxy asks between them may fail where they would not have.
//
// Input: choices of what the client says, of how much passes where, and of when and how servers end. With
// UNDERSTUDY_TRACE set, what happens is told on standard error.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <set>

#include "formats/wire/frontend_builders.h"
#include "proxy/continuity.h"
#include "proxy/protocol_tracker.h"
#include "tests/fuzz/model_server.h"

namespace understudy::proxy {
namespace {

namespace backend = wire::backend;

// --- What the client says ---------------------------------------------------------------------------------

class Client {
 public:
  // One that is patient waits for the answer to each of its requests; else it does not look.
  Client(FuzzedDataProvider& input, bool patient) : input_(input), patient_(patient) {}

  void speak() {
    switch (input_.ConsumeIntegralInRange(0, 11)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return query(statement());
      case 4:
        return query(numbered("INSERT INTO t VALUES (?)") + ";" + numbered("INSERT INTO t VALUES (?)"));
      case 5:
        return patient_ ? copy() : whole_pipeline();
      case 6:
      case 7:
        return whole_pipeline();
      case 8:
        return end_pipeline();
      default:
        return piece_of_pipeline();
    }
  }
  // So that everything asked for has an answer, and no transaction is left open.
  void finish() { query("ROLLBACK"); }

  [[nodiscard]] const ByteBuffer& said() const { return said_; }
  // Where the request ends that holds what is said at `offset`.
  [[nodiscard]] std::size_t end_of_request(std::size_t offset) const {
    const auto end = std::upper_bound(ends_.begin(), ends_.end(), offset);
    return end == ends_.end() ? said_.size() : *end;
  }
  [[nodiscard]] bool between_requests(std::size_t offset) const {
    return offset == 0 || std::binary_search(ends_.begin(), ends_.end(), offset);
  }
  // How often a write with that number was asked for, at most.
  [[nodiscard]] unsigned asked(unsigned number) const {
    return prepared_.contains(number) ? 1 + executes_ : 1;
  }

 private:
  std::string numbered(std::string sql) {
    sql.replace(sql.find('?'), 1, std::to_string(++number_));
    return sql;
  }
  std::string statement() {
    switch (input_.ConsumeIntegralInRange(0, 17)) {
      case 0:
      case 1:
      case 2:
        return "BEGIN";
      case 3:
      case 4:
      case 5:
        return "COMMIT";
      case 6:
        return "ROLLBACK";
      case 7:
      case 8:
        return numbered("INSERT INTO t VALUES (?)");
      case 9:
        return numbered("INSERT INTO t VALUES (?) RETURNING a");
      case 10:
        return numbered("INSERT INTO t VALUES (? / 0)");
      case 11:
        return numbered("SELECT ? / 0");
      case 12:
        return numbered("SET work_mem = ?");
      case 13:
        return "SHOW work_mem";
      case 14:
        return input_.ConsumeBool() ? "SAVEPOINT s" : "ROLLBACK TO s";
      case 15:
        return input_.ConsumeBool() ? "DEALLOCATE ALL" : "COMMIT AND CHAIN";
      default:
        return numbered("SELECT ?");
    }
  }
  std::string_view name() { return input_.PickValueInArray<std::string_view>({"", "a", "b"}); }

  void query(const std::string& sql) {
    end_pipeline();
    wire::append_query(said_, sql);
    ends_.push_back(said_.size());
  }
  void sync() {
    wire::append_sync(said_);
    ends_.push_back(said_.size());
  }
  // In the simple protocol: in the extended one who does not wait for CopyInResponse cannot know which of his
  // Syncs are read as data.
  void copy() {
    query(numbered("COPY t? FROM STDIN"));
    wire::append_copy_data(said_, as_bytes("1\tone\n"));
    if (input_.ConsumeBool()) wire::append_copy_data(said_, as_bytes("2\ttwo\n"));
    input_.ConsumeBool() ? wire::append_copy_done(said_) : wire::append_copy_fail(said_, "no");
    ends_.back() = said_.size();
  }
  void parse(std::string_view statement, const std::string& sql) {
    prepared_.insert(number_);
    wire::append_parse(said_, statement, sql);
  }
  void execute(std::string_view portal) {
    ++executes_;
    wire::append_execute(said_, portal);
  }
  void whole_pipeline() {
    parse("", statement());
    wire::append_bind(said_, {});
    wire::append_describe(said_, wire::Target::kPortal, {});
    execute({});
    sync();
    open_ = false;
  }
  void piece_of_pipeline() {
    open_ = true;
    switch (input_.ConsumeIntegralInRange(0, 6)) {
      case 0:
        return parse(name(), statement());
      case 1: {
        const std::string_view portal = name();
        return wire::append_bind(said_, {.portal = portal, .statement = name()});
      }
      case 2: {
        const wire::Target target = input_.ConsumeBool() ? wire::Target::kPortal : wire::Target::kStatement;
        return wire::append_describe(said_, target, name());
      }
      case 3: {
        const wire::Target target = input_.ConsumeBool() ? wire::Target::kPortal : wire::Target::kStatement;
        return wire::append_close(said_, target, name());
      }
      case 4:
        return wire::append_flush(said_);
      default:
        return execute(name());
    }
  }
  void end_pipeline() {
    if (std::exchange(open_, false)) sync();
  }

  FuzzedDataProvider& input_;
  const bool patient_;
  ByteBuffer said_;
  std::vector<std::size_t> ends_;
  std::set<unsigned> prepared_;
  unsigned executes_ = 0;
  unsigned number_ = 0;
  bool open_ = false;
};

// --- What it sees -----------------------------------------------------------------------------------------

// Up to where the proxy itself told an error.
std::size_t until_told(ByteView shown) {
  for (std::size_t at = 0; shown.size() - at >= 5;) {
    const std::size_t size = std::size_t{load_be32(shown.data() + at + 1)} + 1;
    if (size > shown.size() - at) break;
    if (static_cast<char>(shown[at]) == backend::kErrorResponse) {
      const auto error = wire::ErrorResponse::decode(shown.subspan(at + 5, size - 5));
      require(static_cast<bool>(error));
      if (error->sqlstate() == "40001" || error->sqlstate() == "08007") return at;
    }
    at += size;
  }
  return shown.size();
}

// --- A finding, told
// -----------------------------------------------------------------------------------------

void trace(const char* what, ByteView bytes = {}) {
  static const bool wanted = std::getenv("UNDERSTUDY_TRACE") != nullptr;
  if (!wanted) return;
  std::fprintf(stderr, "%-12s", what);
  for (const Byte byte : bytes) {
    if (byte >= ' ' && byte < 127)
      std::fputc(byte, stderr);
    else
      std::fprintf(stderr, "\\%x", byte);
  }
  std::fputc('\n', stderr);
}

// --- The session ------------------------------------------------------------------------------------------

class World {
 public:
  explicit World(FuzzedDataProvider& input)
      : input_(input),
        patient_(input.ConsumeBool()),
        client_(input, patient_),
        guarded_(input.ConsumeBool()),
        session_(limits(input, guarded_), traits()) {
    for (const SessionEvent event : {SessionEvent::kStartupReceived, SessionEvent::kReady}) {
      require(tracker_.advance(event));
    }
    session_.served_by(database_.timeline, {});
    server_ = std::make_unique<model::Session>(database_);
  }

  void run() {
    while (input_.remaining_bytes() > 0 && !over_) turn();
    client_.finish();
    for (int idle = 0; idle < 3 && !over_;) idle = settle() ? 0 : idle + 1;
    judge();
  }

 private:
  static ContinuityLimits limits(FuzzedDataProvider& input, bool guarded) {
    ContinuityLimits limits;
    limits.commit_guard = guarded;
    if (input.ConsumeBool()) limits.transaction_bytes = input.ConsumeIntegralInRange(50U, 2000U);
    return limits;
  }
  static StatementTraitsCache& traits() {
    static StatementTraitsCache cache;
    return cache;
  }

  void turn() {
    switch (input_.ConsumeIntegralInRange(0, 15)) {
      case 0:
      case 1:
      case 2:
        return client_.speak();
      case 3:
      case 4:
      case 5:
        return read_client(input_.ConsumeIntegral<std::uint8_t>());
      case 6:
        return read_client(SIZE_MAX);
      case 7:
      case 8:
      case 9:
        return work(input_.ConsumeIntegralInRange(1U, 5U));
      case 10:
      case 11:
        return read_server(input_.ConsumeIntegral<std::uint8_t>());
      case 12:
        return read_server(SIZE_MAX);
      case 13:
        if (ghost_ && !ghost_->step()) ghost_->end();
        return;
      case 14:
        return moving_ && !server_ ? find() : lose();
      default:
        return moving_ && !server_ ? find() : void();
    }
  }
  // Everything goes as far as it can. False when nothing could.
  bool settle() {
    const std::size_t before = passed_;
    if (moving_ && !server_) find();
    finish_ghost();
    read_client(SIZE_MAX);
    work(SIZE_MAX);
    read_server(SIZE_MAX);
    return passed_ != before;
  }

  void read_client(std::size_t most) {
    if (over_ || moving_ || session_.holds_client()) return;
    if (patient_ && client_.between_requests(read_) && tracker_.state() != SessionState::kReady) return;
    const std::size_t end = patient_ ? client_.end_of_request(read_) : client_.said().size();
    const ByteView view = ByteView(client_.said()).subspan(read_, std::min(most, end - read_));
    if (view.empty()) return;
    const ByteBuffer bytes(view.begin(), view.end());
    read_ += bytes.size();
    passed_ += bytes.size();
    trace("client", bytes);
    require(tracker_.client_bytes(bytes));
    send(session_.to_server(bytes));
    go_on();
  }
  void work(std::size_t messages) {
    while (server_ && !server_->over() && messages-- > 0 && server_->step()) ++passed_;
  }
  void read_server(std::size_t most) {
    if (over_ || !server_ || server_->out().empty()) return;
    ByteBuffer& out = server_->out();
    const auto size = static_cast<std::ptrdiff_t>(std::min(most, out.size()));
    const ByteBuffer bytes(out.begin(), out.begin() + size);
    out.erase(out.begin(), out.begin() + size);
    passed_ += bytes.size();
    trace("server", bytes);
    const ByteView shown = session_.to_client(bytes);
    if (!shown.empty()) {
      tracker_.server_restored();
      show(shown);
    }
    go_on();
    if (over_) return;
    if (tracker_.idle()) session_.at_rest();
    if (session_.server_leaves()) lose_server(true);
  }
  // As ClientSession::go_on().
  void go_on() {
    if (!session_.broken().empty()) return end(session_.broken());
    const ByteBuffer ours = session_.take_for_server();
    if (server_) send(ours);
    using Stage = Continuity::Stage;
    const bool resumed = session_.stage() == Stage::kRelaying || session_.stage() == Stage::kReplaying;
    if (!resumed || session_.server_leaves()) return;
    tracker_.server_restored();
    show(session_.take_for_client());
    if (session_.stage() != Stage::kRelaying || !moving_) return;
    (void)session_.take_missing_commit();
    moving_ = false;
  }
  void send(ByteView bytes) {
    if (!bytes.empty()) trace("  sent", bytes);
    if (server_) server_->take(bytes);
  }
  void show(ByteView bytes) {
    if (!bytes.empty()) trace("  shown", bytes);
    passed_ += bytes.size();
    append_bytes(shown_, bytes);
    require(as_text(bytes).find(model::kOwn) == std::string_view::npos);
    const bool followed = tracker_.server_bytes(bytes);
    if (!followed) trace("refused", as_bytes(tracker_.violation()));
    require(followed);
  }
  void end(const std::string& why) {
    trace("over", as_bytes(why));
    over_ = true;
  }

  // A server ends: with some of what it was sent done, and some of what it said heard.
  void lose() {
    if (!server_) return;
    work(input_.ConsumeIntegralInRange(0U, 6U));
    const unsigned how = input_.ConsumeIntegralInRange(0U, 3U);
    if (how == 0 && server_->out().empty()) {
      server_->end();
      wire::append_error_response(server_->out(),
                                  {.severity = "FATAL", .sqlstate = "57P01", .message = "bye"});
      return read_server(SIZE_MAX);
    }
    if (how == 1) read_server(input_.ConsumeIntegral<std::uint8_t>());
    if (!over_ && server_) lose_server(false);
  }
  void lose_server(bool closed) {
    finish_ghost();
    // The connection may be cut and the server live: it does what it was sent, and then sees the end.
    ghost_ = std::move(server_);
    if (closed) finish_ghost();
    trace("lost");
    session_.server_lost();
    tracker_.server_lost();
    moving_ = true;
    if (!session_.cannot_move().empty()) end(session_.cannot_move());
  }
  void finish_ghost() {
    if (!ghost_) return;
    while (!ghost_->over() && ghost_->step()) {
    }
    if (!ghost_->over()) ghost_->end();
    ghost_.reset();
  }
  void find() {
    const std::uint64_t commit = database_.last_commit();
    const std::uint64_t spare = (database_.lsn - commit) / 8;
    const unsigned how = input_.ConsumeIntegralInRange(0U, 3U);
    if (how > 0 && ghost_) {
      ghost_->end();
      ghost_.reset();
    }
    if (how == 1) database_.restart(commit + 8 * input_.ConsumeIntegralInRange<std::uint64_t>(0, spare));
    if (how == 2) database_.promote(commit + 8 * input_.ConsumeIntegralInRange<std::uint64_t>(0, spare));
    if (how == 3) {  // a replica that was behind
      const std::uint64_t behind = input_.ConsumeIntegralInRange<std::uint64_t>(0, 5);
      const std::uint64_t end = std::max<std::uint64_t>(0x1000, database_.lsn - 8 * behind);
      commits_gone_ = commits_gone_ || end < commit;
      database_.promote(end);
    }
    server_ = std::make_unique<model::Session>(database_);
    trace("found", as_bytes(std::to_string(how)));
    tracker_.server_found();
    session_.server_found(database_.timeline, database_.switches, {});
    ++passed_;
    go_on();
  }

  void judge() {
    finish_ghost();
    model::Database quiet;
    model::Session direct(quiet);
    direct.take(client_.said());
    while (direct.step()) {
    }
    const ByteView expected = direct.out();
    trace("expected", expected);
    if (!patient_ && guarded_) return;
    const std::size_t told = until_told(shown_);
    require(told <= expected.size() &&
            std::equal(shown_.begin(), shown_.begin() + static_cast<std::ptrdiff_t>(told), expected.begin()));
    for (const auto& [number, times] : database_.applied()) require(times <= client_.asked(number));
    if (over_) return;
    require(read_ == client_.said().size() && !moving_ && tracker_.idle());
    if (told < shown_.size()) return;
    require(shown_.size() == expected.size());
    require(!patient_ || commits_gone_ || database_.applied() == quiet.applied());
  }

  FuzzedDataProvider& input_;
  const bool patient_;
  Client client_;
  const bool guarded_;
  Continuity session_;
  ProtocolTracker tracker_;
  model::Database database_;
  std::unique_ptr<model::Session> server_;
  std::unique_ptr<model::Session> ghost_;  // the last one, where only its connection was lost
  ByteBuffer shown_;
  std::size_t read_ = 0;
  std::size_t passed_ = 0;  // what happened, so that a standstill is seen
  bool moving_ = false;
  bool over_ = false;
  bool commits_gone_ = false;
};

}  // namespace
}  // namespace understudy::proxy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMost = 1024;  // longer ones cost time and find nothing more
  FuzzedDataProvider input(data, std::min(size, kMost));
  understudy::proxy::World(input).run();
  return 0;
}
