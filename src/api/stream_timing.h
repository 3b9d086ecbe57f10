// What all streams keep to: how old they get, and how long a client that does
// not read has to take its end.
#ifndef WAGGLE_API_STREAM_TIMING_H_
#define WAGGLE_API_STREAM_TIMING_H_

#include <algorithm>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace waggle {

// How long a rotated client should wait, so that it finds the replica that a
// load balancer has meanwhile chosen.
inline constexpr absl::Duration kRotateRetry = absl::Milliseconds(500);

// A stream whose client does not read cannot be ended in order; it is cut so
// long after its time.
inline constexpr absl::Duration kRotateGrace = absl::Seconds(30);
// The same for one whose rights ended.
inline constexpr absl::Duration kRevokeGrace = absl::Seconds(2);

// The age that a stream gets whose caller's credentials expire then. Ages
// differ by up to a fifth, so that streams which were opened together do not
// come back together.
inline absl::Duration StreamAge(absl::Duration max_age,
                                absl::Time credentials_expire_at) {
  thread_local absl::BitGen random;
  if (max_age != absl::InfiniteDuration()) {
    max_age *= absl::Uniform(random, 0.8, 1.0);
  }
  // Who comes back then shows what is valid.
  return std::min(max_age, credentials_expire_at - absl::Now());
}

}  // namespace waggle

#endif  // WAGGLE_API_STREAM_TIMING_H_
