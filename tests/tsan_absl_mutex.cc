// Tells ThreadSanitizer what absl::Mutex orders. gRPC's locks are such, and the
// distribution's Abseil is not instrumented; without this, whatever they order
// looks like a race. Only in builds for ThreadSanitizer: a library that every
// program names first, so that its functions are found before Abseil's, which
// they call.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "absl/synchronization/mutex.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

namespace {

// Abseil's own of a member function that is defined below.
template <typename Member>
Member Next(Member ours) {
  void* address = nullptr;
  std::memcpy(&address, &ours, sizeof(address));
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_sname == nullptr) std::abort();
  address = dlsym(RTLD_NEXT, info.dli_sname);
  if (address == nullptr) std::abort();
  std::memcpy(&ours, &address, sizeof(address));
  return ours;
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto next = Next(&Mutex::Lock);
  (this->*next)();
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  static const auto next = Next(&Mutex::Unlock);
  __tsan_release(this);
  (this->*next)();
}

bool Mutex::TryLock() {
  static const auto next = Next(&Mutex::TryLock);
  if (!(this->*next)()) return false;
  __tsan_acquire(this);
  return true;
}

void CondVar::Wait(Mutex* mu) {
  static const auto next = Next(&CondVar::Wait);
  __tsan_release(mu);
  (this->*next)(mu);
  __tsan_acquire(mu);
}

bool CondVar::WaitWithTimeout(Mutex* mu, Duration timeout) {
  static const auto next = Next(&CondVar::WaitWithTimeout);
  __tsan_release(mu);
  const bool ran_out = (this->*next)(mu, timeout);
  __tsan_acquire(mu);
  return ran_out;
}

bool CondVar::WaitWithDeadline(Mutex* mu, Time deadline) {
  static const auto next = Next(&CondVar::WaitWithDeadline);
  __tsan_release(mu);
  const bool ran_out = (this->*next)(mu, deadline);
  __tsan_acquire(mu);
  return ran_out;
}

ABSL_NAMESPACE_END
}  // namespace absl
