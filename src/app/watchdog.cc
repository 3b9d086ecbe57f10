#include "app/watchdog.h"

#include <chrono>
#include <utility>

namespace waggle {

Watchdog::Watchdog(absl::Duration limit, std::function<void()> on_expiry)
    : limit_(limit),
      on_expiry_(std::move(on_expiry)),
      thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    MutexLock lock(mu_);
    ending_ = true;
  }
  ended_.SignalAll();
  thread_.join();
}

void Watchdog::Run() {
  using SteadyClock = std::chrono::steady_clock;
  const auto deadline = SteadyClock::now() + absl::ToChronoNanoseconds(limit_);
  {
    MutexLock lock(mu_);
    while (!ending_) {
      const auto left = absl::FromChrono(deadline - SteadyClock::now());
      if (left <= absl::ZeroDuration()) break;
      ended_.WaitFor(mu_, left);
    }
    if (ending_) return;
  }
  on_expiry_();
}

}  // namespace waggle
