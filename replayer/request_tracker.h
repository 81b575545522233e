// Which of a client's requests the server's next message answers, and what came of each. Follows one
// session's messages in order; keeps what is unanswered, and what was answered until it is taken (PostgreSQL
// documentation, "Message Flow"). One thread at a time.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "formats/wire/message_assembler.h"

namespace understudy::replayer {

// A message of the client's that has an answer of its own worth knowing.
struct TrackedRequest {
  enum class Kind : std::uint8_t { kQuery, kFunctionCall, kParse, kDescribeStatement, kExecute, kSync };
  enum class End : std::uint8_t {
    kUnknown,  // the recording ends before the answer
    kDone,
    kFailed,
    kSkipped  // not looked at by the server, after an error in its pipeline
  };
  Kind kind = Kind::kQuery;
  End end = End::kUnknown;
  std::uint64_t parse_number = 0;              // of a Parse (1, 2, ...); the Parse that a Describe names
  std::vector<std::int16_t> result_formats;    // of an Execute: what its Bind asked for
  std::vector<std::string> tags;               // of the commands completed; "" for an empty query
  bool suspended = false;                      // an Execute that met its row limit
  std::uint32_t copies_in = 0;                 // times the server asked for COPY data
  bool binary_copy = false;                    // in the binary format, in or out
  std::vector<std::uint32_t> parameter_types;  // of a Describe: the server's answer
  std::string sqlstate;                        // of the failure
  std::string error;
  char status = 0;  // of what ends with ReadyForQuery (Query, FunctionCall, Sync): its transaction status

  [[nodiscard]] bool ends_exchange() const {
    return kind == Kind::kQuery || kind == Kind::kFunctionCall || kind == Kind::kSync;
  }
};

class RequestTracker {
 public:
  void client(const wire::Message& message);
  void server(const wire::Message& message);

  // Requests that are over, in the order they were made; the caller takes them from the front.
  [[nodiscard]] std::deque<TrackedRequest>& ended() { return ended_; }
  // Nothing more will come: what is unanswered ends as unknown.
  void finish();

  // The formats of the columns of the DataRow at hand: none mean text, one is for all.
  [[nodiscard]] const std::vector<std::int16_t>& row_formats() const;
  // Parse messages so far.
  [[nodiscard]] std::uint64_t parses() const { return parses_; }

 private:
  using Kind = TrackedRequest::Kind;
  using End = TrackedRequest::End;
  TrackedRequest* push(Kind kind);
  void parse(const wire::Message& message);
  void bind(const wire::Message& message);
  void describe(const wire::Message& message);
  void execute(const wire::Message& message);
  void sync();
  void copy_end();
  [[nodiscard]] TrackedRequest* front(Kind kind);
  void end_front(End end);
  void completed(const wire::Message& message);
  void copy_in(const wire::Message& message);
  void failed(const wire::Message& message);
  void skip_to_sync();
  void ready(const wire::Message& message);

  std::deque<TrackedRequest> requests_;  // unanswered; the front is being answered
  std::deque<TrackedRequest> ended_;
  bool skipping_ = false;  // the server passes over everything to a Sync that the client has not sent
  bool copying_in_ = false;
  // CopyDone or CopyFail that came before the server asked for data: how many requests were out then, plus 1.
  std::size_t early_copy_end_ = 0;
  std::uint64_t parses_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> parse_of_;  // statement -> its last Parse
  std::map<std::string, std::vector<std::int16_t>, std::less<>> portal_formats_;
  std::vector<std::int16_t> described_formats_;  // by the last RowDescription
};

}  // namespace understudy::replayer
