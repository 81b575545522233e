// Conditions of --where against arbitrary text. What is held: a refusal is a ConditionError whose column is
// in the text; what is asked twice is answered the same; "not" is the opposite, and parentheses change
// nothing.
#include "formats/bytes.h"
#include "replayer/condition.h"
#include "tests/fuzz/require.h"

namespace understudy::replayer {
namespace {

SessionDescriptor some_session() {
  SessionDescriptor out;
  out.id = {1, 17};
  out.opened_at = 1000;
  out.startup_parameters = {{"user", "app"}, {"database", "shop"}, {"application_name", "till"}};
  out.peer = "192.0.2.7:49152";
  out.backend = "[::1]:5432";
  return out;
}

Statement some_statement() {
  auto text = std::make_shared<StatementText>();
  text->sql = "update stock set n = n - 1 where id = 7";
  Statement out;
  out.text = std::move(text);
  out.sqlstate = "40001";
  out.sent = 2000;
  out.duration = 150'000'000;
  return out;
}

void check(const std::string& text) {
  const SessionDescriptor session = some_session();
  const Statement statement = some_statement();
  const SessionTotals totals{1000, 9000, 5000, 1};
  const ConditionSubject subjects[] = {{session, &totals, &statement, 42}, {session, nullptr, nullptr, 0}};
  try {
    const Condition condition(text, 0);
    if (text.size() + 8 > Condition::kMaxBytes) return;
    std::optional<Condition> enclosed;
    std::optional<Condition> opposite;
    try {
      enclosed.emplace("(" + text + ")", 0);
      opposite.emplace("not (" + text + ")", 0);
    } catch (const ConditionError&) {
      return;  // nested as deeply as may be
    }
    for (const ConditionSubject& subject : subjects) {
      const bool holds = condition.holds(subject);
      require(holds == condition.holds(subject) && holds == enclosed->holds(subject));
      require(holds != opposite->holds(subject));
    }
  } catch (const ConditionError& error) {
    require(error.column() >= 1 && error.column() <= text.size() + 1);
    require(std::string_view(error.what()).starts_with("column "));
  }
}

}  // namespace
}  // namespace understudy::replayer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  understudy::replayer::check(std::string(understudy::as_text({data, size})));
  return 0;
}
