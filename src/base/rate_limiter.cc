#include "base/rate_limiter.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/string_view.h"
#include "base/strings.h"

namespace waggle {
namespace {

// Sweeps look at every key, so they must not follow each other closely.
constexpr std::chrono::seconds kSweepPause(1);

}  // namespace

bool RateLimiter::Take(std::string_view key, TimePoint now) {
  MutexLock lock(mu_);
  Bucket& bucket = Find(key, now);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

bool RateLimiter::Exhausted(std::string_view key, TimePoint now) {
  MutexLock lock(mu_);
  const auto found = buckets_.find(AsAbsl(key));
  if (found == buckets_.end()) {
    if (buckets_.size() < limit_.max_keys) return false;
    Refill(shared_, now);
    return shared_.tokens < 1;
  }
  Refill(found->second, now);
  return found->second.tokens < 1;
}

size_t RateLimiter::size() const {
  MutexLock lock(mu_);
  return buckets_.size();
}

void RateLimiter::Refill(Bucket& bucket, TimePoint now) const {
  if (now <= bucket.filled_at) return;
  if (bucket.tokens < limit_.burst) {
    const double seconds =
        std::chrono::duration<double>(now - bucket.filled_at).count();
    bucket.tokens =
        std::min(limit_.burst, bucket.tokens + seconds * limit_.per_second);
  }
  bucket.filled_at = now;
}

RateLimiter::Bucket& RateLimiter::Find(std::string_view key, TimePoint now) {
  const auto found = buckets_.find(AsAbsl(key));
  if (found != buckets_.end()) {
    Refill(found->second, now);
    return found->second;
  }
  if (buckets_.size() >= limit_.max_keys) ForgetFull(now);
  if (buckets_.size() >= limit_.max_keys) {
    Refill(shared_, now);
    return shared_;
  }
  return buckets_.emplace(key, Bucket{limit_.burst, now}).first->second;
}

void RateLimiter::ForgetFull(TimePoint now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepPause;
  absl::erase_if(buckets_, [&](auto& entry) {
    Refill(entry.second, now);
    return entry.second.tokens >= limit_.burst;
  });
}

std::string AddressKey(std::string_view address) {
  std::string text(address);
  in6_addr v6;
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1) return text;
  char key[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    inet_ntop(AF_INET, &v6.s6_addr[12], key, sizeof(key));
    return key;
  }
  std::fill(v6.s6_addr + 8, v6.s6_addr + 16, 0);
  inet_ntop(AF_INET6, &v6, key, sizeof(key));
  return std::string(key) + "/64";
}

}  // namespace waggle
