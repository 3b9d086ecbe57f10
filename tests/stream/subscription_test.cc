#include "stream/subscription.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stream/event_hub.h"
#include "tests/fakes/test_events.h"
#include "tests/stream/harness.h"

namespace waggle {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Lt;

Filter::Protos OfConnector(const std::string& id) {
  Filter::Protos filters;
  filters.Add()->add_connector_ids(id);
  return filters;
}

TEST(Subscription, LiveGetsWhatIsAppended) {
  StreamHarness harness;
  TestSubscriber subscriber(harness.hub, From(harness.hub.last()));
  BatchPtr batch;
  EXPECT_EQ(subscriber.Next(batch), Progress::kWait);
  EXPECT_TRUE(subscriber->caught_up());

  AppendNumbered(harness.store, 1, 1);
  ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
  const v1::SubscribeResponse response = ParseBatch(*batch);
  ASSERT_EQ(response.events_size(), 1);
  EXPECT_EQ(response.events(0).id(), EventId(1));
  EXPECT_EQ(response.events(0).sequence(), 1u);
  EXPECT_TRUE(response.events(0).payload().empty());
  EXPECT_EQ(response.cursor(),
            (Cursor{harness.store.id(), Sequence(1)}).Encode());
  EXPECT_TRUE(response.caught_up());
  EXPECT_EQ(batch->events, 1u);
  EXPECT_EQ(batch->through, Sequence(1));
  EXPECT_EQ(subscriber->position(), Sequence(1));
  EXPECT_EQ(harness.store.reads(), 0) << "memory held it all";
}

TEST(Subscription, AStaleBatchOfTheCallerIsNotGivenAgain) {
  StreamHarness harness;
  TestSubscriber subscriber(harness.hub, From(Sequence()));
  AppendNumbered(harness.store, 1, 1);
  BatchPtr batch;
  ASSERT_EQ(subscriber.Next(batch), Progress::kBatch);
  EXPECT_EQ(subscriber.Next(batch), Progress::kWait);
  EXPECT_EQ(batch, nullptr);
}

TEST(Subscription, PayloadsComeIfAskedFor) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    Append(harness.store, NumberedEvent(1, EventOfConnector("c"), "raw"));
    SubscriptionOptions options = From(Sequence());
    options.parts.payload = true;
    TestSubscriber subscriber(harness.hub, options);
    BatchPtr batch;
    ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
    const v1::SubscribeResponse response = ParseBatch(*batch);
    ASSERT_EQ(response.events_size(), 1);
    EXPECT_EQ(response.events(0).payload(), "raw");
    EXPECT_EQ(response.events(0).connector().id(), "c");
    EXPECT_EQ(response.events(0).sequence(), 1u);
  }
}

TEST(Subscription, BatchesHoldAtMostWhatWasAskedFor) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    AppendNumbered(harness.store, 1, 10);
    SubscriptionOptions options = From(Sequence());
    options.max_batch = 4;
    TestSubscriber subscriber(harness.hub, options);
    BatchPtr batch;
    ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
    EXPECT_EQ(SequencesOf(*batch), Range(1, 4));
    EXPECT_FALSE(ParseBatch(*batch).caught_up());
    ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
    EXPECT_EQ(SequencesOf(*batch), Range(5, 8));
    ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
    EXPECT_EQ(SequencesOf(*batch), Range(9, 10));
    EXPECT_TRUE(ParseBatch(*batch).caught_up());
  }
}

TEST(Subscription, BatchesEndOnceTheyAreLarge) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    AppendNumbered(harness.store, 1, 8, /*payload_size=*/200 * 1024);
    SubscriptionOptions options = From(Sequence());
    options.parts.payload = true;
    TestSubscriber subscriber(harness.hub, options);
    BatchPtr batch;
    ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
    EXPECT_THAT(batch->message.size(),
                Lt(BatchBuilder::kSoftMaxBytes + 201 * 1024));
    EXPECT_LT(batch->events, 8u);
    const std::vector<uint64_t> rest =
        TakeUntil(subscriber, harness.hub.last());
    EXPECT_EQ(rest, Range(batch->events + 1, 8));
  }
}

