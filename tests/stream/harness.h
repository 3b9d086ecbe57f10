// A hub over a store in memory, and a subscriber that waits for its turn.
#ifndef WAGGLE_TESTS_STREAM_HARNESS_H_
#define WAGGLE_TESTS_STREAM_HARNESS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "store/memory/memory_event_store.h"
#include "stream/event_hub.h"
#include "stream/subscription.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/intercepted_store.h"
#include "tests/fakes/wake_flag.h"
#include "waggle/v1/event_service.pb.h"

namespace waggle {

struct StreamHarness {
  explicit StreamHarness(HubOptions options = {})
      : hub(store, readers, options) {
    hub.Start();
  }
  ~StreamHarness() {
    store.ReleaseReads();
    store.Close();
  }

  FakeClock clock;
  MemoryEventStore memory{clock};
  InterceptedStore store{memory};
  ThreadPool readers{2};
  EventHub hub;
};

// A hub that remembers nothing, so that whoever is not at the end is behind.
inline HubOptions NoTail() {
  HubOptions options;
  options.tail_bytes = 0;
  return options;
}

inline SubscriptionOptions From(Sequence after,
                                const Filter::Protos& filters = {}) {
  SubscriptionOptions options;
  options.filter = Filter::Compile(filters);
  options.after = after;
  return options;
}

// Cancels when it goes.
class TestSubscriber {
 public:
  TestSubscriber(EventHub& hub, const SubscriptionOptions& options)
      : subscription_(
            hub.Subscribe(options, [woken = woken_] { woken->Set(); })) {}
  ~TestSubscriber() { subscription_->Cancel(); }
  TestSubscriber(const TestSubscriber&) = delete;
  TestSubscriber& operator=(const TestSubscriber&) = delete;

  Subscription& operator*() { return *subscription_; }
  Subscription* operator->() { return subscription_.get(); }

  Progress Next(BatchPtr& batch) { return subscription_->Next(batch); }

  // Waits until it is woken after a kWait.
  bool WaitForWake() { return woken_->Wait(); }

  // The next progress that is not kWait; kWait if it was never woken.
  Progress Await(BatchPtr& batch) {
    while (true) {
      const Progress progress = Next(batch);
      if (progress != Progress::kWait || !WaitForWake()) return progress;
    }
  }

 private:
  const std::shared_ptr<WakeFlag> woken_ = std::make_shared<WakeFlag>();
  const std::shared_ptr<Subscription> subscription_;
};

inline v1::SubscribeResponse ParseBatch(const Batch& batch) {
  v1::SubscribeResponse response;
  if (!response.ParseFromString(batch.message)) response.set_cursor("garbage");
  return response;
}

inline std::vector<uint64_t> SequencesOf(const Batch& batch) {
  std::vector<uint64_t> sequences;
  const v1::SubscribeResponse response = ParseBatch(batch);
  for (const v1::Event& event : response.events()) {
    sequences.push_back(event.sequence());
  }
  return sequences;
}

// All sequences that come until the position is `end`, or the stream ends.
inline std::vector<uint64_t> TakeUntil(TestSubscriber& subscriber,
                                       Sequence end) {
  std::vector<uint64_t> sequences;
  while (subscriber->position() < end) {
    BatchPtr batch;
    const Progress progress = subscriber.Next(batch);
    if (progress == Progress::kBatch) {
      const std::vector<uint64_t> more = SequencesOf(*batch);
      sequences.insert(sequences.end(), more.begin(), more.end());
    } else if (progress != Progress::kWait) {
      break;
    } else if (subscriber->position() < end && !subscriber.WaitForWake()) {
      break;
    }
  }
  return sequences;
}

inline std::vector<uint64_t> Range(uint64_t first, uint64_t last) {
  std::vector<uint64_t> range;
  for (uint64_t n = first; n <= last; ++n) range.push_back(n);
  return range;
}

}  // namespace waggle

#endif  // WAGGLE_TESTS_STREAM_HARNESS_H_
