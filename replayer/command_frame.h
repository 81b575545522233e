// What the replayer's commands have in common on the command line: one RECORDING, --help with exit codes, bad
// usage told and answered with 2, a reader that closed the pipe. Called by the main thread.
#pragma once

#include <cxxopts.hpp>
#include <functional>
#include <string>

#include "formats/transcript/recording.h"

namespace understudy::replayer {

// What was asked for was done, but for what is damaged in the recording.
inline constexpr int kExitInPart = 3;

// Bad usage: what() is told, with a hint at --help.
[[noreturn]] void usage(const std::string& what);

// Options with --help and the positional RECORDING; add the command's own with add_options().
[[nodiscard]] cxxopts::Options command_options(const std::string& name, const std::string& summary);

// Parses and runs `body(given, path of the recording)`, whose exit code it returns. `notes` end the help.
// Exceptions of `body` pass, but for std::invalid_argument (bad usage: 2) and OutputClosed (0).
int run_command(cxxopts::Options& options, const std::string& notes, int argc, char** argv,
                const std::function<int(const cxxopts::ParseResult&, const std::string&)>& body);

// The number that an option was given, or has by default; bad usage when it is none.
[[nodiscard]] std::uint64_t count_option(const cxxopts::ParseResult& given, const std::string& name);

// Bad usage when writing `file` (the value of `option`) would overwrite a segment of the recording, or put a
// file among them that would be taken for one.
void refuse_to_overwrite(const Recording& recording, const std::string& option, const std::string& file);

// --where: a condition (condition.h); "" when it was not given. Bad usage when it is empty.
[[nodiscard]] std::string where_option(const cxxopts::ParseResult& given);

// The value of an option; "" when it was not given.
[[nodiscard]] std::string option(const cxxopts::ParseResult& given, const char* name);

}  // namespace understudy::replayer