TEST(Subscription, WhatDoesNotMatchMovesThePositionInSilence) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    TestSubscriber subscriber(harness.hub,
                              From(Sequence(), OfConnector("mine")));
    AppendNumbered(harness.store, 1, 1000);
    EXPECT_THAT(TakeUntil(subscriber, Sequence(1000)), IsEmpty());
    EXPECT_EQ(subscriber->position(), Sequence(1000));

    Append(harness.store, NumberedEvent(1001, EventOfConnector("mine")));
    EXPECT_THAT(TakeUntil(subscriber, Sequence(1001)), ElementsAre(1001));
  }
}

TEST(Subscription, BehindReadsTheStoreAndJoinsTheTail) {
  HubOptions options;
  options.tail_bytes = 3000;  // some of the events
  StreamHarness harness(options);
  AppendNumbered(harness.store, 1, 1500);
  TestSubscriber subscriber(harness.hub, From(Sequence()));
  EXPECT_EQ(TakeUntil(subscriber, Sequence(1500)), Range(1, 1500));
  EXPECT_GT(harness.store.reads(), 1);

  const int reads = harness.store.reads();
  for (uint64_t n = 1501; n <= 1520; ++n) {
    AppendNumbered(harness.store, n, n);
    EXPECT_THAT(TakeUntil(subscriber, Sequence(n)), ElementsAre(n));
  }
  EXPECT_EQ(harness.store.reads(), reads) << "live again, yet it read pages";
}

TEST(Subscription, NextDoesNotWaitForTheStore) {
  StreamHarness harness(NoTail());
  AppendNumbered(harness.store, 1, 3);
  harness.store.HoldReads();
  TestSubscriber subscriber(harness.hub, From(Sequence()));
  BatchPtr batch;
  EXPECT_EQ(subscriber.Next(batch), Progress::kWait);
  EXPECT_EQ(subscriber.Next(batch), Progress::kWait);
  harness.store.ReleaseReads();
  ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
  EXPECT_EQ(SequencesOf(*batch), Range(1, 3));
}

TEST(Subscription, ResumesAfterAnyPosition) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    AppendNumbered(harness.store, 1, 20);
    for (uint64_t after = 0; after <= 20; ++after) {
      TestSubscriber subscriber(harness.hub, From(Sequence(after)));
      EXPECT_EQ(TakeUntil(subscriber, Sequence(20)), Range(after + 1, 20));
    }
  }
}

TEST(Subscription, EndsAtStopAt) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    AppendNumbered(harness.store, 1, 10);
    for (const auto& filters : {Filter::Protos(), OfConnector("none")}) {
      SubscriptionOptions options = From(Sequence(), filters);
      options.stop_at = Sequence(10);
      options.max_batch = 3;
      TestSubscriber subscriber(harness.hub, options);
      std::vector<uint64_t> sequences;
      BatchPtr batch;
      Progress progress;
      while ((progress = subscriber.Await(batch)) == Progress::kBatch) {
        for (uint64_t s : SequencesOf(*batch)) sequences.push_back(s);
      }
      EXPECT_EQ(progress, Progress::kEnd);
      EXPECT_EQ(subscriber.Next(batch), Progress::kEnd) << "and stays there";
      EXPECT_EQ(sequences, filters.empty() ? Range(1, 10) : Range(1, 0));
    }
  }
}

TEST(Subscription, EndsAtOnceIfItStartsAtStopAt) {
  StreamHarness harness;
  SubscriptionOptions options = From(Sequence());
  options.stop_at = Sequence();
  TestSubscriber subscriber(harness.hub, options);
  BatchPtr batch;
  EXPECT_EQ(subscriber.Next(batch), Progress::kEnd);
}

