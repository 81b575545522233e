// samples/understudy.ini against the keys the program knows: neither may have one the other lacks.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "recorder/proxy_settings.h"

namespace understudy::recorder {
namespace {

std::string sample() {
  const std::ifstream file("samples/understudy.ini");  // CTest runs this in the source directory
  EXPECT_TRUE(file.is_open());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The sample with every key given.
std::string uncommented() { return std::regex_replace(sample(), std::regex("(^|\n);([a-z_]+ = )"), "$1$2"); }

TEST(SampleConfigurationTest, EveryKnownKeyIsDocumented) {
  std::set<std::string> documented;
  for (const Setting& setting : parse_settings(uncommented(), "sample")) documented.insert(setting.key);
  for (const KeyHelp& known : known_keys()) {
    EXPECT_EQ(documented.count(std::string(known.key)), 1U)
        << known.key << " is missing in samples/understudy.ini";
  }
}

TEST(SampleConfigurationTest, EveryDocumentedKeyIsAccepted) {
  EXPECT_NO_THROW((void)apply_settings(parse_settings(uncommented(), "sample")));
}

TEST(SampleConfigurationTest, AsItIsTheSampleChangesNothing) {
  EXPECT_TRUE(parse_settings(sample(), "sample").empty());
}

TEST(SampleConfigurationTest, DocumentedDefaultsAreTheDefaults) {
  const ProxySettings plain = apply_settings({});
  const ProxySettings given = apply_settings(parse_settings(uncommented(), "sample"));
  EXPECT_EQ(given.configuration.limits, plain.configuration.limits);
  EXPECT_EQ(given.configuration.listen, plain.configuration.listen);
  EXPECT_EQ(given.configuration.backends, plain.configuration.backends);
  EXPECT_EQ(given.configuration.workers, plain.configuration.workers);
  EXPECT_EQ(given.configuration.listen_backlog, plain.configuration.listen_backlog);
  EXPECT_EQ(given.configuration.unix_socket_mode, plain.configuration.unix_socket_mode);
  EXPECT_EQ(given.recording.segment_bytes, plain.recording.segment_bytes);
  EXPECT_EQ(given.recording.segment_age, plain.recording.segment_age);
  EXPECT_EQ(given.recording.queue_bytes, plain.recording.queue_bytes);
  EXPECT_EQ(given.recording.fsync, plain.recording.fsync);
  EXPECT_EQ(given.recording.level, plain.recording.level);
}

TEST(SampleConfigurationTest, DefaultsInHelpAreTheDefaultsInTheSample) {
  std::map<std::string, std::string> documented;
  for (const Setting& setting : parse_settings(uncommented(), "sample"))
    documented[setting.key] = setting.value;
  for (const KeyHelp& known : known_keys()) {
    const std::string described(known.unit_and_default);
    if (described.ends_with(", none") || described.find(", ") == std::string::npos) continue;  // has none
    EXPECT_EQ(described.substr(described.rfind(", ") + 2), documented[std::string(known.key)]) << known.key;
  }
}

}  // namespace
}  // namespace understudy::recorder
