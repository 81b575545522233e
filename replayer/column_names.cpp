#include "replayer/column_names.h"

#include "formats/wire/backend_messages.h"
#include "formats/wire/content_hash.h"
#include "replayer/readable.h"

namespace understudy::replayer {
namespace {

constexpr std::size_t kMaxNames = 100;
constexpr std::size_t kNameBytes = 60;

}  // namespace

void ColumnNames::note(StatementId statement, ByteView row_description) {
  if (!StatementCatalog::is_one_kind(statement)) return;
  Known& known = known_[statement];
  const std::uint64_t hash = wire::content_hash(row_description);
  if (known.hash == hash) return;
  known.hash = hash;
  known.names.clear();
  const auto decoded = wire::RowDescription::decode(row_description);
  if (!decoded) return;
  for (const wire::FieldDescription& field : decoded->fields) {
    if (known.names.size() == kMaxNames) return;
    known.names.push_back(readable_text(field.name, kNameBytes));
  }
}

const std::vector<std::string>& ColumnNames::names(StatementId statement) const {
  static const std::vector<std::string> kUnknown;
  const auto found = known_.find(statement);
  return found == known_.end() ? kUnknown : found->second.names;
}

}  // namespace understudy::replayer