TEST(Subscription, FailsWithOutOfRangeIfRetentionOvertakesItAndNeverSkips) {
  StreamHarness harness(NoTail());
  AppendNumbered(harness.store, 1, 6000);
  TestSubscriber subscriber(harness.hub, From(Sequence()));
  BatchPtr batch;
  ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
  std::vector<uint64_t> sequences = SequencesOf(*batch);

  harness.clock.Advance(absl::Hours(1));
  RetentionLimits limits;
  limits.max_age = absl::Minutes(1);
  ASSERT_TRUE(harness.store.Trim(limits).ok());
  Progress progress;
  while ((progress = subscriber.Await(batch)) == Progress::kBatch) {
    for (uint64_t s : SequencesOf(*batch)) sequences.push_back(s);
  }
  EXPECT_EQ(progress, Progress::kFailed);
  EXPECT_TRUE(absl::IsOutOfRange(subscriber->status())) << subscriber->status();
  EXPECT_THAT(sequences.size(), AllOf(Gt(0u), Lt(6000u)));
  EXPECT_EQ(sequences, Range(1, sequences.size()));
  EXPECT_EQ(subscriber.Next(batch), Progress::kFailed) << "and stays there";
}

TEST(Subscription, FailsWithTheStoresError) {
  StreamHarness harness(NoTail());
  AppendNumbered(harness.store, 1, 3);
  harness.store.FailReadsWith(absl::UnavailableError("no"));
  TestSubscriber subscriber(harness.hub, From(Sequence()));
  BatchPtr batch;
  EXPECT_EQ(subscriber.Await(batch), Progress::kFailed);
  EXPECT_TRUE(absl::IsUnavailable(subscriber->status()));
}

TEST(Subscription, OneThatIsNotPolledDelaysNobodyAndMissesNothing) {
  StreamHarness harness(NoTail());
  AppendNumbered(harness.store, 1, 600);
  TestSubscriber sleeper(harness.hub, From(Sequence()));
  BatchPtr batch;
  ASSERT_EQ(sleeper.Await(batch), Progress::kBatch);
  const uint64_t asleep_at = sleeper->position().value();

  TestSubscriber live(harness.hub, From(harness.hub.last()));
  AppendNumbered(harness.store, 601, 5000);
  EXPECT_EQ(TakeUntil(live, Sequence(5000)), Range(601, 5000));
  TestSubscriber replay(harness.hub, From(Sequence()));
  EXPECT_EQ(TakeUntil(replay, Sequence(5000)), Range(1, 5000));
  EXPECT_EQ(TakeUntil(sleeper, Sequence(5000)), Range(asleep_at + 1, 5000));
}

TEST(Subscription, ReadsAheadOnlyAFewBatches) {
  StreamHarness harness(NoTail());
  AppendNumbered(harness.store, 1, 5000);
  TestSubscriber subscriber(harness.hub, From(Sequence()));
  BatchPtr batch;
  ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
  // A single reader's thread would come to this only after every page that the
  // subscription has asked for; with two, the second may still be under way.
  for (int i = 0; i < 4; ++i) {
    WakeFlag done;
    harness.readers.Submit([&done] { done.Set(); });
    ASSERT_TRUE(done.Wait());
  }
  EXPECT_LE(harness.store.reads(), 2) << "pages of 512, of 5,000 events";
}

TEST(Subscription, IsNotWokenAfterCancel) {
  StreamHarness harness;
  auto woken = std::make_shared<WakeFlag>();
  auto subscription = harness.hub.Subscribe(From(harness.hub.last()),
                                            [woken] { woken->Set(); });
  BatchPtr batch;
  ASSERT_EQ(subscription->Next(batch), Progress::kWait);
  TestSubscriber other(harness.hub, From(harness.hub.last()));
  ASSERT_EQ(other.Next(batch), Progress::kWait);
  subscription->Cancel();
  AppendNumbered(harness.store, 1, 1);
  // Others are woken together with it; twice, to be after all of the first.
  ASSERT_TRUE(other.WaitForWake());
  ASSERT_EQ(other.Next(batch), Progress::kBatch);
  ASSERT_EQ(other.Next(batch), Progress::kWait);
  AppendNumbered(harness.store, 2, 2);
  ASSERT_TRUE(other.WaitForWake());
  EXPECT_FALSE(woken->Wait(absl::ZeroDuration()));
  EXPECT_EQ(subscription->Next(batch), Progress::kWait);
}

