#include "replayer/export/bound_values.h"

#include "formats/wire/frontend_messages.h"
#include "replayer/export/binary_value.h"

namespace understudy::replayer {
namespace {

std::uint32_t type_of(const StatementText& statement, std::size_t index) {
  const auto in = [index](const std::vector<std::uint32_t>& types) {
    return index < types.size() ? types[index] : 0U;
  };
  const std::uint32_t declared = in(statement.declared_types);
  return declared != 0 ? declared : in(statement.described_types);
}

}  // namespace

std::optional<std::vector<std::optional<std::string>>> bound_texts(const StatementText& statement,
                                                                   ByteView bind, std::string& why) {
  const auto decoded = wire::Bind::decode(bind);
  if (!decoded) {
    why = "its Bind is malformed";
    return std::nullopt;
  }
  std::vector<std::optional<std::string>> out;
  for (const wire::Value& value : decoded->parameters) {
    const std::size_t index = out.size();
    if (value.is_null) {
      out.emplace_back();
      continue;
    }
    if (decoded->parameter_formats.of(index) == 0) {
      out.emplace_back(std::string(value.text()));
      continue;
    }
    const std::uint32_t type = type_of(statement, index);
    std::optional<std::string> text = binary_to_text(type, value.bytes);
    if (!text) {
      why = type == 0 ? "a binary parameter whose type is not on record"
                      : "a binary parameter of type " + std::to_string(type);
      return std::nullopt;
    }
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace understudy::replayer
