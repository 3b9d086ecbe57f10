// The property that everything in src/stream is for: whatever is appended,
// however fast each subscriber is, wherever it starts, whenever it leaves and
// resumes by cursor, it sees exactly its filter's events, in order, once.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"
#include "tests/fakes/naive_filter.h"
#include "tests/fakes/personal_data.h"
#include "tests/fakes/random_events.h"
#include "tests/fakes/test_events.h"
#include "tests/stream/harness.h"

namespace waggle {
namespace {

// How far the store is; the moments that plans are made of.
class Appends {
 public:
  void Reach(uint64_t sequence) {
    MutexLock lock(mu_);
    reached_ = std::max(reached_, sequence);
    changed_.SignalAll();
  }
  void WaitFor(uint64_t sequence) {
    MutexLock lock(mu_);
    while (reached_ < sequence) changed_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  uint64_t reached_ ABSL_GUARDED_BY(mu_) = 0;
};

struct SubscriberPlan {
  FilterProtos filters;
  EventParts parts;
  size_t max_batch = 1;
  // Joins once so many events are stored, and starts there or before.
  uint64_t join_at = 0;
  uint64_t start_after = 0;
  // Takes a batch only when the store is this far ahead of it, or at its end.
  uint64_t lag = 0;
  // Leaves after so many batches, and resumes by the last one's cursor; 0 is
  // never.
  size_t batches_before_leaving = 0;
};

struct Plan {
  uint64_t events = 0;
  size_t tail_bytes = 0;
  std::vector<SubscriberPlan> subscribers;
};

Plan MakePlan(RandomEvents& random) {
  Plan plan;
  plan.events = 1 + random.Below(400);
  // From nothing to all; an entry takes about half a kilobyte.
  plan.tail_bytes = random.OneIn(4) ? 64 << 20 : random.Below(8000);
  for (uint64_t n = 1 + random.Below(5); n > 0; --n) {
    SubscriberPlan subscriber;
    // Some share a filter, so that they share batches.
    if (!plan.subscribers.empty() && random.OneIn(3)) {
      subscriber = plan.subscribers.back();
    } else {
      if (!random.OneIn(3)) subscriber.filters = random.Filters();
      subscriber.parts.payload = random.OneIn(3);
      subscriber.parts.personal_data = random.OneIn(2);
      subscriber.max_batch =
          random.OneIn(2) ? 1 + random.Below(4) : 1 + random.Below(64);
    }
    subscriber.join_at = random.OneIn(2) ? 0 : random.Below(plan.events + 1);
    subscriber.start_after =
        random.OneIn(2) ? 0 : random.Below(subscriber.join_at + 1);
    subscriber.lag = random.OneIn(2) ? 0 : random.Below(100);
    subscriber.batches_before_leaving =
        random.OneIn(2) ? 0 : 1 + random.Below(10);
    plan.subscribers.push_back(subscriber);
  }
  return plan;
}

// What one subscriber sees, with all that is wrong about it.
class Follower {
 public:
  Follower(StreamHarness& harness, Appends& appends, const SubscriberPlan& plan,
           uint64_t last)
      : harness_(harness), appends_(appends), plan_(plan), last_(last) {}

  void Run() {
    appends_.WaitFor(plan_.join_at);
    Sequence position(plan_.start_after);
    while (position < Sequence(last_) && problem.empty()) {
      position = Follow(position);
    }
  }

  std::vector<std::string> seen;  // events with what they must hold
  std::string problem;

 private:
  // Subscribes and takes batches until it is time to leave, or the end; returns
  // where to resume.
  Sequence Follow(Sequence position) {
    SubscriptionOptions options = From(position, plan_.filters);
    options.parts = plan_.parts;
    options.max_batch = plan_.max_batch;
    TestSubscriber subscriber(harness_.hub, options);
    for (size_t batches = 1;; ++batches) {
      appends_.WaitFor(
          std::min(subscriber->position().value() + plan_.lag, last_));
      BatchPtr batch;
      Progress progress;
      while ((progress = subscriber.Next(batch)) == Progress::kWait) {
        if (subscriber->position() >= Sequence(last_)) return Sequence(last_);
        if (!subscriber.WaitForWake()) return Fail("never woken");
      }
      if (progress != Progress::kBatch) return Fail("ended or failed");
      position = Take(*batch);
      if (!problem.empty()) return position;
      if (subscriber->position() != position) return Fail("wrong position");
      if (batches == plan_.batches_before_leaving ||
          position >= Sequence(last_)) {
        return position;
      }
    }
  }

