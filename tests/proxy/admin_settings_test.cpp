// Where the admin port may be, and what its token may look like.
#include "proxy/admin_settings.h"

#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

TEST(AdminSettingsTest, APortAloneIsOnThisMachineOnly) {
  AdminSettings settings;
  EXPECT_EQ(set_admin_listen(settings, ":6433"), "");
  EXPECT_EQ(settings.listen, (Address{"127.0.0.1", 6433}));
}

TEST(AdminSettingsTest, EveryInterfaceMustBeAskedFor) {
  AdminSettings settings;
  EXPECT_EQ(set_admin_listen(settings, "0.0.0.0:1"), "");
  EXPECT_EQ(settings.listen, (Address{"0.0.0.0", 1}));
  EXPECT_EQ(set_admin_listen(settings, "[::1]"), "");
  EXPECT_EQ(settings.listen, (Address{"::1", 6433}));
}

TEST(AdminSettingsTest, NothingSwitchesItOff) {
  AdminSettings settings;
  EXPECT_EQ(set_admin_listen(settings, ":6433"), "");
  EXPECT_EQ(set_admin_listen(settings, ""), "");
  EXPECT_FALSE(settings.listen);
}

TEST(AdminSettingsTest, WhatIsNoAddressIsRefused) {
  AdminSettings settings;
  for (const char* value : {"/run/understudy", ":port", "host:99999", "[::1"}) {
    EXPECT_NE(set_admin_listen(settings, value), "") << value;
  }
}

TEST(AdminSettingsTest, ATokenThatNoHeaderCarriesIsRefusedAndNotRepeated) {
  AdminSettings settings;
  for (const char* value : {"two words", "line\nfeed", "t\xc3\xa4st", "tab\t"}) {
    const std::string wrong = set_admin_token(settings, value);
    EXPECT_NE(wrong, "") << value;
    EXPECT_EQ(wrong.find(value), std::string::npos);
  }
  EXPECT_EQ(set_admin_token(settings, "aZ09-._~+/="), "");
  EXPECT_EQ(settings.token, "aZ09-._~+/=");
}

}  // namespace
}  // namespace understudy::proxy
