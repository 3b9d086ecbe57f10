// How often each of many keys (an address, a principal) may do something: a
// token bucket for each.
//
//   RateLimiter limiter({.per_second = 10, .burst = 20});
//   if (!limiter.Take(AddressKey(remote_address))) Refuse();
//
// Memory is bounded, whoever calls from however many addresses: a key whose
// bucket is full is as good as one never seen and is forgotten, and beyond
// max_keys unknown keys share one bucket.
#ifndef WAGGLE_BASE_RATE_LIMITER_H_
#define WAGGLE_BASE_RATE_LIMITER_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"

namespace waggle {

struct RateLimit {
  double per_second = 1;
  // How many at once after a quiet time; none ever if it is less than 1.
  double burst = 1;
  size_t max_keys = 65536;
};

// Thread-safe.
class RateLimiter {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit RateLimiter(const RateLimit& limit) : limit_(limit) {}

  // Takes a token of the key's bucket; false if there is none.
  bool Take(std::string_view key,
            TimePoint now = std::chrono::steady_clock::now());

  // Whether a Take() would be false now. Takes nothing.
  bool Exhausted(std::string_view key,
                 TimePoint now = std::chrono::steady_clock::now());

  // Keys that are remembered.
  size_t size() const;

 private:
  struct Bucket {
    double tokens;
    TimePoint filled_at;
  };

  void Refill(Bucket& bucket, TimePoint now) const;
  Bucket& Find(std::string_view key, TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetFull(TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const RateLimit limit_;
  mutable Mutex mu_;
  absl::flat_hash_map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mu_);
  Bucket shared_ ABSL_GUARDED_BY(mu_){limit_.burst, TimePoint::min()};
  // Nothing can be forgotten before.
  TimePoint next_sweep_ ABSL_GUARDED_BY(mu_) = TimePoint::min();
};

// What stands for one client in limits per address: an IPv4 address, also if
// it is mapped into IPv6, or the /64 of an IPv6 address, of which one client
// commands every address. Anything else stands for itself.
std::string AddressKey(std::string_view address);

}  // namespace waggle

#endif  // WAGGLE_BASE_RATE_LIMITER_H_