  // Returns the batch's cursor.
  Sequence Take(const Batch& batch) {
    v1::SubscribeResponse response;
    if (!response.ParseFromString(batch.message)) return Fail("no message");
    const size_t events = static_cast<size_t>(response.events_size());
    if (events != batch.events || events == 0 || events > plan_.max_batch) {
      return Fail(absl::StrCat("a batch of ", events, " events"));
    }
    for (const v1::Event& event : response.events()) {
      seen.push_back(event.SerializeAsString());
    }
    const auto cursor = Cursor::Decode(response.cursor());
    if (!cursor.ok() || cursor->store != harness_.store.id()) {
      return Fail("not a cursor of the store");
    }
    if (cursor->sequence != batch.through ||
        cursor->sequence.value() < response.events().rbegin()->sequence()) {
      return Fail("a cursor before its events");
    }
    return cursor->sequence;
  }

  Sequence Fail(std::string problem_found) {
    problem = std::move(problem_found);
    return Sequence(last_);
  }

  StreamHarness& harness_;
  Appends& appends_;
  const SubscriberPlan& plan_;
  const uint64_t last_;
};

std::vector<std::string> Expected(const SubscriberPlan& plan,
                                  const std::vector<v1::Event>& events) {
  std::vector<std::string> expected;
  for (const v1::Event& event : events) {
    if (event.sequence() <= plan.start_after ||
        !naive::Matches(plan.filters, event)) {
      continue;
    }
    v1::Event sent = event;
    if (!plan.parts.payload) sent.clear_payload();
    if (!plan.parts.personal_data) ClearPersonalData(sent);
    expected.push_back(sent.SerializeAsString());
  }
  return expected;
}

RC_GTEST_PROP(FanOutProperty,
              EverySubscriberSeesExactlyItsFiltersEventsInOrderOnce,
              (uint64_t seed)) {
  RandomEvents random(seed);
  const Plan plan = MakePlan(random);
  std::vector<v1::Event> bare;
  std::vector<v1::Event> stored;
  for (uint64_t n = 1; n <= plan.events; ++n) {
    v1::Event event = random.Event();
    event.clear_sequence();
    event.set_id(EventId(n));
    bare.push_back(event);
    event.set_sequence(n);
    event.set_payload(absl::StrCat("payload ", n));
    stored.push_back(event);
  }

  HubOptions options;
  options.tail_bytes = plan.tail_bytes;
  Appends appends;  // outlives the store, whose answers reach for it
  StreamHarness harness(options);
  std::vector<std::unique_ptr<Follower>> followers;
  std::vector<std::thread> threads;
  for (const SubscriberPlan& subscriber : plan.subscribers) {
    followers.push_back(
        std::make_unique<Follower>(harness, appends, subscriber, plan.events));
    threads.emplace_back(
        [follower = followers.back().get()] { follower->Run(); });
  }
  // In groups of all sizes, some of them waited for.
  for (size_t i = 0; i < bare.size(); ++i) {
    const uint64_t n = i + 1;
    harness.store.Append(NumberedEvent(n, bare[i], stored[i].payload()),
                         [&appends](absl::StatusOr<Appended> appended) {
                           appends.Reach(appended->sequence.value());
                         });
    if (random.OneIn(4)) appends.WaitFor(n);
  }
  for (std::thread& thread : threads) thread.join();

  for (size_t i = 0; i < followers.size(); ++i) {
    RC_LOG() << "subscriber " << i << ", seed " << seed << "\n";
    RC_ASSERT(followers[i]->problem == "");
    RC_ASSERT(followers[i]->seen == Expected(plan.subscribers[i], stored));
  }
}

}  // namespace
}  // namespace waggle
