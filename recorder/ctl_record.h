// `understudy ctl record ...`: what of the command line is asked of the admin port. Pure.
#pragma once

#include <string>
#include <vector>

namespace cxxopts {
class Options;
class ParseResult;
}  // namespace cxxopts

namespace understudy::recorder {

extern const char* const kCtlRecordNotes;

void add_ctl_record_options(cxxopts::Options& options);

struct CtlQuestion {
  std::string what;  // start, stop, status, mark, save
  std::string method;
  std::string target;
};
// `words` are those behind "record". Throws std::invalid_argument; also for options that are not for `what`.
[[nodiscard]] CtlQuestion ctl_record_question(const std::vector<std::string>& words,
                                              const cxxopts::ParseResult& given);
// Whether an option was given that is only for record.
[[nodiscard]] bool has_ctl_record_options(const cxxopts::ParseResult& given);

}  // namespace understudy::recorder
