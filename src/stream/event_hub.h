// Fan-out. The hub holds the store's newest events in memory, wakes the
// subscriptions that wait for more, and makes each part of a stream once for
// all subscriptions with the same filter.
//
//   EventHub hub(store, readers, options);
//   hub.Start();
//   auto subscription = hub.Subscribe({...}, wake);   // see subscription.h
//   ...
//   hub.Stop();
//
// A subscription is a position, not a queue: it asks for what comes after its
// position, so nothing is ever sent twice or left out, and what the others do
// is nothing to it. There are three answers, and the hub decides between them
// under the one lock that also guards publishing:
//   events  memory holds what comes next;
//   behind  memory no longer holds it: read pages from the store;
//   at end  nothing comes next yet: park, and be woken.
// Why no wake-up is lost: Park() looks again under that lock. Either the event
// was published before, and Park() refuses; or it is published after, and then
// the publisher finds the subscription parked.
#ifndef WAGGLE_STREAM_EVENT_HUB_H_
#define WAGGLE_STREAM_EVENT_HUB_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "event/event_view.h"
#include "event/filter.h"
#include "store/event_store.h"
#include "stream/batch.h"

namespace waggle {

class FilterGroup;
class Subscription;
struct SubscriptionOptions;

struct HubOptions {
  // How much of the newest events memory holds, in bytes.
  size_t tail_bytes = 64 << 20;
  // How long to wait for more events before waking subscriptions.
  absl::Duration linger = absl::ZeroDuration();
};

// Events that became durable together, with what filters look at.
struct TailSegment {
  struct Entry {
    StoredEventPtr event;
    EventView view;  // into *event
  };
  std::vector<Entry> entries;  // at least one, in order
  size_t bytes = 0;

  Sequence last() const { return entries.back().event->sequence; }
};
using TailSegmentPtr = std::shared_ptr<const TailSegment>;

enum class TailState { kEvents, kBehind, kAtEnd };

// Thread-safe. Locks: a FilterGroup's or a Subscription's before the hub's. No
// lock is held while a subscription is woken.
class EventHub {
 public:
  // `store` and `readers` must outlive the hub; `readers` runs the page reads
  // of subscriptions that are behind.
  EventHub(EventStore& store, ThreadPool& readers, HubOptions options);
  // Waits for page reads under way. By then the store must be closed, so that
  // it tells nothing any more, and subscriptions may only be let go.
  ~EventHub();

  // Begins to follow the store's tail. Once, before anything else.
  void Start();

  // Wakes nobody any more. Subscriptions may still be polled: they see what is
  // there. Idempotent.
  void Stop();

  // Makes a subscription. `wake` is called, on a thread of the hub's or of the
  // readers', after Next() had nothing and it is worth asking again; it must
  // not block, and must cope with coming late or without a cause.
  std::shared_ptr<Subscription> Subscribe(const SubscriptionOptions& options,
                                          std::function<void()> wake);

  // The newest event that subscriptions can see.
  Sequence last() const;

  // When the oldest event after `position` was stored; nothing if memory does
  // not hold it, or there is none.
  std::optional<absl::Time> StoredAfter(Sequence position) const;

  const StoreId& store_id() const { return store_.id(); }
  StoreBounds store_bounds() const { return store_.Bounds(); }

 private:
  friend class FilterGroup;
  friend class Subscription;

  // Called by the store's thread, in order.
  void Publish(absl::Span<const StoredEventPtr> events);
  // Wakes what is parked, whenever something was published.
  void RunDispatcher();

  // The first segment of tail_ that holds something after `position`.
  std::deque<TailSegmentPtr>::const_iterator FirstAfter(Sequence position) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What memory holds after `position`: for kEvents, the segments that hold it,
  // as many as have `enough` events or as there are, and `last`.
  TailState Collect(Sequence position, size_t enough,
                    std::vector<TailSegmentPtr>& segments,
                    Sequence& last) const;
  // Whether memory holds everything after `position`.
  bool HoldsAfter(Sequence position) const;
  // Keeps the subscription until something is published after `position`; false
  // if something already was.
  bool Park(Sequence position, std::shared_ptr<Subscription> subscription);
  void Unpark(const Subscription* subscription);
  // Has the subscription's ReadPage() run by `readers_`.
  void SubmitRead(std::shared_ptr<Subscription> subscription);

  std::shared_ptr<FilterGroup> Group(const SubscriptionOptions& options);
  // How much a filter group may keep for its subscriptions, in bytes.
  size_t KeptBytesPerGroup() const;

  EventStore& store_;
  ThreadPool& readers_;
  const HubOptions options_;
  std::thread dispatcher_;

  mutable Mutex mu_;
  CondVar published_or_stopping_;
  CondVar
      lingering_;  // signalled when stopping only: a linger is not cut short
  CondVar read_done_;
  // Holds every durable event after tail_after_, up to last_.
  std::deque<TailSegmentPtr> tail_ ABSL_GUARDED_BY(mu_);
  size_t tail_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  Sequence tail_after_ ABSL_GUARDED_BY(mu_);
  Sequence last_ ABSL_GUARDED_BY(mu_);
  bool published_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Page reads that are under way, or wait to be.
  int reads_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<const Subscription*, std::shared_ptr<Subscription>>
      parked_ ABSL_GUARDED_BY(mu_);

  Mutex groups_mu_;
  absl::flat_hash_map<std::string, std::weak_ptr<FilterGroup>> groups_
      ABSL_GUARDED_BY(groups_mu_);
  std::atomic<size_t> group_count_ = 0;
};

}  // namespace waggle

#endif  // WAGGLE_STREAM_EVENT_HUB_H_
