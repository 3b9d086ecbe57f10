// How many connections may be open, in all and from each address; and how many
// of those beyond may at the same time be told so in good order.
#ifndef WAGGLE_NET_CONNECTION_LIMITS_H_
#define WAGGLE_NET_CONNECTION_LIMITS_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"

namespace waggle {

// Thread-safe. Memory is bounded by the limits.
class ConnectionLimits {
 public:
  enum class Verdict { kAdmitted, kTooMany, kTooManyFromAddress };
  struct Entry {
    Verdict verdict;
    // It counts until Leave(). One that is not admitted and not counted is
    // beyond all that are looked at.
    bool counted;
  };

  ConnectionLimits(size_t max_open, size_t max_per_address, size_t max_refused)
      : max_open_(max_open),
        max_per_address_(max_per_address),
        max_refused_(max_refused) {}

  // Of a new connection; `key` is the AddressKey() of its peer.
  Entry Enter(std::string_view key);
  // Of one that was counted.
  void Leave(std::string_view key, Verdict verdict);

  // Those that count.
  size_t open() const;

 private:
  const size_t max_open_;
  const size_t max_per_address_;
  const size_t max_refused_;
  mutable Mutex mu_;
  size_t admitted_ ABSL_GUARDED_BY(mu_) = 0;
  size_t refused_ ABSL_GUARDED_BY(mu_) = 0;
  // Of those admitted; never zero.
  absl::flat_hash_map<std::string, size_t> per_address_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_NET_CONNECTION_LIMITS_H_
