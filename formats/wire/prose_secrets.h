// Passwords in text that quotes SQL and connection strings but is neither: a server's messages, with their
// details and contexts (`SQL statement "ALTER ROLE bob PASSWORD 'secret'"`). What is a password is told as
// SqlSecretScanner tells it, from the word PASSWORD or the scheme postgresql: on, whatever stands before.
#pragma once

#include <string>

namespace understudy::wire {

// Overwrites them with 'x', every length as it was. False when there were none.
[[nodiscard]] bool hide_secrets_in_prose(std::string& text);

}  // namespace understudy::wire
