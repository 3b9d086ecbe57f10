// A fixed set of threads that run jobs in the order they came.
#ifndef WAGGLE_BASE_THREAD_POOL_H_
#define WAGGLE_BASE_THREAD_POOL_H_

#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "base/mutex.h"

namespace waggle {

// Thread-safe.
class ThreadPool {
 public:
  using Job = absl::AnyInvocable<void()>;

  explicit ThreadPool(size_t threads);
  // Runs what was submitted, then joins.
  ~ThreadPool();

  // Never blocks. The queue has no bound: callers bound what they submit.
  void Submit(Job job);

 private:
  void Run();

  Mutex mu_;
  CondVar wake_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace waggle

#endif  // WAGGLE_BASE_THREAD_POOL_H_
