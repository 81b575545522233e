// Hazards of configuration: what is wrong must be refused, with its place.
#include "recorder/proxy_settings.h"

#include <gtest/gtest.h>

namespace understudy::recorder {
namespace {

ProxySettings load(const std::string& text) { return apply_settings(parse_settings(text, "test.ini")); }

// The message with which the text is refused.
std::string refusal(const std::string& text) {
  try {
    (void)load(text);
  } catch (const SettingsError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ProxySettingsTest, ReadsKeysOfProxyAndRecorder) {
  const ProxySettings settings = load(
      "# a comment\r\n; another\n\n[understudy]\n"
      "  backend =  db.example:5433  \nlisten = 127.0.0.1:6432, /tmp\n"
      "record = /var/rec, with a comma = and equals\nrecord_fsync=250ms\nrecord_segment_size = 1GiB\n");
  EXPECT_EQ(settings.configuration.backends, (std::vector<proxy::Address>{{"db.example", 5433}}));
  EXPECT_EQ(settings.configuration.listen.size(), 2U);
  EXPECT_EQ(settings.recording.directory, "/var/rec, with a comma = and equals");
  EXPECT_EQ(settings.recording.fsync, FsyncPolicy::kInterval);
  EXPECT_EQ(settings.recording.fsync_interval, kSecond / 4);
  EXPECT_EQ(settings.recording.segment_bytes, std::uint64_t{1} << 30);
}

TEST(ProxySettingsTest, NothingGivenListensOnTheDefaultPortAndRecordsNothing) {
  const ProxySettings settings = load("");
  ASSERT_EQ(settings.configuration.listen.size(), 1U);
  EXPECT_EQ(settings.configuration.listen[0].port, 6432);
  EXPECT_TRUE(settings.recording.directory.empty());
}

TEST(ProxySettingsTest, UnknownKeyIsRefusedWithItsLine) {
  EXPECT_EQ(refusal("[understudy]\n\nbackends = x\n"), "test.ini:3: backends: unknown key");
  EXPECT_EQ(refusal("[understudy]\nback.end = x\n"), "test.ini:2: back.end: unknown key");
  EXPECT_EQ(refusal("[understudy]\n= x\n"), "test.ini:2: : unknown key");
}

TEST(ProxySettingsTest, BadValueIsRefusedWithItsLine) {
  EXPECT_EQ(refusal("[understudy]\nworkers = many\n").rfind("test.ini:2: workers: ", 0), 0U);
  for (const char* line :
       {"record_segment_size = 10", "record_segment_size = x", "record_segment_age = 0",
        "record_buffer = 1KiB", "record_fsync = often", "record_fsync = 0", "record_level = 0",
        "record_level = 22", "record =", "client_login_timeout = soon", "log_level = loud"}) {
    EXPECT_EQ(refusal(std::string("[understudy]\n") + line).rfind("test.ini:2: ", 0), 0U) << line;
  }
}

TEST(ProxySettingsTest, WhatLacksAnotherKeyIsRefusedWithItsPlace) {
  const auto refused = [](std::vector<Setting> settings) -> std::string {
    try {
      require_complete(apply_settings(settings), settings);
    } catch (const SettingsError& error) {
      return error.what();
    }
    return "accepted";
  };
  const auto of_file = [](const std::string& text) {
    return parse_settings("[understudy]\n" + text, "test.ini");
  };
  EXPECT_EQ(refused(of_file("workers = 2\nauth = file\n")),
            "test.ini:3: auth = file needs auth_file, the users and their secrets");
  EXPECT_EQ(refused(of_file("auth = query\n")),
            "test.ini:2: auth = query needs auth_user, who asks the database");
  EXPECT_EQ(refused(of_file("backend = a:1\nmode = split\n")),
            "test.ini:3: mode = split needs several backends: a primary and replicas to read from");
  EXPECT_EQ(refused(of_file("mode = shadow\n")).rfind("test.ini:2: mode = shadow needs", 0), 0U);
  EXPECT_EQ(refused(of_file("shadow_backend = a:1\n")).rfind("test.ini:2: mode = shadow needs", 0), 0U);
  const std::string both = "TLS to clients needs both client_tls_cert_file and client_tls_key_file";
  EXPECT_EQ(refused(of_file("workers = 2\nclient_tls_sslmode = require\n")), "test.ini:3: " + both);
  EXPECT_EQ(refused(of_file("client_tls_cert_file = a\nworkers = 2\n")), "test.ini:2: " + both);
  EXPECT_EQ(refused(of_file("client_tls_sslmode = allow\nclient_tls_key_file = a\n")), "test.ini:3: " + both);
  EXPECT_EQ(refused(of_file("client_tls_cert_file = a\nclient_tls_key_file = b\n")), "accepted");
  EXPECT_EQ(refused(of_file("client_tls_sslmode = disable\n")), "accepted");
  EXPECT_EQ(refused({{"auth", "file", "--auth"}}).rfind("--auth: auth = file needs", 0), 0U);
  EXPECT_EQ(refused({{"auth", "file", "--auth"}, {"auth_file", "users", "a.ini:7"}}), "accepted");
  EXPECT_EQ(refusal("[understudy]\nworkers = 100000\n").rfind("test.ini:2: workers: ", 0), 0U);
}

TEST(ProxySettingsTest, LineThatIsNoAssignmentIsRefused) {
  EXPECT_EQ(refusal("[understudy]\nbackend\n"), "test.ini:2: expected key = value");
}

TEST(ProxySettingsTest, KeyGivenTwiceIsRefusedNamingBoth) {
  EXPECT_EQ(refusal("[understudy]\nworkers = 1\nworkers = 2\n"),
            "test.ini:3: workers was given before, at test.ini:2");
}

TEST(ProxySettingsTest, OtherSectionsAreRefused) {
  EXPECT_EQ(refusal("[pgbouncer]\n"), "test.ini:1: expected the section [understudy]");
  EXPECT_EQ(refusal("[understudy\n"), "test.ini:1: expected the section [understudy]");
  EXPECT_EQ(refusal("workers = 1\n"), "test.ini:1: expected [understudy] before the first key");
}

TEST(ProxySettingsTest, CommandLineWinsOverTheFile) {
  std::vector<Setting> settings = parse_settings("[understudy]\nworkers = 1\n", "test.ini");
  settings.push_back({"workers", "3", "--workers"});
  EXPECT_EQ(apply_settings(settings).configuration.workers, 3U);
}

TEST(ProxySettingsTest, CommandLineIsNamedByItsOption) {
  try {
    (void)apply_settings({{"record_level", "x", "--record-level"}});
    ADD_FAILURE() << "accepted";
  } catch (const SettingsError& error) {
    EXPECT_EQ(std::string(error.what()).rfind("--record-level: expected", 0), 0U) << error.what();
  }
}

TEST(ProxySettingsTest, FileThatCannotBeReadIsNamed) {
  for (const char* path : {"/nonexistent/understudy.ini", "/tmp"}) {
    try {
      (void)read_settings(path);
      ADD_FAILURE() << path << " was read";
    } catch (const SettingsError& error) {
      EXPECT_EQ(std::string(error.what()).rfind(path, 0), 0U) << error.what();
    }
  }
}

TEST(ProxySettingsTest, ChangesThatNeedARestartAreNamed) {
  const ProxySettings before = load("[understudy]\nworkers = 1\nlog_level = info\nrecord = /a\n");
  const ProxySettings after = load("[understudy]\nlog_level = debug\nrecord = /b\nrecord_level = 2\n");
  EXPECT_EQ(need_restart(before, after), (std::vector<std::string>{"workers", "record", "record_level"}));
  EXPECT_TRUE(need_restart(after, after).empty());
}

}  // namespace
}  // namespace understudy::recorder
