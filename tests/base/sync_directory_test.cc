#include "base/sync_directory.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/temp_dir.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;

TEST(SyncDirectoryTest, IsOfTheDirectoryThatAFileIsIn) {
  const TempDir dir;
  EXPECT_TRUE(SyncDirectory(dir.File("")).ok());
  EXPECT_TRUE(SyncDirectoryOf(dir.File("file")).ok());
  EXPECT_TRUE(SyncDirectoryOf("file").ok());
}

TEST(SyncDirectoryTest, NamesWhatItCannotSync) {
  const TempDir dir;
  const absl::Status status = SyncDirectoryOf(dir.File("nowhere/file"));
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace waggle
