// What `record` and `import` have alike in reading their command lines.
#pragma once

#include <cxxopts.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace understudy::recorder {

// Bad usage, in words.
[[noreturn]] inline void refuse(const std::string& what) { throw std::invalid_argument(what); }

// Empty when it was not given.
[[nodiscard]] inline std::string text_of(const cxxopts::ParseResult& given, const char* name) {
  return given.count(name) == 0 ? std::string() : given[name].as<std::string>();
}

// The arguments that are no options; "-" is one.
[[nodiscard]] inline std::vector<std::string> file_arguments(const cxxopts::ParseResult& given) {
  std::vector<std::string> files = given.unmatched();
  for (const std::string& file : files) {
    if (file.size() > 1 && file.front() == '-') refuse("unknown option " + file);
  }
  return files;
}

}  // namespace understudy::recorder
