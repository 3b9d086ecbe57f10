#include "base/draft_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/fakes/failing_fsync.h"
#include "tests/fakes/read_file.h"
#include "tests/fakes/temp_dir.h"

namespace waggle {
namespace {

namespace fs = std::filesystem;

class DraftFileTest : public ::testing::Test {
 protected:
  int Files() {
    int files = 0;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      files += entry.is_regular_file() ? 1 : 0;
    }
    return files;
  }

  TempDir dir_;
  const std::string path_ = dir_.File("file");
  const fs::path directory_ = fs::path(path_).parent_path();
};

TEST_F(DraftFileTest, AppearsOnceItIsPublishedForItsOwnerOnly) {
  auto draft = DraftFile::Create(path_);
  ASSERT_TRUE(draft.ok()) << draft.status();
  ASSERT_EQ(write(draft->fd(), "whole", 5), 5);
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(draft->Publish().ok());
  EXPECT_EQ(ReadFile(path_), "whole");
  EXPECT_EQ(Files(), 1);
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(DraftFileTest, LeavesNothingUnlessItIsPublished) {
  { ASSERT_TRUE(DraftFile::Create(path_).ok()); }
  EXPECT_EQ(Files(), 0);
}

TEST_F(DraftFileTest, LeavesNothingIfItsNameCannotBeMadeDurable) {
  auto draft = DraftFile::Create(path_);
  ASSERT_TRUE(draft.ok()) << draft.status();
  const FailingFsync failing(dir_.path(), "file");
  EXPECT_FALSE(draft->Publish().ok());
  EXPECT_EQ(Files(), 0);
}

TEST_F(DraftFileTest, ReplacesNothing) {
  auto draft = DraftFile::Create(path_);
  ASSERT_TRUE(draft.ok());
  std::ofstream(path_) << "somebody else's";
  EXPECT_TRUE(absl::IsAlreadyExists(draft->Publish()));
  EXPECT_TRUE(absl::IsAlreadyExists(DraftFile::Create(path_).status()));
  EXPECT_EQ(ReadFile(path_), "somebody else's");
}

TEST_F(DraftFileTest, SaysWhereItCannotBe) {
  const absl::Status status =
      DraftFile::Create(dir_.File("nowhere/file")).status();
  EXPECT_NE(status.message().find("nowhere"), std::string::npos) << status;
}

}  // namespace
}  // namespace waggle
