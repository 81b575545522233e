// Where a recording's key comes from.
#include "recorder/record_key.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "tests/recorder/support.h"

namespace understudy::recorder {
namespace {

class RecordKeyTest : public ::testing::Test {
 protected:
  ~RecordKeyTest() override { ::unsetenv("UNDERSTUDY_RECORD_PASSPHRASE"); }
  std::filesystem::path file(const std::string& name, const std::string& contents) {
    std::ofstream(directory_.path() / name) << contents;
    return directory_.path() / name;
  }
  std::string refusal() {
    try {
      load_record_key(options_);
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  }

  TemporaryDirectory directory_;
  RecorderOptions options_;
};

TEST_F(RecordKeyTest, NothingIsEncryptedUnlessAskedFor) {
  load_record_key(options_);
  EXPECT_EQ(options_.key, nullptr);
}

TEST_F(RecordKeyTest, TheFirstKeyOfAFileIsTaken) {
  options_.key_file = file("keys", std::string(64, 'a') + "\n" + std::string(64, 'b') + "\n");
  load_record_key(options_);
  ASSERT_NE(options_.key, nullptr);
  options_.key_file = file("first", std::string(64, 'a'));
  const KeyId id = options_.key->begin().key_id;
  load_record_key(options_);
  EXPECT_EQ(options_.key->begin().key_id, id);
}

TEST_F(RecordKeyTest, APassphraseComesOfAFileOrTheEnvironment) {
  options_.passphrase_file = file("passphrase", "open sesame\nanother line\n");
  load_record_key(options_);
  ASSERT_NE(options_.key, nullptr);
  EXPECT_TRUE(options_.key->begin().scrypt);
  RecorderOptions other;
  ::setenv("UNDERSTUDY_RECORD_PASSPHRASE", "open sesame", 1);
  load_record_key(other);
  ASSERT_NE(other.key, nullptr);
  EXPECT_NE(other.key->begin().scrypt->salt, options_.key->begin().scrypt->salt);
}

TEST_F(RecordKeyTest, AFileThatCannotBeUsedIsNamedAndNotShown) {
  options_.key_file = directory_.path() / "absent";
  EXPECT_NE(refusal().find("absent: cannot be read"), std::string::npos) << refusal();
  options_.key_file = file("short", "abcdef");
  EXPECT_NE(refusal().find("short: line 1"), std::string::npos) << refusal();
  EXPECT_EQ(refusal().find("abcdef"), std::string::npos);
  options_.passphrase_file = file("passphrase", "x");
  EXPECT_NE(refusal().find("give one of them"), std::string::npos) << refusal();
  options_.key_file.clear();
  options_.passphrase_file = file("empty", "\n");
  EXPECT_NE(refusal().find("is empty"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace understudy::recorder
