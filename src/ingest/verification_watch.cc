#include "ingest/verification_watch.h"

#include <utility>

namespace waggle {

VerificationWatch::Change VerificationWatch::OnVerified() {
  MutexLock lock(mu_);
  last_failure_ = absl::InfinitePast();
  return std::exchange(failing_, false) ? Change::kRecovered : Change::kNone;
}

VerificationWatch::Change VerificationWatch::OnFailed(absl::Time now) {
  MutexLock lock(mu_);
  if (now - last_failure_ > kMaxGap) {
    first_failure_ = now;
    failures_ = 0;
  }
  last_failure_ = now;
  ++failures_;
  if (failing_ || now - first_failure_ < kFailingAfter ||
      failures_ < kMinFailures) {
    return Change::kNone;
  }
  failing_ = true;
  return Change::kBeganToFail;
}

}  // namespace waggle
