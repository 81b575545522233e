// Messages and events as lines and as JSON: nothing a terminal obeys, nothing secret, nothing that crashes.
#include <gmock/gmock.h>

#include <Poco/JSON/Parser.h>

#include "replayer/message_json.h"
#include "replayer/show/message_text.h"
#include "tests/replayer/support.h"

namespace understudy::test {
namespace {

using replayer::SessionItem;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kWide = 10'000;

// The one message in `bytes` as an item; the bytes must outlive it.
SessionItem message(Direction direction, const std::string& bytes) {
  SessionItem item;
  item.time = 1'500'000'000;
  item.is_message = true;
  item.direction = direction;
  wire::MessageAssembler assembler;
  (void)assembler.feed(as_bytes(bytes), [&](const wire::Message& one) { item.message = one; });
  return item;
}

SessionItem event(EventKind kind, ByteView data) {
  SessionItem item;
  item.event = {kA, 1'500'000'000, kind, data};
  return item;
}

std::string text(const SessionItem& item, std::vector<std::int16_t> formats = {}, std::size_t limit = kWide) {
  return replayer::item_text(item, formats, limit);
}
std::string json(const SessionItem& item, std::vector<std::int16_t> formats = {}) {
  return replayer::to_line(replayer::item_json(kA, item, formats));
}

TEST(MessageText, SaysWhatAMessageSays) {
  const std::pair<std::string, std::string> client[] = {
      {query("select 1"), "Query  select 1"},
      {parse("s", "select $1", {23}), "Parse  statement s (23): select $1"},
      {bind("p", "s", {{"7"}, {"it's"}, {"", false, true}, {std::string("\0\1", 2), true}}),
       "Bind  portal p of statement s: '7', 'it\\'s', NULL, \\x0001"},
      {describe('S', ""), "Describe  unnamed statement"},
      {execute("", 10), "Execute  unnamed portal, at most 10 rows"},
      {sync(), "Sync"},
      {copy_data("1\ta\n"), "CopyData  '1\\ta\\n'"},
  };
  for (const auto& [bytes, expected] : client)
    EXPECT_EQ(text(message(Direction::kFromClient, bytes)), expected);
  const std::pair<std::string, std::string> server[] = {
      {ready('E'), "ReadyForQuery  in a failed transaction"},
      {complete("INSERT 0 1"), "CommandComplete  INSERT 0 1"},
      {error("23505", "duplicate"), "ErrorResponse  ERROR 23505: duplicate"},
      {error("", "of a log"), "ErrorResponse  ERROR: of a log"},
      {row({"1", "ada"}), "DataRow  '1', 'ada'"},
      {setting("TimeZone", "UTC"), "ParameterStatus  TimeZone = UTC"},
  };
  for (const auto& [bytes, expected] : server)
    EXPECT_EQ(text(message(Direction::kFromServer, bytes)), expected);
}

// Escape sequences, C0 and C1 controls, DEL, bytes that are no UTF-8: in every text a peer chooses.
TEST(MessageText, NoControlByteOfTheRecordingReachesTheTerminal) {
  const std::string evil = "a\x1b[31mb\x07\x9b\xc2\x9b\x7f\r\n\xff";
  SessionDescriptor session = descriptor(kA, 100, evil);
  session.peer = session.backend = evil;
  session.startup_parameters.emplace_back(evil, evil);
  ByteBuffer opened;
  encode(session, opened);
  ByteBuffer closed;
  encode(CloseDetail{CloseReason::kProtocolError, evil}, closed);
  const std::string messages[] = {query(evil), parse(evil, evil), bind(evil, evil, {{evil}}), execute(evil),
                                  copy_data(evil)};
  std::vector<SessionItem> items = {event(EventKind::kOpened, opened), event(EventKind::kClosed, closed),
                                    event(EventKind::kMark, as_bytes(evil))};
  for (const std::string& one : messages) items.push_back(message(Direction::kFromClient, one));
  const std::string answers[] = {error(evil, evil), row({evil}), row_description({evil}), setting(evil, evil),
                                 complete(evil)};
  for (const std::string& one : answers) items.push_back(message(Direction::kFromServer, one));
  for (const SessionItem& item : items) {
    for (const std::string& line : {text(item), text(item, {}, 3), json(item)}) {
      for (std::size_t i = 0; i < line.size(); ++i) {
        const auto byte = static_cast<unsigned char>(line[i]);
        ASSERT_TRUE(byte >= 0x20 && byte != 0x7F) << line;
        const bool c1 = byte == 0xC2 && static_cast<unsigned char>(line[i + 1]) < 0xA0;
        ASSERT_FALSE(c1) << line;
      }
      Poco::JSON::Parser parser;
      if (line.front() == '{') {
        EXPECT_NO_THROW(parser.parse(line)) << line;
      }
    }
  }
}

// The proxy never records them; should a recording hold them all the same, they are not shown.
TEST(MessageText, SecretsAreNeitherShownNorExported) {
  ByteBuffer password;
  wire::append_password(password, "hunter2");
  ByteBuffer key;
  wire::append_backend_key_data(key, 77, as_bytes("KEYS"));
  ByteBuffer salt;
  wire::append_authentication(salt, wire::AuthenticationCode::kMd5Password, as_bytes("SALT"));
  const std::string client(as_text(password));
  const std::string servers[] = {std::string(as_text(key)), std::string(as_text(salt))};
  std::vector<SessionItem> items = {message(Direction::kFromClient, client)};
  for (const std::string& one : servers) items.push_back(message(Direction::kFromServer, one));
  for (const SessionItem& item : items) {
    for (const std::string& line : {text(item), json(item)}) {
      for (const char* secret : {"hunter2", "KEYS", "SALT", "4b455953", "53414c54"})
        EXPECT_THAT(line, Not(HasSubstr(secret)));
    }
  }
  EXPECT_THAT(text(items[1]), HasSubstr("77"));
}

TEST(MessageText, MalformedAndUnknownMessagesAreToldNotGuessed) {
  std::string broken = bind("p", "s", {{"value"}});
  broken.replace(1, 4, std::string("\0\0\0\x09", 4));
  broken.resize(10);
  EXPECT_THAT(text(message(Direction::kFromClient, broken)), HasSubstr("malformed"));
  EXPECT_THAT(json(message(Direction::kFromClient, broken)), HasSubstr("\"malformed\""));
  const std::string unknown("\x01\0\0\0\4", 5);
  EXPECT_THAT(text(message(Direction::kFromServer, unknown)), HasSubstr("unknown"));
  EXPECT_THAT(json(message(Direction::kFromServer, unknown)), HasSubstr("\"unknown\""));
  const ByteBuffer junk = {1, 2, 3};
  for (int kind = 0; kind < 256; ++kind) {
    (void)text(event(static_cast<EventKind>(kind), junk));
    (void)json(event(static_cast<EventKind>(kind), junk));
  }
}

TEST(MessageText, EveryTruncationOfEveryMessageIsSurvived) {
  const std::string all[] = {query("q"),
                             parse("s", "q", {1, 2}),
                             bind("p", "s", {{"v"}}, {1}),
                             describe('P', "p"),
                             execute("p"),
                             close('S', "s"),
                             function_call(952),
                             copy_data("d"),
                             row({"a", "b"}),
                             row_description({"a"}),
                             error("XX000", "m"),
                             parameter_types({1}),
                             copy_in_response(),
                             setting("a", "b"),
                             complete("T")};
  for (const std::string& bytes : all) {
    for (std::size_t length = 5; length <= bytes.size(); ++length) {
      std::string cut = bytes.substr(0, length);
      cut[4] = static_cast<char>(length - 1);
      for (const Direction direction : {Direction::kFromClient, Direction::kFromServer}) {
        (void)text(message(direction, cut));
        (void)json(message(direction, cut));
      }
    }
  }
}

TEST(MessageText, AGapSaysHowMuchIsMissingWhateverTimesItClaims) {
  ByteBuffer payload;
  encode(Gap{GapReason::kOverload, INT64_MIN, INT64_MAX, 1024, 2048, 3}, payload);
  EXPECT_THAT(text(event(EventKind::kGap, payload)),
              HasSubstr("gap  overload: 3 events, 1 KiB of the client and 2 KiB of the server are missing"));
}

TEST(MessageText, AHugeValueDoesNotMakeAHugeLine) {
  const std::string bytes = row({std::string(1'000'000, 'x')});
  EXPECT_LT(text(message(Direction::kFromServer, bytes), {}, 100).size(), 400U);
  const std::string many = row(std::vector<std::string>(1000, "value"));
  EXPECT_LT(text(message(Direction::kFromServer, many), {}, 100).size(), 400U);
}

TEST(MessageJson, KeepsTheOrderOfItsKeysAndNanoseconds) {
  const std::string bytes = query("select 'é'");
  EXPECT_EQ(json(message(Direction::kFromClient, bytes)),
            R"({"session":"1.1","time":"1970-01-01T00:00:01.500000000Z","direction":"client","type":"Query",)"
            R"("sql":"select 'é'"})");
}

TEST(MessageJson, BinaryValuesAndTextThatIsNoUtf8AreHexAndSayWhich) {
  const std::string bytes = row({std::string("\0\x41", 2), "caf\xe9", "ok"});
  EXPECT_THAT(
      json(message(Direction::kFromServer, bytes), {1, 0, 0}),
      HasSubstr(R"("values":[{"hex":"0041","format":"binary"},{"hex":"636166e9","format":"text"},"ok"])"));
  const std::string null = bind("", "", {{"", false, true}});
  EXPECT_THAT(json(message(Direction::kFromClient, null)), HasSubstr(R"("parameters":[null])"));
}

TEST(MessageJson, AMessageOverTheCapIsToldByLengthAndHash) {
  SessionItem item;
  item.is_message = true;
  item.message.type = 'Q';
  item.message.truncated = true;
  item.message.payload_length = 900'000'000;
  item.message.hash = 0xABC;
  EXPECT_THAT(json(item), HasSubstr(R"("bytes":900000000,"too_large":true,"xxh64":"0000000000000abc")"));
  EXPECT_THAT(text(item), HasSubstr("900000000 bytes, too large to show"));
}

}  // namespace
}  // namespace understudy::test
