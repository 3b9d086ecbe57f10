#include "cli/cursor_file.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/read_file.h"
#include "tests/fakes/temp_dir.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;

const std::string kFirst = "ASp4k4di4oMsaBiG50oqA88AAAAAAAAAAhEB3Mg";
const std::string kSecond = "ASp4k4di4oMsaBiG50oqA88AAAAAAAAAAxEB3Mg";

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

TEST(CursorFileTest, IsEmptyUntilSomethingIsStored) {
  TempDir dir;
  CursorFile file(dir.File("cursor"));
  EXPECT_EQ(*file.Load(), "");
  ASSERT_TRUE(file.Store(kFirst).ok());
  EXPECT_EQ(*file.Load(), kFirst);
  ASSERT_TRUE(file.Store(kSecond).ok());
  EXPECT_EQ(*CursorFile(dir.File("cursor")).Load(), kSecond);
}

// A file that is written in place can be found half-written after a crash.
TEST(CursorFileTest, ReplacesTheFileAndNeverWritesIntoIt) {
  TempDir dir;
  CursorFile file(dir.File("cursor"));
  ASSERT_TRUE(file.Store(kFirst).ok());
  std::filesystem::create_hard_link(dir.File("cursor"), dir.File("link"));
  ASSERT_TRUE(file.Store(kSecond).ok());
  EXPECT_EQ(ReadFile(dir.File("link")), kFirst + "\n");
  EXPECT_EQ(ReadFile(dir.File("cursor")), kSecond + "\n");
}

TEST(CursorFileTest, KeepsTheOldCursorWhenStoringFails) {
  TempDir dir;
  CursorFile file(dir.File("cursor"));
  ASSERT_TRUE(file.Store(kFirst).ok());
  // In the way of the new one.
  std::filesystem::create_directory(dir.File("cursor.new"));
  EXPECT_FALSE(file.Store(kSecond).ok());
  EXPECT_EQ(*file.Load(), kFirst);
}

TEST(CursorFileTest, WhatACrashLeftBehindDoesNotMatter) {
  TempDir dir;
  CursorFile file(dir.File("cursor"));
  WriteFile(dir.File("cursor.new"), kFirst.substr(0, 10) +
                                        "xxxxxxxxxxxxxxxxxx"
                                        "xxxxxxxxxxxxxxxxxx"
                                        "xxxxxxxxxxxxxxxx");
  EXPECT_EQ(*file.Load(), "");
  ASSERT_TRUE(file.Store(kFirst).ok());
  EXPECT_EQ(*file.Load(), kFirst);
}

TEST(CursorFileTest, RefusesAFileThatHoldsSomethingElse) {
  TempDir dir;
  for (const char* content :
       {"", "\n", "short", "events: [1, 2, 3, 4, 5, 6, 7]"}) {
    WriteFile(dir.File("cursor"), content);
    const auto cursor = CursorFile(dir.File("cursor")).Load();
    ASSERT_FALSE(cursor.ok()) << content;
    EXPECT_THAT(std::string(cursor.status().message()),
                HasSubstr(dir.File("cursor")));
  }
}

TEST(CursorFileTest, SaysWhichFileCannotBeWritten) {
  const absl::Status status = CursorFile("/nonexistent/cursor").Store(kFirst);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/cursor"));
}

}  // namespace
}  // namespace waggle
