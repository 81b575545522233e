// What a recorded client's messages may touch, as they come: follows its prepared statements, its portals and
// what its transaction has written. Owned by CausalReader; the replay's thread.
#pragma once

#include <string>
#include <unordered_map>

#include "formats/wire/message_assembler.h"
#include "replayer/recorded_session.h"
#include "replayer/statement_footprints.h"

namespace understudy::replayer {

class SessionFootprint {
 public:
  // `statements`, of the session's database, is borrowed; null: nothing is known.
  SessionFootprint(StatementFootprints* statements, const SessionDescriptor& session);

  // Of what the client sent together.
  [[nodiscard]] Footprint sent(ByteView bytes);
  // The recorded server came so far.
  void answered(const Checkpoint& checkpoint);
  // Of the end of the session, wherever it is: its transaction is rolled back, its locks are let go.
  [[nodiscard]] Footprint leaving() const;

 private:
  void take(const wire::Message& message);
  void take_query(ByteView payload);
  void take_parse(ByteView payload);
  void take_bind(ByteView payload);
  void take_execute(ByteView payload);
  void run(const StatementShape& shape, Footprint rows);
  void ends_transaction();
  void may_touch_anything();
  void add_rows(const Footprint& rows);

  struct Portal {
    std::shared_ptr<const StatementShape> shape;
    Footprint rows;
  };

  StatementFootprints* statements_;
  wire::MessageAssembler messages_;
  std::unordered_map<std::string, KnownStatement> prepared_;
  std::unordered_map<std::string, Portal> portals_;
  Footprint now_;                    // of the bytes at hand
  std::vector<Access> transaction_;  // written since the transaction began
  bool transaction_anything_ = false;
  bool in_block_ = false;  // between BEGIN and COMMIT, as far as was sent
  bool ever_anything_ = false;
};

}  // namespace understudy::replayer
