// Messages written as text, for tests.
#ifndef WAGGLE_TESTS_FAKES_FROM_TEXT_H_
#define WAGGLE_TESTS_FAKES_FROM_TEXT_H_

#include <string>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace waggle {

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_FROM_TEXT_H_
