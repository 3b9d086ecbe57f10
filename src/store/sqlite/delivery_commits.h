// The commits that deliveries were stored by: how long each took.
//
// A commit cannot know in its own transaction how long it takes, and a row of
// its own would cost each one a page. So many are written at once, by a later
// one; until then, and for reads that began before that, they are remembered
// here.
#ifndef WAGGLE_STORE_SQLITE_DELIVERY_COMMITS_H_
#define WAGGLE_STORE_SQLITE_DELIVERY_COMMITS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace waggle {

// Of the deliveries with these ids, from first to last.
struct DeliveryCommit {
  int64_t first_id;
  int64_t last_id;
  absl::Duration duration;  // whole microseconds
};

// The newest. Thread-safe.
class RecentDeliveryCommits {
 public:
  void Add(const DeliveryCommit& commit) {
    MutexLock lock(mu_);
    commits_.push_back(commit);
    if (commits_.size() > kRemembered) commits_.pop_front();
  }

  std::optional<absl::Duration> Find(int64_t delivery_id) const {
    MutexLock lock(mu_);
    const auto commit = std::lower_bound(
        commits_.begin(), commits_.end(), delivery_id,
        [](const DeliveryCommit& c, int64_t id) { return c.last_id < id; });
    if (commit == commits_.end() || delivery_id < commit->first_id) {
      return std::nullopt;
    }
    return commit->duration;
  }

 private:
  // More than are committed while a page is read.
  static constexpr size_t kRemembered = 1024;

  mutable Mutex mu_;
  std::deque<DeliveryCommit> commits_ ABSL_GUARDED_BY(mu_);  // by id
};

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_DELIVERY_COMMITS_H_
