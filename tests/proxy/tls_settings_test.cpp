// The words of the configuration for TLS, and what is refused before a file is read.
#include "proxy/tls_settings.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "proxy/tls_context.h"

namespace understudy::proxy {
namespace {

TEST(TlsSettings, KnowsTheModesOfBothSides) {
  ClientTlsMode client{};
  constexpr std::pair<const char*, ClientTlsMode> kWords[] = {{"", ClientTlsMode::kUnset},
                                                              {"disable", ClientTlsMode::kDisable},
                                                              {"allow", ClientTlsMode::kAllow},
                                                              {"prefer", ClientTlsMode::kAllow},
                                                              {"require", ClientTlsMode::kRequire},
                                                              {"verify-ca", ClientTlsMode::kVerifyCa},
                                                              {"verify-full", ClientTlsMode::kVerifyFull}};
  for (const auto& [word, meaning] : kWords) {
    EXPECT_EQ(set_client_tls_mode(client, word), "");
    EXPECT_EQ(client, meaning) << word;
  }
  ServerTlsMode server{};
  EXPECT_EQ(set_server_tls_mode(server, "allow"), "");
  EXPECT_EQ(server, ServerTlsMode::kPrefer);
  EXPECT_EQ(set_server_tls_mode(server, "verify-full"), "");
  EXPECT_EQ(server, ServerTlsMode::kVerifyFull);
}

TEST(TlsSettings, AModeThatDoesNotExistChangesNothing) {
  ServerTlsMode server = ServerTlsMode::kVerifyFull;
  for (const char* word : {"", "on", "Require", "verify_full", "require "}) {
    EXPECT_NE(set_server_tls_mode(server, word), "") << word;
  }
  EXPECT_EQ(server, ServerTlsMode::kVerifyFull);
}

TEST(TlsSettings, VersionsAreAListOrAWord) {
  TlsSettings::Clients clients;
  EXPECT_EQ(set_tls_versions(clients, "tlsv1.3"), "");
  EXPECT_FALSE(clients.version_12);
  EXPECT_TRUE(clients.version_13);
  EXPECT_EQ(set_tls_versions(clients, "tlsv1.2 , tlsv1.3"), "");
  EXPECT_TRUE(clients.version_12);
  EXPECT_EQ(set_tls_versions(clients, "tlsv1.2"), "");
  EXPECT_FALSE(clients.version_13);
  for (const char* word : {"", "tlsv1.1", "tlsv1.2,", "all", "secure,tlsv1.1", "1.3"}) {
    EXPECT_NE(set_tls_versions(clients, word), "") << word;
  }
  EXPECT_FALSE(clients.version_13);
  EXPECT_EQ(set_tls_versions(clients, "secure"), "");
  EXPECT_TRUE(clients.version_12 && clients.version_13);
}

std::string refusal(const TlsSettings& settings) {
  try {
    (void)load_tls(settings);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

TEST(TlsSettings, WithoutAnythingThereIsNoTls) {
  const TlsContexts contexts = load_tls({});
  EXPECT_EQ(contexts.clients, nullptr);
  EXPECT_EQ(contexts.servers, nullptr);
}

TEST(TlsSettings, WhatIsMissingIsNamed) {
  TlsSettings settings;
  settings.clients.mode = ClientTlsMode::kAllow;
  EXPECT_NE(refusal(settings).find("client_tls_cert_file"), std::string::npos);
  settings = {};
  settings.clients.key_file = "key";  // without a mode, either file asks for TLS
  EXPECT_NE(refusal(settings).find("client_tls_cert_file"), std::string::npos);
  settings = {};
  settings.servers.mode = ServerTlsMode::kVerifyCa;
  EXPECT_NE(refusal(settings).find("server_tls_ca_file"), std::string::npos);
  settings = {};
  settings.servers.mode = ServerTlsMode::kRequire;
  settings.servers.key_file = "key";
  EXPECT_NE(refusal(settings).find("server_tls_cert_file"), std::string::npos);
}

TEST(TlsSettings, AFileThatCannotBeUsedIsNamedWithItsKeyAndTheReason) {
  TlsSettings settings;
  settings.clients.certificate_file = "/nonexistent/certificate";
  settings.clients.key_file = "/nonexistent/key";
  EXPECT_EQ(refusal(settings), "client_tls_cert_file: /nonexistent/certificate: No such file or directory");
  settings = {};
  settings.servers.mode = ServerTlsMode::kRequire;
  settings.servers.ca_file = "README.md";  // CTest runs this in the source directory
  EXPECT_NE(refusal(settings).find("server_tls_ca_file: README.md: "), std::string::npos);
}

TEST(TlsSettings, TheSystemsAuthoritiesAreAWord) {
  TlsSettings settings;
  settings.servers.mode = ServerTlsMode::kVerifyFull;
  settings.servers.ca_file = kSystemCertificates;
  EXPECT_NE(load_tls(settings).servers, nullptr);
}

}  // namespace
}  // namespace understudy::proxy
