// What a client asked for, up to where the server says it is ready again: kept in a few words, whatever was
// sent. Owned by the ExchangeReader that read it. One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "formats/transcript/event.h"
#include "formats/wire/message_assembler.h"
#include "replayer/statement_catalog.h"

namespace understudy::replayer {

class Request {
 public:
  enum class Kind : std::uint8_t { kSimple, kFunctionCall, kPipeline };

  // What will be answered by a message of its own: Parse, Bind, Describe, Execute, Close; or the Query.
  struct Step {
    char type = 0;
    StatementId statement = StatementCatalog::kNone;
    TimeNs sent = 0;
    std::uint32_t bind_at = 0;  // of a Bind: its payload in binds_
    std::uint32_t bind_bytes = 0;
  };

  // Forgets what was asked, not the memory for it.
  void reset(Kind kind, TimeNs began);

  void add_step(char type, StatementId statement, TimeNs sent);
  // The step added last is a Bind, of this payload.
  void keep_bind(ByteView payload);
  // The text of a Query, of which the beginning is kept.
  void keep_text(std::string_view sql) { text_.assign(sql.substr(0, kTextBytes + 4)); }
  // Adds a message to the hash: parameters and COPY data included; Sync, Flush and CopyDone are not.
  void add_to_hash(const wire::Message& message);
  void add_to_hash(char type, std::uint64_t payload_hash);
  // Takes over what `next` asked, as part of this request.
  void append(const Request& next);
  // Forgets the first steps; those left move to the front.
  void drop_steps(std::size_t count);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] TimeNs began() const { return began_; }  // its first message
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  // Of its first step, whether still kept or not.
  [[nodiscard]] StatementId first_statement() const { return first_; }
  // A pipeline of nothing but its Sync.
  [[nodiscard]] bool is_lone_sync() const { return kind_ == Kind::kPipeline && first_type_ == 0; }

  // For people: the text of a Query ("" of others); the parameters of the Bind at or before a step of that
  // XX
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string parameters(std::size_t step) const;

  bool whole = false;     // its Query, FunctionCall or Sync was seen
  bool copy_end = false;  // CopyDone or CopyFail was seen

 private:
  static constexpr std::size_t kTextBytes = 400;

  Kind kind_ = Kind::kPipeline;
  TimeNs began_ = 0;
  std::uint64_t hash_ = 0;
  StatementId first_ = StatementCatalog::kNone;
  char first_type_ = 0;
  std::vector<Step> steps_;
  std::string text_;
  ByteBuffer binds_;  // payloads of the first Binds
};

}  // namespace understudy::replayer
