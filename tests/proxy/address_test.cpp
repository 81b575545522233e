// Addresses as people write them, and the ones that are refused.
#include "proxy/address.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

TEST(Address, ReadsEveryWayOfWritingOne) {
  EXPECT_EQ(Address::parse("db.example:6000"), (Address{"db.example", 6000}));
  EXPECT_EQ(Address::parse("db.example"), (Address{"db.example", 5432}));
  EXPECT_EQ(Address::parse(":6432"), (Address{"", 6432}));
  EXPECT_EQ(Address::parse("*:6432"), (Address{"", 6432}));
  EXPECT_EQ(Address::parse("[::1]:7000"), (Address{"::1", 7000}));
  EXPECT_EQ(Address::parse("[fe80::1]", 6432), (Address{"fe80::1", 6432}));
  EXPECT_EQ(Address::parse("/run/postgresql"), (Address{"/run/postgresql", 5432}));
  EXPECT_EQ(Address::parse("/run/postgresql:6000"), (Address{"/run/postgresql", 6000}));
}

TEST(Address, WritesWhatItRead) {
  EXPECT_EQ(Address::parse("[::1]:7000").to_string(), "[::1]:7000");
  EXPECT_EQ(Address::parse(":6432").to_string(), "*:6432");
  EXPECT_EQ(Address::parse("/run/postgresql:6000").to_string(), "/run/postgresql/.s.PGSQL.6000");
}

TEST(Address, RefusesWhatIsNone) {
  for (const char* text :
       {"", "host:", "host:0", "host:65536", "host:54x", "6432", "::1:5432", "[::1", "[::1]5432"}) {
    EXPECT_THROW((void)Address::parse(text), std::invalid_argument) << text;
  }
}

TEST(Address, ErrorSaysWhatIsExpected) {
  try {
    (void)Address::parse("host:99999");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("host:99999"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("expected HOST:PORT"), std::string::npos);
  }
}

TEST(Address, RefusesAUnixPathTheKernelCannotHold) {
  const Address address{"/" + std::string(200, 'd'), 5432};
  EXPECT_THROW((void)resolve(address, true), std::runtime_error);
}

}  // namespace
}  // namespace understudy::proxy
