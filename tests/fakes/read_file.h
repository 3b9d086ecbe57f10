// A whole file as a string, for tests; fails the test if it cannot be read.
#ifndef WAGGLE_TESTS_FAKES_READ_FILE_H_
#define WAGGLE_TESTS_FAKES_READ_FILE_H_

#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace waggle {

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_READ_FILE_H_
