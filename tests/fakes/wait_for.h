// Waiting for what nothing announces.
#ifndef WAGGLE_TESTS_FAKES_WAIT_FOR_H_
#define WAGGLE_TESTS_FAKES_WAIT_FOR_H_

#include <chrono>
#include <functional>
#include <thread>

#include "gtest/gtest.h"

namespace waggle::testing {

inline constexpr std::chrono::seconds kPatience(60);

// Polls the condition, and fails the test after kPatience.
inline void WaitFor(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited in vain";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace waggle::testing

#endif  // WAGGLE_TESTS_FAKES_WAIT_FOR_H_
