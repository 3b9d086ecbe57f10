// One subscriber's way through the events: a position and how to get on from
// it. Knows nothing of the transport.
//
//   auto subscription = hub.Subscribe(options, [this] { /* poll again */ });
//   switch (subscription->Next(batch)) ...
//   subscription->Cancel();
//
// Live, it takes what the hub's memory holds. Behind that, it has pages read
// from the store, one ahead of what was taken, and comes back to the tail by
// itself. So it holds a bounded amount, however slow it is, and costs the
// others nothing.
#ifndef WAGGLE_STREAM_SUBSCRIPTION_H_
#define WAGGLE_STREAM_SUBSCRIPTION_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "event/filter.h"
#include "event/sequence.h"
#include "stream/batch.h"
#include "stream/event_hub.h"

namespace waggle {

struct SubscriptionOptions {
  // Not null.
  std::shared_ptr<const Filter> filter;
  // The position to start from.
  Sequence after;
  // If set, the stream ends once its position is here or further.
  std::optional<Sequence> stop_at;
  EventParts parts;
  // The most events in a batch; at least 1.
  size_t max_batch = 64;
};

enum class Progress {
  // A batch with at least one event.
  kBatch,
  // Nothing now; `wake` will be called.
  kWait,
  // stop_at is reached.
  kEnd,
  // status() says why the stream cannot go on.
  kFailed,
};

// Next(), position() and status() are for one thread at a time; Wake() and
// Cancel() are for any. Kept alive by whoever made it, and by the hub and the
// readers while they have business with it.
class Subscription : public std::enable_shared_from_this<Subscription> {
 public:
  // Use EventHub::Subscribe.
  Subscription(EventHub& hub, std::shared_ptr<FilterGroup> group,
               const SubscriptionOptions& options, std::function<void()> wake);
  ~Subscription();

  // Asks for the next batch. Does not block on the store.
  Progress Next(BatchPtr& batch);

  // Everything up to here was in batches that Next() gave, or did not match.
  Sequence position() const { return position_; }

  // Whether the position is the end of what subscriptions can see.
  bool caught_up() const { return position_ >= hub_.last(); }

  // After kFailed: OUT_OF_RANGE if retention overtook the position, or the
  // store's error.
  const absl::Status& status() const { return status_; }

  // `wake` is not called any more once this returns, except for a call that is
  // under way.
  void Cancel();

  // Calls `wake`, unless cancelled.
  void Wake();

 private:
  friend class EventHub;

  // Has the next page read, unless enough is at hand.
  void ReadAhead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Runs on a reader's thread.
  void ReadPage();

  EventHub& hub_;
  const std::shared_ptr<FilterGroup> group_;
  const std::function<void()> wake_;
  const std::optional<Sequence> stop_at_;
  const bool include_payload_;
  Sequence position_;
  absl::Status status_;

  Mutex mu_;
  // Made from pages, not yet taken.
  std::deque<BatchPtr> ready_ ABSL_GUARDED_BY(mu_);
  // Pages were read up to here.
  Sequence read_through_ ABSL_GUARDED_BY(mu_);
  // The hub's memory held what comes after that: no more pages are needed.
  bool joins_tail_ ABSL_GUARDED_BY(mu_) = false;
  // A page is being read, or waits to be.
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  // Next() found nothing and wants to be told.
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status read_status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle

#endif  // WAGGLE_STREAM_SUBSCRIPTION_H_
