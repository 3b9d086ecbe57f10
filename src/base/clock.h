// The wall clock, as an interface, so that tests can move time.
//
// Timeouts and deadlines inside the process use steady time instead
// (CondVar::WaitFor); the wall clock is for what people and other machines see.
#ifndef WAGGLE_BASE_CLOCK_H_
#define WAGGLE_BASE_CLOCK_H_

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

}  // namespace waggle

#endif  // WAGGLE_BASE_CLOCK_H_
