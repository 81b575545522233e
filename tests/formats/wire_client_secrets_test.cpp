#include "formats/wire/client_secrets.h"

#include <gtest/gtest.h>

#include "formats/wire/frontend_builders.h"

namespace understudy::wire {
namespace {

using namespace std::string_literals;

std::string message(char type, std::string_view payload) {
  ByteBuffer out;
  out.push_back(static_cast<Byte>(type));
  append_be32(out, static_cast<std::uint32_t>(payload.size() + 4));
  append_bytes(out, as_bytes(payload));
  return std::string(as_text(out));
}

// What `stream` is recorded as, when it comes in pieces of `length` bytes.
std::string recorded(const std::string& stream, std::size_t length) {
  ClientSecrets secrets;
  std::string out;
  for (std::size_t at = 0; at < stream.size(); at += length) {
    const std::string piece = stream.substr(at, length);
    out += as_text(secrets.hide(as_bytes(piece)));
  }
  return out;
}

const std::string kStream = message('Q', "SELECT 1\0"s) + message('Q', "ALTER ROLE a PASSWORD 's3cret'\0"s) +
                            message('P', "s\0ALTER ROLE b PASSWORD 's3cret'\0\0\0"s) + message('S', "") +
                            message('d', "a row with PASSWORD 'theirs'") + message('Q', "SELECT 'done'\0"s);
const std::string kRecorded = message('Q', "SELECT 1\0"s) +
                              message('Q', "ALTER ROLE a PASSWORD 'xxxxxx'\0"s) +
                              message('P', "s\0ALTER ROLE b PASSWORD 'xxxxxx'\0\0\0"s) + message('S', "") +
                              message('d', "a row with PASSWORD 'theirs'") + message('Q', "SELECT 'done'\0"s);

TEST(ClientSecrets, AreHiddenInPiecesOfAnyLength) {
  for (std::size_t length = 1; length <= kStream.size(); ++length)
    EXPECT_EQ(recorded(kStream, length), kRecorded) << length;
}

TEST(ClientSecrets, WhatHasNoneIsNotCopied) {
  ClientSecrets secrets;
  const std::string plain = message('Q', "SELECT 'a password'\0"s);
  EXPECT_EQ(secrets.hide(as_bytes(plain)).data(), as_bytes(plain).data());
}

TEST(ClientSecrets, BehindAGapTheNextMessageIsReadFromItsBeginning) {
  ClientSecrets secrets;
  const std::string broken = message('Q', "SELECT 'long'\0"s).substr(0, 9);
  EXPECT_EQ(as_text(secrets.hide(as_bytes(broken))), broken);
  secrets.resume();
  const std::string next = message('Q', "ALTER ROLE a PASSWORD 's3cret'\0"s);
  EXPECT_EQ(as_text(secrets.hide(as_bytes(next))), message('Q', "ALTER ROLE a PASSWORD 'xxxxxx'\0"s));
}

TEST(ClientSecrets, BytesThatAreNoMessagesPassAsTheyAre) {
  ClientSecrets secrets;
  const std::string garbage = "Q\0\0\0\0PASSWORD 'x'"s;
  EXPECT_EQ(as_text(secrets.hide(as_bytes(garbage))), garbage);
  EXPECT_EQ(as_text(secrets.hide(as_bytes(garbage))), garbage);
}

}  // namespace
}  // namespace understudy::wire
