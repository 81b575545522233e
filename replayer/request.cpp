#include "replayer/request.h"

#include <algorithm>

#include "formats/wire/content_hash.h"
#include "formats/wire/message_types.h"
#include "replayer/readable.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kParameterBytes = 200;
constexpr std::size_t kBindBytes = std::size_t{1} << 10;  // kept of one Bind
constexpr std::size_t kBindsBytes = std::size_t{8} << 10;
constexpr std::size_t kKeptSteps = 1024;  // whose memory is used again
constexpr std::uint64_t kFnvPrime = 0x100000001B3;

// Reads a Bind of which the end may be missing.
std::string describe_parameters(ByteView payload) {
  ByteReader in(payload);
  (void)in.c_string();  // portal
  (void)in.c_string();  // statement
  (void)in.bytes(std::size_t{2} * in.be16());
  const std::size_t count = in.be16();
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ", ";
    if (out.size() > kParameterBytes || in.remaining() < 4) return out + "...";
    const std::uint32_t length = in.be32();
    const bool is_null = length == 0xFFFFFFFF;
    const bool cut = !is_null && length > in.remaining();
    const ByteView bytes = is_null ? ByteView() : in.bytes(cut ? in.remaining() : length);
    out += readable_value({bytes, is_null}, kParameterBytes);
    if (cut) return out + "...";
  }
  return out;
}

}  // namespace

void Request::reset(Kind kind, TimeNs began) {
  kind_ = kind;
  began_ = began;
  hash_ = 0;
  first_ = StatementCatalog::kNone;
  first_type_ = 0;
  steps_.clear();
  if (steps_.capacity() > kKeptSteps) steps_.shrink_to_fit();
  text_.clear();
  binds_.clear();
  whole = false;
  copy_end = false;
}

void Request::add_step(char type, StatementId statement, TimeNs sent) {
  if (first_type_ == 0) {
    first_type_ = type;
    first_ = statement;
  }
  steps_.push_back({type, statement, sent});
}

void Request::keep_bind(ByteView payload) {
  const std::size_t kept = std::min({payload.size(), kBindBytes, kBindsBytes - binds_.size()});
  steps_.back().bind_at = static_cast<std::uint32_t>(binds_.size());
  steps_.back().bind_bytes = static_cast<std::uint32_t>(kept);
  append_bytes(binds_, payload.first(kept));
}

void Request::add_to_hash(const wire::Message& message) {
  add_to_hash(message.type, message.truncated ? message.hash : wire::content_hash(message.payload));
}

void Request::add_to_hash(char type, std::uint64_t payload_hash) {
  hash_ = (hash_ * kFnvPrime) + ((payload_hash ^ static_cast<unsigned char>(type)) * 0x9E3779B97F4A7C15);
}

void Request::append(const Request& next) {
  for (const Step& step : next.steps_) {
    add_step(step.type, step.statement, step.sent);
    if (step.bind_bytes > 0) keep_bind(ByteView(next.binds_).subspan(step.bind_at, step.bind_bytes));
  }
  hash_ = hash_ * kFnvPrime + next.hash_;
  whole = next.whole;
  copy_end = next.copy_end;
}

void Request::drop_steps(std::size_t count) {
  steps_.erase(steps_.begin(), steps_.begin() + static_cast<std::ptrdiff_t>(count));
}

std::string Request::text() const { return readable_text(text_, kTextBytes); }

std::string Request::parameters(std::size_t step) const {
  if (steps_.empty()) return {};
  step = std::min(step, steps_.size() - 1);
  const StatementId statement = steps_[step].statement;
  for (std::size_t i = step + 1; i-- > 0;) {
    const Step& candidate = steps_[i];
    if (candidate.type != wire::frontend::kBind || candidate.statement != statement) continue;
    return describe_parameters(ByteView(binds_).subspan(candidate.bind_at, candidate.bind_bytes));
  }
  return {};
}

}  // namespace understudy::replayer
