#include "replayer/harmless_functions.h"

#include <unordered_set>

namespace understudy::replayer {
namespace {

constexpr std::string_view kNames =
    "abs age array_agg array_length array_position array_to_string avg bool_and bool_or btrim ceil "
    "ceiling char_length concat concat_ws count date_part date_trunc dense_rank exp extract floor "
    "format generate_series greatest initcap json_agg json_build_object jsonb_agg jsonb_build_object "
    "lag lead least left length ln lower lpad ltrim max md5 min mod now nullif position power random "
    "rank repeat replace reverse right round row_number row_to_json rpad rtrim sign split_part sqrt "
    "string_agg strpos substr substring sum to_char to_date to_json to_jsonb to_number to_timestamp "
    "trim trunc unnest upper";

std::unordered_set<std::string_view> words_of(std::string_view text) {
  std::unordered_set<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.insert(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

}  // namespace

bool only_computes(std::string_view name) {
  static const std::unordered_set<std::string_view> names = words_of(kNames);
  return names.contains(name);
}

}  // namespace understudy::replayer
