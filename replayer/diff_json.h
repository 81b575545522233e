// A diff as JSON for scripts: one object whose "differences" are written as they are found, so that all of
// them are there however many; what sums them up follows.
#pragma once

#include <iosfwd>

#include "replayer/diff_report.h"

namespace understudy::replayer {

class DiffJson {
 public:
  // Begins the object. `out` is borrowed; check it after finish().
  explicit DiffJson(std::ostream& out);
  void add(const Difference& difference, const StatementCatalog& catalog);
  void finish(const DiffResult& result, const DiffSubjects& subjects);

 private:
  std::ostream& out_;
  bool first_ = true;
};

}  // namespace understudy::replayer
