// What two servers say differently by nature, and how close to it a real difference may come.
#include "replayer/diff_noise.h"

#include <gtest/gtest.h>

#include <set>

namespace understudy::replayer {
namespace {

class DiffNoiseTest : public testing::Test {
 protected:
  bool absorbs(std::string_view left, std::string_view right) {
    return noise.absorbs({as_bytes(left)}, {as_bytes(right)}, counts);
  }
  std::uint64_t count(NoiseRule rule) const { return counts.of(rule); }

  SessionIdentity a{4711, "15.18 (Debian 15.18-0+deb12u1)", "app", "shop"};
  SessionIdentity b{815, "16.3", "app_test", "shop_test"};
  CellNoise noise{a, b};
  NoiseCounts counts;
};

TEST_F(DiffNoiseTest, ACellWithTheSessionsOwnProcessIdIsNoise) {
  EXPECT_TRUE(absorbs("4711", "815"));
  EXPECT_FALSE(absorbs("815", "4711")) << "the other way round it is a number";
  EXPECT_FALSE(absorbs("4711", "816"));
  EXPECT_FALSE(absorbs("47110", "8150"));
  EXPECT_EQ(count(NoiseRule::kProcessId), 1U);
}

TEST_F(DiffNoiseTest, SoIsOneInBinaryFormat) {
  EXPECT_TRUE(absorbs(std::string_view("\0\0\x12\x67", 4), std::string_view("\0\0\x03\x2f", 4)));
  EXPECT_FALSE(absorbs(std::string_view("\0\0\x12\x67", 4), std::string_view("\0\0\x03\x2e", 4)));
  EXPECT_EQ(counts.total(), 1U);
}

TEST_F(DiffNoiseTest, AnUnknownProcessIdMatchesNothing) {
  noise = CellNoise({}, {});
  EXPECT_FALSE(absorbs("0", "1"));
  EXPECT_FALSE(absorbs("", "x"));
  EXPECT_FALSE(absorbs(std::string_view("\0\0\0\0", 4), std::string_view("\0\0\0\1", 4)));
}

TEST_F(DiffNoiseTest, VersionsAreNoiseInTheWaysServersTellThem) {
  EXPECT_TRUE(absorbs("15.18 (Debian 15.18-0+deb12u1)", "16.3"));
  EXPECT_TRUE(absorbs("150018", "160003"));
  EXPECT_TRUE(absorbs("PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64, compiled by gcc 12",
                      "PostgreSQL 16.3 on aarch64, compiled by clang 15"));
  EXPECT_TRUE(absorbs("server 15.18 (Debian 15.18-0+deb12u1)!", "server 16.3!"));
  EXPECT_EQ(count(NoiseRule::kServerVersion), 4U);
  EXPECT_FALSE(absorbs("server 15.18 (Debian 15.18-0+deb12u1)!", "server 16.3?")) << "the rest differs";
  EXPECT_FALSE(absorbs("160003", "150018"));
  EXPECT_FALSE(absorbs("PostgreSQL 14.1 on x86_64", "PostgreSQL 16.3 on x86_64")) << "not what A is";
}

TEST_F(DiffNoiseTest, TheSameVersionBuiltElsewhereIsNoiseToo) {
  b.server_version = a.server_version;
  noise = CellNoise(a, b);
  EXPECT_TRUE(absorbs("PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64",
                      "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on aarch64"));
  EXPECT_FALSE(absorbs("150018", "150019"));
}

TEST_F(DiffNoiseTest, MappedUsersAndDatabasesAreNoiseAsWholeCellsOnly) {
  EXPECT_TRUE(absorbs("app", "app_test"));
  EXPECT_TRUE(absorbs("shop", "shop_test"));
  EXPECT_FALSE(absorbs("shop", "app_test"));
  EXPECT_FALSE(absorbs("my app", "my app_test"));
  EXPECT_EQ(count(NoiseRule::kMappedName), 2U);
}

TEST_F(DiffNoiseTest, NullIsNeverNoise) {
  EXPECT_FALSE(noise.absorbs(wire::Value::null(), {as_bytes("815")}, counts));
  EXPECT_FALSE(noise.absorbs({as_bytes("4711")}, wire::Value::null(), counts));
  EXPECT_EQ(counts.total(), 0U);
}

TEST_F(DiffNoiseTest, VersionNumbersAreThoseOfTheServer) {
  EXPECT_EQ(version_number("15.18 (Debian 15.18-0+deb12u1)"), "150018");
  EXPECT_EQ(version_number("9.6.24"), "90624");
  EXPECT_EQ(version_number("18beta1"), "180000");
  EXPECT_EQ(version_number(""), "");
}

TEST_F(DiffNoiseTest, VersionsThatAreNoneDoNoHarm) {
  for (const char* const odd : {"x", "-1.2", "99999999999999999999.1", "4000000000", "1..", "."})
    EXPECT_FALSE(version_number(odd).empty()) << odd;
}

TEST(NoiseRuleTest, EveryRuleHasItsOwnNames) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kNoiseRules; ++i) {
    names.insert(noise_words(static_cast<NoiseRule>(i)));
    names.insert(noise_key(static_cast<NoiseRule>(i)));
  }
  EXPECT_EQ(names.size(), 2 * kNoiseRules);
}

}  // namespace
}  // namespace understudy::replayer
