// A flag that one thread sets and another waits for. Thread-safe.
#ifndef WAGGLE_TESTS_FAKES_WAKE_FLAG_H_
#define WAGGLE_TESTS_FAKES_WAKE_FLAG_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace waggle {

class WakeFlag {
 public:
  void Set() {
    MutexLock lock(mu_);
    set_ = true;
    changed_.SignalAll();
  }

  // Waits until the flag is set, and clears it. False if that takes longer than
  // any correct program would.
  bool Wait(absl::Duration timeout = absl::Seconds(60)) {
    MutexLock lock(mu_);
    while (!set_) {
      if (!changed_.WaitFor(mu_, timeout) && !set_) return false;
    }
    set_ = false;
    return true;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool set_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_FAKES_WAKE_FLAG_H_
