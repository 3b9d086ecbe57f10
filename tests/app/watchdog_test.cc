#include "app/watchdog.h"

#include <atomic>

#include "gtest/gtest.h"
#include "tests/fakes/wake_flag.h"

namespace waggle {
namespace {

TEST(Watchdog, CallsOnceTheTimeIsUp) {
  WakeFlag called;
  const Watchdog watchdog(absl::Milliseconds(1), [&called] { called.Set(); });
  EXPECT_TRUE(called.Wait());
}

TEST(Watchdog, DoesNotCallIfItEndsBefore) {
  std::atomic<bool> called = false;
  {
    const Watchdog watchdog(absl::Hours(1), [&called] { called = true; });
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace waggle
