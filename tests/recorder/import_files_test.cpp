// Files of logs that can be read only once.
#include <gtest/gtest.h>
#include <unistd.h>

#include "recorder/import/log_files.h"

namespace understudy::recorder {
namespace {

class Ignorer final : public proxy::TrafficObserver {
  class Session final : public proxy::SessionObserver {
    void relayed(Direction, TimeNs, ByteView) override {}
    void redacted(Redaction, TimeNs) override {}
    void cancelled(TimeNs) override {}
    void backend_switched(const std::string&, TimeNs) override {}
    void closed(const CloseDetail&, TimeNs) override {}
  };

 public:
  std::unique_ptr<proxy::SessionObserver> open_session(unsigned, const SessionDescriptor&) override {
    return std::make_unique<Session>();
  }
};

TEST(ImportFilesTest, OfAPipeNothingIsLost) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::string log;
  for (int n = 0; n < 100; ++n) log += "2026-11-24 13:31:00.000 UTC [7] LOG:  statement: select 1\n";
  ASSERT_EQ(::write(ends[1], log.data(), log.size()), static_cast<ssize_t>(log.size()));
  ::close(ends[1]);
  const LogDialect dialect{.format = {}, .prefix = "%m [%p] "};
  const std::vector<LogFile> files = survey_logs({"/dev/fd/" + std::to_string(ends[0])}, dialect);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_FALSE(files[0].format);
  Ignorer ignorer;
  ImportSessions sessions(ignorer);
  LogFileReader reader(files[0], dialect, "", sessions);
  while (reader.read()) {
  }
  EXPECT_EQ(sessions.counts().statements(), 100U);
  EXPECT_EQ(reader.error(), "");
  ::close(ends[0]);
}

TEST(ImportFilesTest, AFileThatIsNotThereIsNamed) {
  EXPECT_THROW((void)survey_logs({"/nowhere/a.log"}, {}), std::system_error);
}

}  // namespace
}  // namespace understudy::recorder
