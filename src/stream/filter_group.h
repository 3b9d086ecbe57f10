// The subscriptions that are due the same bytes: those with the same filter and
// the same options. What comes after a position is made for the first that asks
// and kept for the others.
#ifndef WAGGLE_STREAM_FILTER_GROUP_H_
#define WAGGLE_STREAM_FILTER_GROUP_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "base/mutex.h"
#include "event/filter.h"
#include "stream/batch.h"
#include "stream/event_hub.h"

namespace waggle {

// Thread-safe.
class FilterGroup {
 public:
  FilterGroup(const EventHub& hub, std::shared_ptr<const Filter> filter,
              EventParts parts, size_t max_batch);

  // What comes after `position`, if memory holds it: for kEvents, a batch that
  // ends further on, and holds no event if none of those matched.
  TailState Next(Sequence position, BatchPtr& batch);

  // The batches of a page that was read from the store: together they end at
  // the page's last event. `caught_up` is true if that is the end of the store.
  std::vector<BatchPtr> BatchesOf(const std::vector<StoredEventPtr>& page,
                                  bool caught_up) const;

  void Join() { ++members_; }
  void Leave() { --members_; }

 private:
  // The most batches that are kept, in addition to the hub's bound on their
  // bytes: those of a filter that matches little are small.
  static constexpr size_t kKeptBatches = 512;

  struct KeptBatch {
    BatchPtr batch;
    // Nothing followed when it was made, and so it says.
    bool at_end;
  };

  bool Matches(const EventView& view) const {
    return filter_->matches_all() || filter_->Matches(view);
  }
  Cursor CursorAt(Sequence sequence) const {
    return {hub_.store_id(), sequence};
  }
  // Null if there is none that can be given now.
  BatchPtr FindKept(Sequence position) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Keep(Sequence position, KeptBatch batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const EventHub& hub_;
  const std::shared_ptr<const Filter> filter_;
  const EventParts parts_;
  const size_t max_batch_;
  std::atomic<int> members_ = 0;

  Mutex mu_;
  // By the position that they follow.
  absl::btree_map<Sequence, KeptBatch> kept_ ABSL_GUARDED_BY(mu_);
  size_t kept_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace waggle

#endif  // WAGGLE_STREAM_FILTER_GROUP_H_