TEST(Subscription, IsLetGoOnceCancelled) {
  StreamHarness harness;
  std::weak_ptr<Subscription> weak;
  {
    auto subscription = harness.hub.Subscribe(From(Sequence()), [] {});
    BatchPtr batch;
    ASSERT_EQ(subscription->Next(batch), Progress::kWait);
    weak = subscription;
    subscription->Cancel();
  }
  EXPECT_TRUE(weak.expired());
}

TEST(EventHub, EqualFiltersShareTheVerySameBatch) {
  StreamHarness harness;
  Filter::Protos ab;
  ab.Add()->add_endpoints("a");
  ab[0].add_endpoints("b");
  Filter::Protos ba;
  ba.Add()->add_endpoints("b");
  ba[0].add_endpoints("a");
  TestSubscriber first(harness.hub, From(Sequence(), ab));
  TestSubscriber second(harness.hub, From(Sequence(), ba));
  TestSubscriber other(harness.hub, From(Sequence()));
  SubscriptionOptions with_payload = From(Sequence(), ab);
  with_payload.parts.payload = true;
  TestSubscriber payload(harness.hub, with_payload);

  v1::Event event;
  event.set_endpoint("a");
  Append(harness.store, NumberedEvent(1, event, "raw"));
  BatchPtr one, two, three, four;
  ASSERT_EQ(first.Next(one), Progress::kBatch);
  ASSERT_EQ(second.Next(two), Progress::kBatch);
  ASSERT_EQ(other.Next(three), Progress::kBatch);
  ASSERT_EQ(payload.Next(four), Progress::kBatch);
  EXPECT_EQ(one, two);
  EXPECT_NE(one, three);
  EXPECT_NE(one, four);
}

TEST(EventHub, PersonalDataIsNeverSharedWithThoseWhoMayNotSeeIt) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    SubscriptionOptions named = From(Sequence());
    named.parts.personal_data = true;
    TestSubscriber full(harness.hub, named);
    TestSubscriber plain(harness.hub, From(Sequence()));
    v1::Event event = EventOfConnector("c");
    event.mutable_connector()->set_end_user_name("Erika");
    event.mutable_unrecognized()->mutable_data();
    event.mutable_unrecognized()->set_problem("unknown");
    Append(harness.store, NumberedEvent(1, event));
    BatchPtr batch;
    ASSERT_EQ(full.Await(batch), Progress::kBatch);
    EXPECT_EQ(ParseBatch(*batch).events(0).connector().end_user_name(),
              "Erika");
    EXPECT_TRUE(ParseBatch(*batch).events(0).unrecognized().has_data());
    ASSERT_EQ(plain.Await(batch), Progress::kBatch);
    const v1::SubscribeResponse response = ParseBatch(*batch);
    EXPECT_EQ(response.events(0).connector().id(), "c");
    EXPECT_FALSE(response.events(0).connector().has_end_user_name());
    EXPECT_EQ(response.events(0).unrecognized().problem(), "unknown");
    EXPECT_FALSE(response.events(0).unrecognized().has_data());
  }
}

TEST(EventHub, EventsWithoutPersonalDataAreMadeOnceForAll) {
  StreamHarness harness;
  TestSubscriber first(harness.hub, From(Sequence()));
  TestSubscriber second(harness.hub, From(Sequence()));
  AppendNumbered(harness.store, 1, 5);
  BatchPtr one, two;
  ASSERT_EQ(first.Next(one), Progress::kBatch);
  ASSERT_EQ(second.Next(two), Progress::kBatch);
  EXPECT_EQ(one, two);
}

TEST(EventHub, AnEventThatCannotBeRedactedIsPassedBy) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    NewEvent broken = NumberedEvent(1);
    // A connector that is shorter than it says.
    broken.event += std::string("\x42\x02\x0a\x05", 4);
    Append(harness.store, std::move(broken));
    AppendNumbered(harness.store, 2, 2);
    TestSubscriber subscriber(harness.hub, From(Sequence()));
    BatchPtr batch;
    ASSERT_EQ(subscriber.Await(batch), Progress::kBatch);
    EXPECT_EQ(SequencesOf(*batch), Range(2, 2));
    EXPECT_EQ(batch->events, 1u);
    EXPECT_EQ(batch->through, Sequence(2));
  }
}

