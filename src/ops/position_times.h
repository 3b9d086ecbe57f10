// About when each position of a store was passed: so that the age of what a
// subscriber has yet to get is known without asking the store, which may be the
// very thing that is slow.
#ifndef WAGGLE_OPS_POSITION_TIMES_H_
#define WAGGLE_OPS_POSITION_TIMES_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "event/sequence.h"

namespace waggle {

// For one thread at a time.
class PositionTimes {
 public:
  // Bounds the memory: beyond it, of the older half every other one goes.
  static constexpr size_t kMaxEntries = 4096;

  // Everything up to `last` was stored before `at`, and nothing after it. What
  // is not further on than the entry before is left out.
  void Add(Sequence last, absl::Time at);

  // When the first event after `position` was stored, or a little later: as
  // much as entries are apart. Nothing if that was after the last entry.
  std::optional<absl::Time> After(Sequence position) const;

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Sequence last;
    absl::Time at;
  };
  std::vector<Entry> entries_;  // increasing in both
};

}  // namespace waggle

#endif  // WAGGLE_OPS_POSITION_TIMES_H_
