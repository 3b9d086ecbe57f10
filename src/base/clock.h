// The wall clock, as an interface, so that tests can move time.
//
// Timeouts and deadlines inside the process use steady time instead
// (CondVar::WaitFor, SteadyNow); the wall clock is for what people and other
// machines see.
#ifndef WAGGLE_BASE_CLOCK_H_
#define WAGGLE_BASE_CLOCK_H_

#include <chrono>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace waggle {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

// Time that only goes forward, at its own pace: for intervals, which must not
// depend on the wall clock being set. Its epoch means nothing.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() +
         absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace waggle

#endif  // WAGGLE_BASE_CLOCK_H_
