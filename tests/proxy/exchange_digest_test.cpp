// Answers that are the same however they are cut, and answers that only look so.
#include "proxy/exchange_digest.h"

#include <gtest/gtest.h>

#include "formats/wire/backend_builders.h"

namespace understudy::proxy {
namespace {

ByteBuffer answer(std::initializer_list<std::string_view> rows, std::string_view tag = "SELECT") {
  ByteBuffer bytes;
  for (const std::string_view row : rows) {
    const wire::Value columns[] = {{as_bytes(row)}};
    wire::append_data_row(bytes, columns);
  }
  wire::append_command_complete(bytes, tag);
  wire::append_ready_for_query(bytes, wire::TransactionStatus::kIdle);
  return bytes;
}

ExchangeDigest digest_of(ByteView bytes, std::size_t piece = SIZE_MAX) {
  ExchangeDigester digester;
  digester.begin(1);
  while (!bytes.empty()) {
    const ByteView part = bytes.first(std::min(piece, bytes.size()));
    EXPECT_EQ(digester.feed(part), part.size());
    bytes = bytes.subspan(part.size());
  }
  EXPECT_TRUE(digester.done());
  return digester.digest();
}

TEST(ExchangeDigest, CutsDoNotMatter) {
  const ByteBuffer bytes = answer({"one", "two", "three"});
  for (std::size_t piece = 1; piece < bytes.size(); ++piece) {
    EXPECT_EQ(digest_of(bytes, piece), digest_of(bytes)) << piece;
  }
  EXPECT_EQ(digest_of(bytes).rows, 3U);
}

TEST(ExchangeDigest, OrderDoesNotMatterButRowsDo) {
  EXPECT_EQ(digest_of(answer({"a", "b"})), digest_of(answer({"b", "a"})));
  EXPECT_NE(digest_of(answer({"a", "b"})), digest_of(answer({"a", "a"})));
  EXPECT_NE(digest_of(answer({"a", "a"})), digest_of(answer({"b", "b"})));
  EXPECT_NE(digest_of(answer({"a"})), digest_of(answer({"a", "a"})));
  EXPECT_NE(digest_of(answer({})), digest_of(answer({}, "INSERT 0 0")));
}

TEST(ExchangeDigest, AnErrorIsItsSqlstate) {
  const auto failed = [](std::string_view sqlstate, std::string_view message) {
    ByteBuffer bytes;
    wire::append_error_response(bytes, {.severity = "ERROR", .sqlstate = sqlstate, .message = message});
    wire::append_ready_for_query(bytes, wire::TransactionStatus::kIdle);
    return bytes;
  };
  EXPECT_EQ(digest_of(failed("22012", "division by zero")), digest_of(failed("22012", "in other words")));
  EXPECT_NE(digest_of(failed("22012", "no")), digest_of(failed("42P01", "no")));
}

TEST(ExchangeDigest, WhatFollowsIsNotOfTheAnswer) {
  ByteBuffer bytes = answer({"a"});
  const std::size_t size = bytes.size();
  append_bytes(bytes, answer({"b"}));
  ExchangeDigester digester;
  digester.begin(1);
  EXPECT_EQ(digester.feed(bytes), size);
  EXPECT_EQ(digester.digest(), digest_of(answer({"a"})));
  digester.begin(1);
  EXPECT_EQ(digester.feed(ByteView(bytes).subspan(size)), size);
  EXPECT_EQ(digester.digest(), digest_of(answer({"b"})));
}

}  // namespace
}  // namespace understudy::proxy
