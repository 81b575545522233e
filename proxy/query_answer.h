// What a server answered the proxy itself: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace understudy::proxy {

// Columns of a row in text format; nothing for NULL.
using QueryRow = std::vector<std::optional<std::string>>;

struct QueryAnswer {
  QueryRow row = {};     // the first; empty: none came
  std::size_t rows = 0;  // how many came
  // The server's words and SQLSTATE, when it refused: "FATAL: the database system is starting up (57P03)".
  std::string error = {};
  std::string sqlstate = {};
};

// What came of a question that needed a connection first.
struct BackendAnswer {
  QueryAnswer answer;     // its error says also why there was no connection, or what became of it
  bool asked = false;     // the question may have reached the server
  bool answered = false;  // and this is what it said
};

}  // namespace understudy::proxy
