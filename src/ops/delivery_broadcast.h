// Deliveries as they are recorded, for those who watch.
//
//   DeliveryBroadcast deliveries(log);
//   deliveries.Start();
//   auto watch = deliveries.Watch(filter, [this] { /* take again */ });
//   DeliveryNews news = watch->Take(100);
//   ...
//   watch->Cancel();
//
// Each watch has a buffer of its own with a bound: one that is read more slowly
// than deliveries come loses the oldest and counts them; the store and the
// other watches never wait for it.
#ifndef WAGGLE_OPS_DELIVERY_BROADCAST_H_
#define WAGGLE_OPS_DELIVERY_BROADCAST_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "event/delivery_filter.h"
#include "store/delivery_log.h"
#include "waggle/v1/delivery.pb.h"

namespace waggle {

class DeliveryWatch;

// Some of what came. Deliveries are shared among the watches.
struct DeliveryNews {
  // In order of id.
  std::vector<DeliveryPtr> deliveries;
  // How many that match were left out before these.
  uint64_t skipped = 0;

  bool empty() const { return deliveries.empty() && skipped == 0; }
};

// Thread-safe. No lock is held while a watch is woken.
class DeliveryBroadcast {
 public:
  // Watches at once: the store's thread looks at each delivery for all of them.
  static constexpr size_t kMaxWatches = 64;

  // `log` must outlive the broadcast, and must be closed before it goes.
  explicit DeliveryBroadcast(DeliveryLog& log);
  ~DeliveryBroadcast();

  // Begins to follow the log. Once, before the first append.
  void Start();
  // Wakes nobody any more. Idempotent.
  void Stop();

  // What is recorded from now on and matches the filter, which is valid. `wake`
  // is called on a thread of the broadcast's after Take() had nothing and
  // something came; it must not block, and must cope with coming late. Null if
  // there are kMaxWatches.
  std::shared_ptr<DeliveryWatch> Watch(const v1::DeliveryFilter& filter,
                                       std::function<void()> wake);

 private:
  friend class DeliveryWatch;

  // Called by the store's thread, in order.
  void Publish(absl::Span<const DeliveryPtr> deliveries);
  void RunDispatcher();

  DeliveryLog& log_;
  std::thread dispatcher_;

  // Also of the watches' buffers.
  Mutex mu_;
  CondVar due_or_stopping_;
  absl::flat_hash_map<const DeliveryWatch*, std::shared_ptr<DeliveryWatch>>
      watches_ ABSL_GUARDED_BY(mu_);
  // To be woken.
  std::vector<std::shared_ptr<DeliveryWatch>> due_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

// One watch. Thread-safe; must not outlive the broadcast.
class DeliveryWatch : public std::enable_shared_from_this<DeliveryWatch> {
 public:
  // Use DeliveryBroadcast::Watch.
  DeliveryWatch(DeliveryBroadcast& broadcast, const v1::DeliveryFilter& filter,
                std::function<void()> wake);

  // Puts what the log has of the filter's, the newest `max` at most, before
  // what came since the watch was made; with neither gap nor repeat, since what
  // is recorded meanwhile is in the log, or told, or both. Looks at
  // kMaxLogPages pages of the log at most, and at no further one once `stop`
  // says so. Before the first Take(). Blocks on the store.
  absl::Status ReadLog(size_t max, absl::FunctionRef<bool()> stop);

  // Each ends early if it has looked at very many records.
  static constexpr int kMaxLogPages = 10;

  // What came since the last call, at most `max`. If nothing did, the watch is
  // woken once something does.
  DeliveryNews Take(size_t max);

  // It is not woken any more once this returns, except for a call that is under
  // way.
  void Cancel();

 private:
  friend class DeliveryBroadcast;

  // To be called by the broadcast under its lock, which clang cannot tell to be
  // the one that is meant here.
  void AssertLocked() ABSL_ASSERT_EXCLUSIVE_LOCK(broadcast_.mu_) {}
  void Offer(const DeliveryPtr& delivery)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(broadcast_.mu_);

  DeliveryBroadcast& broadcast_;
  const v1::DeliveryFilter filter_;
  const DeliveryMatcher matcher_;
  const std::function<void()> wake_;

  std::deque<DeliveryPtr> buffer_ ABSL_GUARDED_BY(broadcast_.mu_);
  // ReadLog() brought everything up to here; some of it may be told only after.
  uint64_t logged_through_ ABSL_GUARDED_BY(broadcast_.mu_) = 0;
  // What was left out since the last Take(): how many, and from which id to
  // which.
  uint64_t skipped_ ABSL_GUARDED_BY(broadcast_.mu_) = 0;
  uint64_t first_skipped_ ABSL_GUARDED_BY(broadcast_.mu_) = 0;
  uint64_t last_skipped_ ABSL_GUARDED_BY(broadcast_.mu_) = 0;
  // Take() had nothing.
  bool waiting_ ABSL_GUARDED_BY(broadcast_.mu_) = false;
};

}  // namespace waggle

#endif  // WAGGLE_OPS_DELIVERY_BROADCAST_H_
