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

TerminationSignals::Handler::Handler(TerminationSignals& signals,
                                     std::function<void()> on_first)
    : signals_(signals) {
  MutexLock lock(signals_.mu_);
  if (signals_.first_came_) {
    on_first();
  } else {
    signals_.on_first_ = std::move(on_first);
  }
}

TerminationSignals::Handler::~Handler() {
  MutexLock lock(signals_.mu_);
  signals_.on_first_ = nullptr;
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
    MutexLock lock(mu_);
    if (first_came_) _exit(128 + static_cast<int>(info.ssi_signo));
    first_came_ = true;
    if (on_first_ != nullptr) std::exchange(on_first_, nullptr)();
    came_.SignalAll();
  }
}

}  // namespace waggle
