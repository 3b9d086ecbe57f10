// Events as the receiver would append them, without the webhooks: as many as
// wanted, each with an id and an identity of its own.
#ifndef WAGGLE_BENCH_EVENT_FEED_H_
#define WAGGLE_BENCH_EVENT_FEED_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "store/event_store.h"

namespace waggle::bench {

// For one thread.
class EventFeed {
 public:
  EventFeed();

  NewEvent Next();

  // An event as a store gives it.
  StoredEvent Stored();

 private:
  std::string event_;
  size_t id_in_event_ = 0;
  std::string payload_;
  uint64_t made_ = 0;
};

// Appends from a feed, with a bounded number on their way. For one thread. Ends
// the program if the store refuses.
class Appender {
 public:
  // `store` must outlive the appender.
  explicit Appender(EventStore& store) : store_(store) {}
  // Waits until all is answered.
  ~Appender();

  void Append(size_t count);

 private:
  static constexpr size_t kMostWaiting = 1024;

  void WaitUntilFewerThan(size_t count);

  EventStore& store_;
  EventFeed feed_;
  Mutex mu_;
  CondVar answered_;
  size_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_EVENT_FEED_H_
