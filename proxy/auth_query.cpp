#include "proxy/auth_query.h"

namespace understudy::proxy {

AuthQueryResult read_auth_answer(const std::string& user, const QueryAnswer& answer) {
  // PostgreSQL itself takes no longer ones (and md5 hashes and SCRAM secrets have some 130).
  constexpr std::size_t kLongestSecret = 1024;
  if (answer.rows == 0) return {};
  if (answer.rows > 1) return {nullptr, "auth_query brings more than one row"};
  const QueryRow& row = answer.row;
  if (row.size() < 2) return {nullptr, "auth_query brings no row of a name and a secret"};
  // Whoever is let in would be somebody else to the server.
  if (row[0] != user) return {nullptr, "auth_query brings another user than it was asked for"};
  if (!row[1] || row[1]->empty()) return {};
  if (row[1]->size() > kLongestSecret) return {nullptr, "auth_query brings a secret that is too long"};
  return {std::make_shared<const UserSecret>(parse_user_secret(user, *row[1])), {}};
}

}  // namespace understudy::proxy
