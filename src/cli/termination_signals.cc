#include "cli/termination_signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace waggle {

TerminationSignals::TerminationSignals() {
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  pthread_sigmask(SIG_BLOCK, &watched, &previous_);
  signals_ = signalfd(-1, &watched, SFD_CLOEXEC);
  stop_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { Watch(); });
}

TerminationSignals::~TerminationSignals() {
  eventfd_write(stop_, 1);
  thread_.join();
  close(signals_);
  close(stop_);
  pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
}

void TerminationSignals::OnFirst(std::function<void()> on_first) {
  {
    MutexLock lock(mu_);
    if (!first_came_) {
      on_first_ = std::move(on_first);
      return;
    }
  }
  on_first();
}

void TerminationSignals::Wait() {
  MutexLock lock(mu_);
  while (!first_came_) came_.Wait(mu_);
}

void TerminationSignals::Watch() {
  pollfd watched[] = {{signals_, POLLIN, 0}, {stop_, POLLIN, 0}};
  while (true) {
    if (poll(watched, 2, -1) < 0) continue;
    if (watched[1].revents != 0) return;
    signalfd_siginfo info;
    if (read(signals_, &info, sizeof(info)) != sizeof(info)) continue;
    std::function<void()> on_first;
    {
      MutexLock lock(mu_);
      if (first_came_) _exit(128 + static_cast<int>(info.ssi_signo));
      first_came_ = true;
      on_first = std::exchange(on_first_, nullptr);
    }
    came_.SignalAll();
    if (on_first != nullptr) on_first();
  }
}

}  // namespace waggle
