// Everything that the hub and its subscriptions allow from several threads, all
// at once. Made for ThreadSanitizer; elsewhere it says that nothing hangs or
// gets out of order.
#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/fakes/test_events.h"
#include "tests/stream/harness.h"

namespace waggle {
namespace {

constexpr int kSubscribers = 6;
constexpr uint64_t kEvents = 3000;

HubOptions SmallTail() {
  HubOptions options;
  options.tail_bytes = 4000;
  return options;
}

// Two filters, each shared by half of the subscribers.
Filter::Protos FilterOf(int subscriber) {
  Filter::Protos filters;
  if (subscriber % 2 == 1) filters.Add()->add_connector_ids("odd");
  return filters;
}

uint64_t ExpectedCount(int subscriber) {
  return subscriber % 2 == 1 ? kEvents / 2 : kEvents;
}

void Publish(EventStore& store) {
  std::vector<NewEvent> group;
  for (uint64_t n = 1; n <= kEvents; ++n) {
    group.push_back(
        NumberedEvent(n, EventOfConnector(n % 2 == 1 ? "odd" : "even")));
    if (n % 7 == 0 || n == kEvents) AppendAll(store, std::move(group));
  }
}

// Follows to the end, leaving and resuming now and then; returns how many
// events came, or 0 if they came out of order.
uint64_t Follow(EventHub& hub, int subscriber) {
  uint64_t count = 0;
  Sequence position;
  while (position < Sequence(kEvents)) {
    TestSubscriber stream(hub, From(position, FilterOf(subscriber)));
    for (int batches = 0; batches < 20; ++batches) {
      BatchPtr batch;
      Progress progress;
      while ((progress = stream.Next(batch)) == Progress::kWait &&
             stream->position() < Sequence(kEvents)) {
        if (!stream.WaitForWake()) return 0;
      }
      if (progress != Progress::kBatch) break;
      for (const uint64_t sequence : SequencesOf(*batch)) {
        if (sequence <= position.value()) return 0;
        position = Sequence(sequence);
        ++count;
      }
    }
    position = stream->position();
  }
  return count;
}

TEST(HubStress, SubscribersComeAndGoWhileOthersPublish) {
  StreamHarness harness(SmallTail());
  std::vector<uint64_t> counts(kSubscribers);
  std::vector<std::thread> threads;
  for (int i = 0; i < kSubscribers; ++i) {
    threads.emplace_back(
        [&harness, &counts, i] { counts[i] = Follow(harness.hub, i); });
  }
  // What else may be asked at any time.
  threads.emplace_back([&harness] {
    for (int i = 0; i < 500; ++i) {
      EXPECT_LE(harness.hub.last(), Sequence(kEvents));
      EXPECT_LE(harness.hub.store_bounds().last, Sequence(kEvents));
    }
  });
  Publish(harness.store);
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kSubscribers; ++i) {
    EXPECT_EQ(counts[i], ExpectedCount(i)) << i;
  }
}

// Cancel() and Wake() of a subscription that another thread polls.
TEST(HubStress, SubscriptionsAreCancelledFromElsewhereWhilePolled) {
  StreamHarness harness(SmallTail());
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&harness, &over, i] {
      while (!over) {
        const auto flag = std::make_shared<WakeFlag>();
        const auto subscription = harness.hub.Subscribe(
            From(Sequence(), FilterOf(i)), [flag] { flag->Set(); });
        std::thread canceller([&] {
          subscription->Wake();
          flag->Wait();
          subscription->Cancel();
          flag->Set();
        });
        for (int polls = 0; polls < 50; ++polls) {
          BatchPtr batch;
          subscription->Next(batch);
        }
        canceller.join();
      }
    });
  }
  Publish(harness.store);
  over = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(HubStress, StopsWhileSubscribersWait) {
  for (int round = 0; round < 50; ++round) {
    StreamHarness harness(SmallTail());
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&harness, i] {
        TestSubscriber subscriber(harness.hub, From(Sequence(), FilterOf(i)));
        for (int polls = 0; polls < 20; ++polls) {
          BatchPtr batch;
          subscriber.Next(batch);
        }
      });
    }
    AppendNumbered(harness.store, 1, 20);
    harness.hub.Stop();
    for (std::thread& thread : threads) thread.join();
  }
}

// Reads until an end or until retention overtakes it; returns where to go on.
Sequence ReadContiguously(EventHub& hub, Sequence position) {
  TestSubscriber subscriber(hub, From(position));
  uint64_t expected = position.value();
  while (subscriber->position() < Sequence(kEvents)) {
    BatchPtr batch;
    const Progress progress = subscriber.Await(batch);
    if (progress == Progress::kFailed) {
      EXPECT_TRUE(absl::IsOutOfRange(subscriber->status()));
      return hub.store_bounds().trimmed_through;
    }
    EXPECT_EQ(progress, Progress::kBatch);
    if (progress != Progress::kBatch) return Sequence(kEvents);
    for (const uint64_t sequence : SequencesOf(*batch)) {
      EXPECT_EQ(sequence, ++expected);
    }
  }
  return subscriber->position();
}

TEST(HubStress, RetentionRunsUnderReadersWithoutGaps) {
  StreamHarness harness(NoTail());
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&harness] {
      Sequence position;
      while (position < Sequence(kEvents)) {
        position = ReadContiguously(harness.hub, position);
      }
    });
  }
  for (uint64_t n = 1; n <= kEvents; n += 50) {
    AppendNumbered(harness.store, n, n + 49);
    RetentionLimits limits;
    limits.max_bytes = harness.store.Bounds().size_bytes / 2;
    EXPECT_TRUE(harness.store.Trim(limits).ok());
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace waggle
