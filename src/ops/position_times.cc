#include "ops/position_times.h"

#include <algorithm>

namespace waggle {

void PositionTimes::Add(Sequence last, absl::Time at) {
  if (!entries_.empty() &&
      (last <= entries_.back().last || at <= entries_.back().at)) {
    return;
  }
  entries_.push_back({last, at});
  if (entries_.size() <= kMaxEntries) return;
  size_t kept = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (i >= kMaxEntries / 2 || i % 2 == 1) entries_[kept++] = entries_[i];
  }
  entries_.resize(kept);
}

std::optional<absl::Time> PositionTimes::After(Sequence position) const {
  const auto next = std::upper_bound(
      entries_.begin(), entries_.end(), position,
      [](Sequence before, const Entry& entry) { return before < entry.last; });
  if (next == entries_.end()) return std::nullopt;
  return next->at;
}

}  // namespace waggle
