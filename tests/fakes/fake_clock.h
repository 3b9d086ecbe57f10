// A wall clock that stands still until a test moves it. Thread-safe.
#ifndef WAGGLE_TESTS_FAKES_FAKE_CLOCK_H_
#define WAGGLE_TESTS_FAKES_FAKE_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace waggle {

class FakeClock final : public Clock {
 public:
  // Starts at a whole second, so that times survive every store's resolution.
  explicit FakeClock(absl::Time now = absl::FromUnixSeconds(1'750'000'000))
      : now_(now) {}

  absl::Time Now() const override {
    MutexLock lock(mu_);
    return now_;
  }

  // Negative durations move it back, as an operator can.
  void Advance(absl::Duration by) {
    MutexLock lock(mu_);
    now_ += by;
  }

  void Set(absl::Time now) {
    MutexLock lock(mu_);
    now_ = now;
  }

 private:
  mutable Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_FAKE_CLOCK_H_
