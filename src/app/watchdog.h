// Calls a function if it still exists after a while: a bound for work that has
// none of its own, such as waiting for a disk.
//
//   const Watchdog watchdog(absl::Seconds(30), [] { std::_Exit(1); });
//   ...                       // must be done by then
#ifndef WAGGLE_APP_WATCHDOG_H_
#define WAGGLE_APP_WATCHDOG_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace waggle {

class Watchdog {
 public:
  // `on_expiry` is called once, on a thread of the watchdog's.
  Watchdog(absl::Duration limit, std::function<void()> on_expiry);
  // Waits for `on_expiry` if it is under way.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void Run();

  const absl::Duration limit_;
  const std::function<void()> on_expiry_;
  Mutex mu_;
  CondVar ended_;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace waggle

#endif  // WAGGLE_APP_WATCHDOG_H_
