#include "store/sqlite/windowed_identities.h"

#include <algorithm>

#include "base/sha256.h"

namespace waggle {

IdentityKey MakeIdentityKey(std::string_view digest) {
  const Sha256Digest hash = Sha256({digest});
  IdentityKey key;
  std::copy_n(hash.begin(), key.size(), key.begin());
  return key;
}

const WindowedIdentities::First* WindowedIdentities::Find(
    const IdentityKey& key) const {
  const auto found = firsts_.find(key);
  return found == firsts_.end() ? nullptr : &found->second;
}

void WindowedIdentities::Add(const IdentityKey& key, const First& first) {
  firsts_[key] = first;
  by_age_.push_back({key, first.sequence, first.received_at});
  const auto is_over = [&] {
    return by_age_.size() > max_size_ ||
           by_age_.front().received_at < first.received_at - window_;
  };
  while (!by_age_.empty() && is_over()) {
    const Entry& oldest = by_age_.front();
    const auto found = firsts_.find(oldest.key);
    // A newer delivery may have taken the place.
    if (found != firsts_.end() && found->second.sequence == oldest.sequence) {
      firsts_.erase(found);
    }
    by_age_.pop_front();
  }
}

}  // namespace waggle
