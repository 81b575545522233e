// What the answer to auth_query means. Pure: a row in, a secret out; any thread.
#pragma once

#include <memory>
#include <string>

#include "proxy/query_answer.h"
#include "proxy/user_file.h"

namespace understudy::proxy {

struct AuthQueryResult {
  // Null: there is no such user, or one without a secret.
  std::shared_ptr<const UserSecret> secret;
  std::string wrong;  // not empty: the query cannot be what it should be; for the log
};

// What an answer that is no error says of `user`.
[[nodiscard]] AuthQueryResult read_auth_answer(const std::string& user, const QueryAnswer& answer);

}  // namespace understudy::proxy
