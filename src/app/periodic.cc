#include "app/periodic.h"

#include <utility>

namespace waggle {

Periodic::Periodic(absl::Duration pause, std::function<void()> job)
    : pause_(pause), job_(std::move(job)), thread_([this] { Run(); }) {}

Periodic::~Periodic() { Stop(); }

void Periodic::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  stopped_.SignalAll();
  if (thread_.joinable()) thread_.join();
}

void Periodic::Run() {
  while (true) {
    job_();
    MutexLock lock(mu_);
    if (!stopping_) stopped_.WaitFor(mu_, pause_);
    if (stopping_) return;
  }
}

}  // namespace waggle
