// Transcripts of every version of the format there was, kept in tests/golden, are still read: each file
// beside its readable twin. A format change adds a file and leaves the old ones alone.
//
// To make the file of a new version: formats_tests --gtest_also_run_disabled_tests
// --gtest_filter='*MakeTheGoldenFile'
#include <fstream>
#include <sstream>

#include "formats/command.h"
#include "formats/transcript/verify.h"
#include "tests/formats/transcript_fixture.h"

namespace understudy::test {
namespace {

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(UNDERSTUDY_SOURCE_DIR) / "tests/golden" / name;
}

// Of the encrypted file, and of nothing else.
SecretKey golden_key() { return SecretKey(ByteBuffer(kKeyBytes, 0x42)); }

std::shared_ptr<const Keyring> golden_keys() {
  const auto keys = std::make_shared<Keyring>();
  keys->add_key(golden_key());
  return keys;
}

std::string escaped(std::string_view bytes) {
  std::ostringstream out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && byte != '\\') {
      out << c;
    } else {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", byte);
      out << hex;
    }
  }
  return out.str();
}

std::string describe(const SessionDescriptor& session) {
  std::ostringstream out;
  out << session.id.to_string() << " opened " << format_time(session.opened_at, 9) << " protocol "
      << (session.protocol_version >> 16) << "." << (session.protocol_version & 0xFFFF) << " from "
      << session.peer << " to " << session.backend << (session.client_tls ? " client-tls" : "")
      << (session.server_tls ? " server-tls" : "");
  for (const auto& [name, value] : session.startup_parameters) out << " " << name << "=" << escaped(value);
  for (const auto& [name, value] : session.attributes) out << " [" << name << "=" << escaped(value) << "]";
  return out.str();
}

std::string describe(const Event& event) {
  static constexpr const char* kKinds[] = {"client",    "server", "opened",   "closed", "redacted",
                                           "cancelled", "gap",    "switched", "mark"};
  std::ostringstream out;
  out << format_time(event.time, 9) << " " << event.session.to_string() << " "
      << kKinds[static_cast<std::size_t>(event.kind)] << ": ";
  SessionDescriptor session;
  Gap gap;
  CloseDetail closed;
  Redaction redaction;
  if (event.kind == EventKind::kOpened && decode(event.data, session)) {
    out << describe(session);
  } else if (event.kind == EventKind::kGap && decode(event.data, gap)) {
    out << "reason " << int{static_cast<std::uint8_t>(gap.reason)} << " client " << gap.client_bytes
        << " server " << gap.server_bytes << " events " << gap.events;
  } else if (event.kind == EventKind::kClosed && decode(event.data, closed)) {
    out << "reason " << int{static_cast<std::uint8_t>(closed.reason)} << " " << escaped(closed.text);
  } else if (event.kind == EventKind::kRedacted && decode(event.data, redaction)) {
    out << "direction " << int{static_cast<std::uint8_t>(redaction.direction)} << " kind "
        << int{static_cast<std::uint8_t>(redaction.kind)};
  } else {
    out << escaped(as_text(event.data));
  }
  return out.str();
}

// The twin: everything a segment says, a line each.
std::string describe(const std::filesystem::path& path) {
  const Recording recording(path, golden_keys());
  const auto segment = recording.segment(0);
  const SegmentHeader& header = segment->header();
  std::ostringstream out;
  if (segment->encrypted()) out << "encrypted\n";
  out << "recording " << header.recording_id << " run " << header.run << " segment " << header.segment
      << " created " << format_time(header.created_at, 9) << " by " << header.producer << "\n";
  if (header.previous) {
    out << "follows segment " << header.previous->segment << " of " << header.previous->bytes << " bytes "
        << hexadecimal(header.previous->sha256) << "\n";
  }
  for (const auto& [name, value] : header.attributes) out << "attribute " << name << "=" << value << "\n";
  for (const SessionDescriptor& session : segment->continuing())
    out << "continuing " << describe(session) << "\n";
  EventStream events(recording);
  while (const std::optional<Event> event = events.next()) out << describe(*event) << "\n";
  for (const LossRecord& loss : segment->losses()) {
    out << "loss reason " << int{static_cast<std::uint8_t>(loss.reason)} << " sessions " << loss.sessions
        << " events " << loss.events << " bytes " << loss.bytes << ": " << loss.detail << "\n";
  }
  return out.str();
}

