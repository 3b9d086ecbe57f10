// Runs a job at once and then again and again, on a thread of its own, until it
// is stopped.
#ifndef WAGGLE_APP_PERIODIC_H_
#define WAGGLE_APP_PERIODIC_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace waggle {

class Periodic {
 public:
  // `pause` is from the end of one run to the start of the next.
  Periodic(absl::Duration pause, std::function<void()> job);
  ~Periodic();

  // Returns once the job is not running and will not run again. Idempotent; for
  // one thread.
  void Stop();

 private:
  void Run();

  const absl::Duration pause_;
  const std::function<void()> job_;
  Mutex mu_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace waggle

#endif  // WAGGLE_APP_PERIODIC_H_
