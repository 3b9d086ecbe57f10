// Tells when nothing that comes to an endpoint is authentic any more, though it
// keeps coming: most likely its signing key was regenerated in Bindbee's
// dashboard, and every event is lost until the gateway has the new one.
#ifndef WAGGLE_INGEST_VERIFICATION_WATCH_H_
#define WAGGLE_INGEST_VERIFICATION_WATCH_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace waggle {

// Thread-safe.
class VerificationWatch {
 public:
  // Failures for so long, without one success, are a failing endpoint.
  static constexpr absl::Duration kFailingAfter = absl::Minutes(1);
  // Webhooks further apart than this do not keep coming: what a stranger posts
  // now and then says nothing of the key.
  static constexpr absl::Duration kMaxGap = absl::Minutes(10);
  // Nor do a few of them: a delivery that fails is tried several times.
  static constexpr int kMinFailures = 5;

  enum class Change { kNone, kBeganToFail, kRecovered };

  // A webhook was authentic.
  Change OnVerified();
  // One was not.
  Change OnFailed(absl::Time now);

  bool failing() const {
    MutexLock lock(mu_);
    return failing_;
  }

 private:
  mutable Mutex mu_;
  // The first and the last failure since the last success or gap, and how many
  // there were.
  absl::Time first_failure_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Time last_failure_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  int failures_ ABSL_GUARDED_BY(mu_) = 0;
  bool failing_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace waggle

#endif  // WAGGLE_INGEST_VERIFICATION_WATCH_H_
