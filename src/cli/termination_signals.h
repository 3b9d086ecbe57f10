// SIGTERM and SIGINT, turned into an orderly end: the first one is told, the
// second ends the process at once, with 128 plus its number.
//
// Make one before any other thread starts, so that all threads inherit that the
// signals are blocked and none is interrupted. One at a time.
#ifndef WAGGLE_CLI_TERMINATION_SIGNALS_H_
#define WAGGLE_CLI_TERMINATION_SIGNALS_H_

#include <csignal>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace waggle {

class TerminationSignals {
 public:
  TerminationSignals();
  // Lets the signals through again.
  ~TerminationSignals();

  // Says what the first signal does, while it exists: `on_first` is called
  // once, when the signal comes or at once if it has come; on a thread of its
  // own or on the caller's. It must not wait for this handler's end. One at a
  // time.
  class Handler {
   public:
    Handler(TerminationSignals& signals, std::function<void()> on_first);
    ~Handler();
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;

   private:
    TerminationSignals& signals_;
  };

  // Blocks until the first signal has come.
  void Wait();

 private:
  void Watch();

  sigset_t previous_;
  int signals_ = -1;
  int stop_ = -1;
  Mutex mu_;
  CondVar came_;
  bool first_came_ ABSL_GUARDED_BY(mu_) = false;
  // Called under the lock, so that a handler that is gone is not called.
  std::function<void()> on_first_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_TERMINATION_SIGNALS_H_
