// Gives up what only opening the interface needed. Called by the main thread before others start.
#pragma once

#include <filesystem>
#include <string>

namespace understudy::recorder {

// Who a process of root should go on as: `wanted`, or who called sudo, or nobody. Empty when it is not root,
// and nobody was wanted. Throws std::runtime_error for a user there is none of.
[[nodiscard]] std::string user_to_become(const std::string& wanted);

// Creates `directory` (mode 0700) for that user if there is none. Throws std::system_error.
void create_for(const std::filesystem::path& directory, const std::string& user);

// Becomes that user (if not empty), for good, with no capability and no way to get one. Throws
// std::runtime_error.
void drop_privileges(const std::string& user);

// Called as that user. Throws std::runtime_error that names it when it may not write into the directory.
void check_writable(const std::filesystem::path& directory, const std::string& user);

}  // namespace understudy::recorder