std::string contents_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST(TranscriptGolden, EveryFileIsReadAsItsTwinSays) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden(""))) {
    if (entry.path().extension() != ".transcript") continue;
    SCOPED_TRACE(entry.path());
    ++files;
    std::filesystem::path twin = entry.path();
    twin.replace_extension(".txt");
    EXPECT_EQ(describe(entry.path()), contents_of(twin));
    const auto keys = golden_keys();
    EXPECT_EQ(verify_segment(*open_file(entry.path()), "golden", keys.get()).damage, std::vector<Damage>{});
  }
  EXPECT_GE(files, 3U);
}

class MakeGolden : public TranscriptTest {
 protected:
  void make(const std::string& name);
};

void MakeGolden::make(const std::string& name) {
  constexpr TimeNs kStart = 1'795'527'067'000'000'000;  // 2026-11-24T13:31:07Z
  constexpr SessionId kPsql{1, 2};
  constexpr SessionId kDriver{1, 3};
  SegmentHeader header = default_header();
  header.segment = 2;
  header.created_at = kStart;
  header.previous = SegmentLink{.segment = 1, .bytes = 4'711, .sha256 = sha256(as_bytes("the one before"))};
  begin({descriptor({1, 1}, kStart - 5'000'000'000, "bob")}, header);
  from_client({1, 1}, kStart + 1'000, std::string("Q\0\0\0\x0dselect 1\0", 14));
  open_session(kPsql, kStart + 2'000);
  event(kPsql, kStart + 2'500, EventKind::kRedacted, std::string("\1\1", 2));
  event(kPsql, kStart + 2'600, EventKind::kRedacted, std::string("\0\1", 2));
  from_server(kPsql, kStart + 3'000, std::string("R\0\0\0\x08\0\0\0\0Z\0\0\0\5I", 15));
  from_server({1, 1}, kStart + 4'000, std::string("C\0\0\0\rSELECT 1\0Z\0\0\0\5I", 20));
  event({0, 0}, kStart + 5'000, EventKind::kMark, "before the deploy");
  seal();
  // More than four seconds later: a time that has no place in the planes.
  from_client(kPsql, kStart + 9'000'000'000, std::string("Q\0\0\0\x18select pg_sleep(60)\0", 25));
  event(kPsql, kStart + 9'000'001'000, EventKind::kCancelled, "");
  event(kPsql, kStart + 9'000'002'000, EventKind::kBackendSwitched, "10.0.0.2:5432");
  ByteBuffer payload;
  encode(Gap{GapReason::kOverload, kStart + 9'000'003'000, kStart + 9'000'004'000, 100, 2'000, 3}, payload);
  event({1, 1}, kStart + 9'000'003'000, EventKind::kGap, as_text(payload));
  SessionDescriptor driver = descriptor(kDriver, kStart + 9'000'005'000, "carol");
  driver.protocol_version = 0x00030002;
  driver.client_tls = driver.server_tls = true;
  driver.attributes = {{"origin", "1.7"}, {"recording", "fedcba9876543210fedcba9876543210"}};
  payload.clear();
  encode(driver, payload);
  event(kDriver, kStart + 9'000'005'000, EventKind::kOpened, as_text(payload));
  payload.clear();
  encode(CloseDetail{CloseReason::kServerLeft, "terminating connection"}, payload);
  event(kPsql, kStart + 9'000'006'000, EventKind::kClosed, as_text(payload));
  seal();
  EXPECT_FALSE(writer_->append_loss({GapReason::kDiskError, kStart + 10'000'000'000, kStart + 11'000'000'000,
                                     2, 31, 4'096, "No space left on device"}));
  finish();
  std::ofstream(golden(name + ".transcript"), std::ios::binary)
      .write(reinterpret_cast<const char*>(file_.contents.data()), static_cast<std::streamsize>(size()));
  std::ofstream(golden(name + ".txt"), std::ios::binary) << describe(golden(name + ".transcript"));
}

TEST_F(MakeGolden, DISABLED_MakeTheGoldenFile) {
  make("version-1.1");
  key_ = std::make_shared<RecordingKey>(RecordingKey::of_key(golden_key()));
  make("version-1.1-encrypted");
}

}  // namespace
}  // namespace understudy::test
