// What an HTTP server may answer, or whoever poses as one; one test a hazard.
#include "proxy/http_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace understudy::proxy {
namespace {

using Progress = HttpReply::Progress;
using testing::HasSubstr;

constexpr std::size_t kMost = 1000;

HttpReply read(std::string_view received, Progress expected, bool ended = true) {
  HttpReply reply;
  EXPECT_EQ(HttpReply::read(received, ended, kMost, reply), expected) << received << reply.wrong;
  return reply;
}

TEST(HttpReplyTest, ABodyGoesUpToTheConnectionsEnd) {
  constexpr std::string_view kReply = "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{\"a\": 1}";
  read(kReply, Progress::kGoesOn, false);
  const HttpReply reply = read(kReply, Progress::kWhole);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "{\"a\": 1}");
}

TEST(HttpReplyTest, ABodyIsAsLongAsItsContentLengthSays) {
  const std::string reply = "HTTP/1.1 503 Service Unavailable\r\ncontent-LENGTH:  4 \r\n\r\nbody";
  for (std::size_t size = 0; size < reply.size(); ++size) {
    read(reply.substr(0, size), Progress::kGoesOn, false);
    read(reply.substr(0, size), Progress::kMalformed, true);
  }
  EXPECT_EQ(read(reply, Progress::kWhole, false).status, 503);
  EXPECT_EQ(read(reply + "and more", Progress::kWhole, false).body, "body");
}

TEST(HttpReplyTest, WhatIsNoReplyIsSaidToBeNone) {
  for (const char* const reply : {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.0 2x0 OK\r\n\r\n",
                                  "HTTP/1.0 -20 OK\r\n\r\n", "HTTP/1.0\r\n\r\n", "\r\n\r\n"}) {
    EXPECT_THAT(read(reply, Progress::kMalformed).wrong, HasSubstr("does not speak HTTP")) << reply;
  }
  EXPECT_EQ(read("", Progress::kMalformed).wrong, "it said nothing");
}

TEST(HttpReplyTest, HeadersAndBodiesAreBounded) {
  read("HTTP/1.0 200 OK\r\nx: " + std::string(kMostHttpHeaderBytes, 'x'), Progress::kMalformed, false);
  read("HTTP/1.0 200 OK\r\n\r\n" + std::string(kMost + 1, 'x'), Progress::kMalformed, false);
  read("HTTP/1.0 200 OK\r\nContent-Length: 1001\r\n\r\n", Progress::kMalformed, false);
}

TEST(HttpReplyTest, LengthsThatLieOrContradictEachOtherAreRefused) {
  for (const char* const length : {"-1", "x", "", "1e3", "99999999999999999999999"}) {
    read("HTTP/1.0 200 OK\r\nContent-Length: " + std::string(length) + "\r\n\r\nbody", Progress::kMalformed);
  }
  read("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nbody", Progress::kMalformed);
  EXPECT_THAT(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", Progress::kMalformed).wrong,
              HasSubstr("chunks"));
}

}  // namespace
}  // namespace understudy::proxy