// What was left out counts for nothing.
TEST(EventHub, ABatchIsAsLargeAsWhatItsSubscribersSee) {
  for (const HubOptions& hub : {HubOptions(), NoTail()}) {
    StreamHarness harness(hub);
    for (uint64_t n = 1; n <= 4; ++n) {
      v1::Event event = EventOfConnector("c");
      event.mutable_connector()->set_end_user_name(std::string(100'000, 'x'));
      Append(harness.store, NumberedEvent(n, event));
    }
    SubscriptionOptions named = From(Sequence());
    named.parts.personal_data = true;
    TestSubscriber full(harness.hub, named);
    TestSubscriber plain(harness.hub, From(Sequence()));
    BatchPtr batch;
    ASSERT_EQ(full.Await(batch), Progress::kBatch);
    EXPECT_EQ(SequencesOf(*batch), Range(1, 3));
    EXPECT_EQ(TakeUntil(plain, Sequence(4)), Range(1, 4));
  }
}

TEST(EventHub, SubscribersFromOtherPositionsComeToShareBatches) {
  StreamHarness harness;
  AppendNumbered(harness.store, 1, 400);
  TestSubscriber first(harness.hub, From(Sequence()));
  TestSubscriber second(harness.hub, From(Sequence(10)));
  BatchPtr ahead, batch;
  ASSERT_EQ(first.Next(ahead), Progress::kBatch);
  ASSERT_EQ(second.Next(batch), Progress::kBatch);
  ASSERT_EQ(first.Next(ahead), Progress::kBatch);
  ASSERT_EQ(first.Next(ahead), Progress::kBatch);
  while (batch->through < ahead->through) {
    ASSERT_EQ(second.Next(batch), Progress::kBatch);
  }
  EXPECT_EQ(batch, ahead);
}

TEST(EventHub, OneThatLagsIsNotGivenTheSmallBatchesOfOneThatDoesNot) {
  StreamHarness harness;
  TestSubscriber fast(harness.hub, From(Sequence()));
  TestSubscriber slow(harness.hub, From(Sequence()));
  for (uint64_t n = 1; n <= 20; ++n) {
    AppendNumbered(harness.store, n, n);
    EXPECT_EQ(TakeUntil(fast, Sequence(n)), Range(n, n));
  }
  BatchPtr batch;
  ASSERT_EQ(slow.Next(batch), Progress::kBatch);
  EXPECT_EQ(SequencesOf(*batch), Range(1, 20));
}

TEST(EventHub, OneThatLagsIsNotToldThatItCaughtUp) {
  StreamHarness harness;
  SubscriptionOptions one_by_one = From(Sequence());
  one_by_one.max_batch = 1;
  TestSubscriber fast(harness.hub, one_by_one);
  TestSubscriber slow(harness.hub, one_by_one);
  BatchPtr batch;
  for (uint64_t n = 1; n <= 3; ++n) {
    AppendNumbered(harness.store, n, n);
    ASSERT_EQ(fast.Next(batch), Progress::kBatch);
    EXPECT_TRUE(ParseBatch(*batch).caught_up());
  }
  for (uint64_t n = 1; n <= 3; ++n) {
    ASSERT_EQ(slow.Next(batch), Progress::kBatch);
    EXPECT_EQ(SequencesOf(*batch), Range(n, n));
    EXPECT_EQ(ParseBatch(*batch).caught_up(), n == 3) << n;
  }
}

TEST(EventHub, SharedBatchesAreRightAfterTheTailMovedOn) {
  HubOptions options;
  options.tail_bytes = 2000;
  StreamHarness harness(options);
  TestSubscriber fast(harness.hub, From(Sequence()));
  TestSubscriber slow(harness.hub, From(Sequence()));
  std::vector<uint64_t> seen;
  for (uint64_t n = 1; n <= 200; ++n) {
    AppendNumbered(harness.store, n, n);
    for (uint64_t s : TakeUntil(fast, Sequence(n))) seen.push_back(s);
  }
  EXPECT_EQ(seen, Range(1, 200));
  EXPECT_EQ(TakeUntil(slow, Sequence(200)), Range(1, 200));
}

TEST(EventHub, HoldsThePartOfHistoryThatIsInTheStoreAtTheStart) {
  StreamHarness harness;
  AppendNumbered(harness.store, 1, 5);
  EXPECT_EQ(harness.hub.last(), Sequence(5));
}

TEST(EventHub, StopDoesNotWaitForALinger) {
  HubOptions options;
  options.linger = absl::Hours(1);
  StreamHarness harness(options);
  TestSubscriber subscriber(harness.hub, From(Sequence()));
  BatchPtr batch;
  ASSERT_EQ(subscriber.Next(batch), Progress::kWait);
  AppendNumbered(harness.store, 1, 1);
  harness.hub.Stop();
  ASSERT_EQ(subscriber.Next(batch), Progress::kBatch);
}

TEST(EventHub, LingersAlsoWhileMoreIsPublished) {
  HubOptions options;
  options.linger = absl::Milliseconds(200);
  StreamHarness harness(options);
  TestSubscriber subscriber(harness.hub, From(Sequence()));
  BatchPtr batch;
  ASSERT_EQ(subscriber.Next(batch), Progress::kWait);
  AppendNumbered(harness.store, 1, 1);
  const absl::Time first = absl::Now();
  for (uint64_t n = 2; n <= 20; ++n) AppendNumbered(harness.store, n, n);
  ASSERT_TRUE(subscriber.WaitForWake());
  EXPECT_GE(absl::Now() - first, absl::Milliseconds(150));
  EXPECT_THAT(TakeUntil(subscriber, Sequence(20)), Range(1, 20));
}

TEST(EventHub, IsDestroyedOnlyAfterItsReads) {
  FakeClock clock;
  MemoryEventStore memory(clock);
  InterceptedStore store(memory);
  ThreadPool readers(2);
  WakeFlag destroyed;
  auto hub = std::make_unique<EventHub>(store, readers, NoTail());
  hub->Start();
  AppendNumbered(store, 1, 3);
  store.HoldReads();
  auto subscription = hub->Subscribe(From(Sequence()), [] {});
  BatchPtr batch;
  ASSERT_EQ(subscription->Next(batch), Progress::kWait);
  store.WaitForReads(1);
  subscription->Cancel();
  subscription.reset();
  std::thread destroyer([&] {
    hub.reset();
    destroyed.Set();
  });
  EXPECT_FALSE(destroyed.Wait(absl::Milliseconds(50)));
  store.ReleaseReads();
  EXPECT_TRUE(destroyed.Wait());
  destroyer.join();
}

// Each round publishes exactly when the subscriber is about to wait: one lost
// wake-up, and the round never ends.
TEST(EventHub, NoWakeUpIsLost) {
  constexpr uint64_t kRounds = 3000;
  for (const HubOptions& options : {HubOptions(), NoTail()}) {
    StreamHarness harness(options);
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<WakeFlag>> turns;
    for (int i = 0; i < 3; ++i) turns.push_back(std::make_unique<WakeFlag>());
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&harness, &turn = *turns[i]] {
        TestSubscriber subscriber(harness.hub, From(Sequence()));
        for (uint64_t n = 1; n <= kRounds; ++n) {
          BatchPtr batch;
          if (subscriber.Await(batch) != Progress::kBatch) {
            ADD_FAILURE() << "not woken for event " << n;
            break;
          }
          EXPECT_THAT(SequencesOf(*batch), ElementsAre(n));
          turn.Set();
        }
        turn.Set();
      });
    }
    for (uint64_t n = 1; n <= kRounds; ++n) {
      AppendNumbered(harness.store, n, n);
      for (auto& turn : turns) turn->Wait();
    }
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace waggle
