// What are the columns of a statement called? A RowDescription tells it, often long before the rows (when the
// statement was prepared), perhaps in another session. Bounded as the catalog of statements is. One thread at
// a time.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "formats/bytes.h"
#include "replayer/statement_catalog.h"

namespace understudy::replayer {

class ColumnNames {
 public:
  // The payload of a RowDescription that answers `statement`.
  void note(StatementId statement, ByteView row_description);
  // Readable, of the first hundred columns; empty when they are not known.
  [[nodiscard]] const std::vector<std::string>& names(StatementId statement) const;

 private:
  struct Known {
    std::uint64_t hash = 0;  // of the RowDescription they were read from
    std::vector<std::string> names;
  };
  std::unordered_map<StatementId, Known> known_;
};

}  // namespace understudy::replayer
