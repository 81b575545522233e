// NOTIFY's payloads in a SessionMask: what a statement says, and what comes of it.
#include <algorithm>

#include "formats/wire/backend_messages.h"
#include "replayer/mask/session_mask.h"

namespace understudy::replayer {

std::vector<std::string> SessionMask::payloads_before(const std::vector<ValueRole>& roles,
                                                      const wire::ValueList& parameters) {
  std::vector<std::string> texts;
  if (std::none_of(roles.begin(), roles.end(), [](const ValueRole& role) { return role.is_payload(); }))
    return texts;
  for (const wire::Value& value : parameters) texts.emplace_back(as_text(value.bytes));
  return texts;
}

void SessionMask::tell_payloads(const std::vector<ValueRole>& roles, const std::vector<std::string>& before,
                                const wire::ValueList& parameters) {
  std::size_t i = 0;
  for (const wire::Value& value : parameters) {
    if (i >= before.size() || i >= roles.size()) return;
    const ValueRole& role = roles[i];
    const auto from = static_cast<std::size_t>(role.channel_parameter);
    const std::string& channel =
        role.channel_parameter >= 0 && from < before.size() ? before[from] : role.channel;
    masker_.payloads().say(channel, before[i++], as_text(value.bytes));
  }
}

// What no statement said is a trigger's or a function's, and may be of any column.
bool SessionMask::notification(std::span<Byte> payload) {
  const auto message = wire::NotificationResponse::decode(payload);
  if (!message) return false;
  if (message->payload.empty()) return true;
  const std::span<Byte> text = payload.subspan(
      static_cast<std::size_t>(as_bytes(message->payload).data() - payload.data()), message->payload.size());
  if (const std::string* const said = masker_.payloads().find(message->channel, message->payload)) {
    std::copy(said->begin(), said->end(), text.begin());
  } else if (masker_.rules().for_whole_row({}) != nullptr) {
    masker_.hide(text, 0, false);
  } else {
    const std::string before(as_text(text));
    masker_.mask(text, {});
    if (before == as_text(text)) repeat_tokens(text);  // no value as a whole: one may stand in it
  }
  return true;
}

}  // namespace understudy::replayer
