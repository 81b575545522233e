#include "proxy/authentication_filter.h"

#include "formats/wire/message_types.h"

namespace understudy::proxy {

std::optional<RedactionKind> AuthenticationFilter::server_message(char type, ByteView payload) {
  using Code = wire::AuthenticationCode;
  if (type == wire::backend::kBackendKeyData) return RedactionKind::kCancelKey;
  if (type != wire::backend::kAuthentication || payload.size() < 4) return std::nullopt;
  switch (static_cast<Code>(load_be32(payload.data()))) {
    case Code::kCleartextPassword:
      expected_ = RedactionKind::kPassword;
      return std::nullopt;
    case Code::kMd5Password:
      expected_ = RedactionKind::kPassword;
      return RedactionKind::kAuthSalt;
    case Code::kSasl:
      expected_ = RedactionKind::kSasl;
      return std::nullopt;  // names of mechanisms only
    case Code::kGss:
    case Code::kSspi:
    case Code::kGssContinue:
    case Code::kSaslContinue:
    case Code::kSaslFinal:
      expected_ = RedactionKind::kSasl;
      return RedactionKind::kSasl;
    case Code::kOk:
    case Code::kKerberosV5:
    case Code::kScmCredential:
      return std::nullopt;
  }
  return RedactionKind::kSasl;  // a method this version does not know: nothing of it is shown
}

}  // namespace understudy::proxy
