// The identities that hold for a time only, in memory: which deliveries arrived
// lately. Bounded: beyond `max_size`, the oldest are forgotten before their
// time.
//
// An identity is kept as the first 16 bytes of a SHA-256 of the delivery's
// digest: short, and spread evenly whatever callers choose for a digest.
//
// Not thread-safe: the store's writer thread owns it.
#ifndef WAGGLE_STORE_SQLITE_WINDOWED_IDENTITIES_H_
#define WAGGLE_STORE_SQLITE_WINDOWED_IDENTITIES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "event/sequence.h"
#include "store/uuid.h"

namespace waggle {

using IdentityKey = std::array<uint8_t, 16>;

IdentityKey MakeIdentityKey(std::string_view digest);

class WindowedIdentities {
 public:
  // What a delivery became.
  struct First {
    Sequence sequence;
    Uuid id{};
    absl::Time received_at;

    // Whether an arrival at `time` is the same delivery. Before or after, since
    // clocks can be moved back.
    bool Holds(absl::Time time, absl::Duration window) const {
      return absl::AbsDuration(time - received_at) < window;
    }
  };

  // Identities are forgotten once one is added that arrived `window` later.
  WindowedIdentities(absl::Duration window, size_t max_size)
      : window_(window), max_size_(max_size) {}

  // The newest delivery with this identity, whether it still holds or not; null
  // if none is remembered. Valid until the next Add().
  const First* Find(const IdentityKey& key) const;

  // The newest takes the place of an older one with the same key.
  void Add(const IdentityKey& key, const First& first);

  absl::Duration window() const { return window_; }
  size_t max_size() const { return max_size_; }

 private:
  struct Entry {
    IdentityKey key;
    Sequence sequence;
    absl::Time received_at;
  };

  const absl::Duration window_;
  const size_t max_size_;
  absl::flat_hash_map<IdentityKey, First> firsts_;
  std::deque<Entry> by_age_;  // in order of Add()
};

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_WINDOWED_IDENTITIES_H_
