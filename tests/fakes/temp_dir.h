// A directory of a test's own, removed with all that is in it.
#ifndef WAGGLE_TESTS_FAKES_TEMP_DIR_H_
#define WAGGLE_TESTS_FAKES_TEMP_DIR_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace waggle {

class TempDir {
 public:
  TempDir() : path_(::testing::TempDir() + "waggle-test-XXXXXX") {
    EXPECT_NE(mkdtemp(path_.data()), nullptr) << path_;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_TEMP_DIR_H_
