// What `verify` says of the chain of segments: what each run of the recorder left, where it begins and
// whether it ends, and what is not as it was. Pure functions.
#pragma once

#include <Poco/JSON/Object.h>

#include <string>
#include <vector>

#include "formats/transcript/chain.h"

namespace understudy::replayer {

// Lines of the summary.
[[nodiscard]] std::vector<std::string> chain_as_text(const ChainCheck& chain);
[[nodiscard]] Poco::JSON::Object chain_as_json(const ChainCheck& chain);

}  // namespace understudy::replayer
