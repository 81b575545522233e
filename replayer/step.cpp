#include "replayer/step.h"

namespace understudy::replayer {
namespace {

Step::Kind kind_of(RecordedStep::Kind kind) {
  if (kind == RecordedStep::Kind::kSend) return Step::Kind::kSend;
  if (kind == RecordedStep::Kind::kCancel) return Step::Kind::kCancel;
  return kind == RecordedStep::Kind::kReply ? Step::Kind::kReply : Step::Kind::kEnd;
}

}  // namespace

std::optional<Step> step_of(const RecordedStep& recorded) {
  if (recorded.kind == RecordedStep::Kind::kNothing) return std::nullopt;
  std::optional<Step> step(std::in_place);
  step->kind = kind_of(recorded.kind);
  step->time = recorded.time;
  step->bytes.assign(recorded.bytes.begin(), recorded.bytes.end());
  step->checkpoint = recorded.checkpoint;
  step->end = recorded.end;
  step->ran_for = recorded.ran_for;
  step->refusal = recorded.refusal;
  step->password_hidden = recorded.password_hidden;
  return step;
}

}  // namespace understudy::replayer
