#include "tests/contract/event_store_contract.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/test_events.h"
#include "tests/fakes/try_append.h"
#include "waggle/v1/event.pb.h"

namespace waggle {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// What the tail was told. Thread-safe.
class TailRecorder {
 public:
  EventStore::Tail Recorder() {
    return [this](absl::Span<const StoredEventPtr> events) {
      MutexLock lock(mu_);
      events_.insert(events_.end(), events.begin(), events.end());
    };
  }

  std::vector<StoredEventPtr> events() const {
    MutexLock lock(mu_);
    return events_;
  }

 private:
  mutable Mutex mu_;
  std::vector<StoredEventPtr> events_ ABSL_GUARDED_BY(mu_);
};

v1::Event Parse(const StoredEvent& stored) {
  v1::Event event;
  EXPECT_TRUE(event.ParseFromString(stored.event));
  return event;
}

std::vector<Sequence> Sequences(const std::vector<StoredEventPtr>& events) {
  std::vector<Sequence> sequences;
  for (const StoredEventPtr& event : events) {
    sequences.push_back(event->sequence);
  }
  return sequences;
}

class EventStoreContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  EventStoreContract() : data_(GetParam().make()) { Reopen(); }

  void Reopen() {
    if (store_ != nullptr) store_->Close();
    store_.reset();
    store_ = data_->Open(clock_).events;
    bounds_at_start_ = store_->Start(tail_.Recorder());
  }

  // An event that arrives now.
  NewEvent Arrival(uint64_t n, std::string digest, absl::Duration window) {
    NewEvent event = NumberedEvent(n);
    event.received_at = clock_.Now();
    event.identity.digest = std::move(digest);
    event.identity.index_prefix = "0197c9f4-0000-7000-8000-000000000001";
    event.identity.window = window;
    return event;
  }

  Appended MustAppend(NewEvent event) {
    absl::StatusOr<Appended> appended = TryAppend(*store_, std::move(event));
    EXPECT_TRUE(appended.ok()) << appended.status();
    return appended.ok() ? *appended : Appended();
  }

  std::vector<StoredEventPtr> MustRead(const PageRequest& request) {
    absl::StatusOr<std::vector<StoredEventPtr>> page =
        store_->ReadPage(request);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *std::move(page) : std::vector<StoredEventPtr>();
  }

  std::vector<StoredEventPtr> ReadAll() {
    return MustRead({.after = store_->Bounds().trimmed_through,
                     .max_events = 1'000'000,
                     .max_bytes = 1 << 30});
  }

  // Sequences of `count` plain events, stored a second apart.
  std::vector<Sequence> AppendSecondsApart(int count) {
    std::vector<Sequence> sequences;
    for (int i = 0; i < count; ++i) {
      clock_.Advance(absl::Seconds(1));
      sequences.push_back(MustAppend(NumberedEvent(next_++)).sequence);
    }
    return sequences;
  }

  FakeClock clock_;
  TailRecorder tail_;
  std::unique_ptr<StoreData> data_;
  std::unique_ptr<EventStore> store_;
  StoreBounds bounds_at_start_;
  uint64_t next_ = 1'000'000;
};

TEST_P(EventStoreContract, GivesBackWhatWasAppendedInOrder) {
  for (uint64_t n = 1; n <= 3; ++n) {
    NewEvent event = NumberedEvent(n, EventOfConnector("c"), "payload");
    const Appended appended = MustAppend(std::move(event));
    EXPECT_EQ(appended.id, EventId(n));
    EXPECT_FALSE(appended.duplicate);
    EXPECT_GE(appended.sequence, Sequence(n));
  }
  const std::vector<StoredEventPtr> events = ReadAll();
  ASSERT_EQ(events.size(), 3u);
  for (uint64_t n = 1; n <= 3; ++n) {
    const v1::Event event = Parse(*events[n - 1]);
    EXPECT_EQ(event.id(), EventId(n));
    EXPECT_EQ(event.connector().id(), "c");
    EXPECT_EQ(event.sequence(), events[n - 1]->sequence.value());
    EXPECT_EQ(events[n - 1]->stored_at, clock_.Now());
  }
  EXPECT_LT(events[0]->sequence, events[1]->sequence);
  EXPECT_LT(events[1]->sequence, events[2]->sequence);
}

TEST_P(EventStoreContract, KeepsAnyBytes) {
  const std::string zeros_and_all("\0\x01\xff\x80\0", 5);
  const std::string large(1 << 20, '\xfe');
  MustAppend(NumberedEvent(1, {}, zeros_and_all));
  MustAppend(NumberedEvent(2, {}, large));
  MustAppend(NumberedEvent(3, {}, ""));
  NewEvent bare = NumberedEvent(4);
  bare.event.clear();
  MustAppend(std::move(bare));
  const std::vector<StoredEventPtr> events =
      MustRead({.max_bytes = 8 << 20, .include_payload = true});
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0]->payload, zeros_and_all);
  EXPECT_TRUE(events[1]->payload == large);
  EXPECT_EQ(events[2]->payload, "");
  EXPECT_EQ(Parse(*events[3]).sequence(), events[3]->sequence.value());
}

TEST_P(EventStoreContract, RefusesAnIdThatIsNoUuid) {
  for (const char* id : {"", "7", "01990000-0000-7000-8000-00000000000G",
                         "01990000-0000-7000-8000-00000000000A",
                         "01990000+0000-7000-8000-000000000001",
                         "01990000-0000-7000-8000-0000000000001"}) {
    NewEvent event = NumberedEvent(1);
    event.id = id;
    EXPECT_TRUE(absl::IsInvalidArgument(TryAppend(*store_, event).status()))
        << id;
  }
  EXPECT_THAT(ReadAll(), IsEmpty());
}

TEST_P(EventStoreContract, AnsweredEventsCanBeRead) {
  for (uint64_t n = 1; n <= 20; ++n) {
    const Appended appended = MustAppend(NumberedEvent(n));
    EXPECT_GE(store_->Bounds().last, appended.sequence);
    EXPECT_EQ(Sequences(ReadAll()).back(), appended.sequence);
  }
}

TEST_P(EventStoreContract, TellsTheTailEveryEventOnceInOrder) {
  constexpr uint64_t kThreads = 8;
  constexpr uint64_t kEach = 40;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t n = t * kEach; n < (t + 1) * kEach; ++n) {
        EXPECT_TRUE(TryAppend(*store_, NumberedEvent(n, {}, "body")).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  const std::vector<StoredEventPtr> told = tail_.events();
  const std::vector<StoredEventPtr> read = MustRead(
      {.max_events = 1000, .max_bytes = 8 << 20, .include_payload = true});
  ASSERT_EQ(told.size(), kThreads * kEach);
  ASSERT_EQ(read.size(), told.size());
  for (size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i]->sequence, read[i]->sequence);
    EXPECT_EQ(told[i]->stored_at, read[i]->stored_at);
    EXPECT_EQ(told[i]->event, read[i]->event);
    EXPECT_EQ(told[i]->payload, read[i]->payload);
    if (i > 0) {
      EXPECT_GT(told[i]->sequence, told[i - 1]->sequence);
    }
  }
}

TEST_P(EventStoreContract, TellsTheTailBeforeItAnswers) {
  for (uint64_t n = 1; n <= 50; ++n) {
    WakeFlag answered;
    bool told = false;
    store_->Append(NumberedEvent(n), [&](absl::StatusOr<Appended> appended) {
      for (const StoredEventPtr& event : tail_.events()) {
        told |= appended.ok() && event->sequence == appended->sequence;
      }
      answered.Set();
    });
    ASSERT_TRUE(answered.Wait());
    EXPECT_TRUE(told);
  }
}

TEST_P(EventStoreContract, AnswersInTheOrderOfOneThreadsAppends) {
  std::vector<NewEvent> events;
  for (uint64_t n = 1; n <= 200; ++n) events.push_back(NumberedEvent(n));
  const auto answers = AppendAll(*store_, std::move(events));
  for (size_t i = 1; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i].ok());
    EXPECT_GT(answers[i]->sequence, answers[i - 1]->sequence);
  }
}

TEST_P(EventStoreContract, StoredAtNeverDecreases) {
  const std::vector<Sequence> sequences = AppendSecondsApart(2);
  const absl::Time newest = clock_.Now();
  clock_.Advance(-absl::Hours(1));
  MustAppend(NumberedEvent(1));
  EXPECT_EQ(ReadAll().back()->stored_at, newest);
  clock_.Advance(absl::Hours(2));
  MustAppend(NumberedEvent(2));
  EXPECT_EQ(ReadAll().back()->stored_at, newest + absl::Hours(1));
}

// Deduplication.

TEST_P(EventStoreContract, ASecondArrivalWithinTheWindowIsADuplicate) {
  const absl::Duration window = absl::Minutes(10);
  const Appended first = MustAppend(Arrival(1, "body", window));
  clock_.Advance(window - absl::Microseconds(1));
  const Appended second = MustAppend(Arrival(2, "body", window));
  EXPECT_TRUE(second.duplicate);
  EXPECT_EQ(second.sequence, first.sequence);
  EXPECT_EQ(second.id, EventId(1));
  EXPECT_THAT(Sequences(ReadAll()), ElementsAre(first.sequence));
  EXPECT_THAT(Sequences(tail_.events()), ElementsAre(first.sequence));
  EXPECT_EQ(store_->Bounds().last, first.sequence);
}

TEST_P(EventStoreContract, ASecondArrivalAfterTheWindowIsAnEvent) {
  const absl::Duration window = absl::Minutes(10);
  const Appended first = MustAppend(Arrival(1, "body", window));
  clock_.Advance(window);
  const Appended second = MustAppend(Arrival(2, "body", window));
  EXPECT_FALSE(second.duplicate);
  EXPECT_GT(second.sequence, first.sequence);
  // From then on, the second is what others are duplicates of.
  clock_.Advance(absl::Minutes(1));
  const Appended third = MustAppend(Arrival(3, "body", window));
  EXPECT_TRUE(third.duplicate);
  EXPECT_EQ(third.id, EventId(2));
}

TEST_P(EventStoreContract, TheWindowCountsArrivalsAndNotCommits) {
  NewEvent late = Arrival(2, "body", absl::Minutes(10));
  MustAppend(Arrival(1, "body", absl::Minutes(10)));
  clock_.Advance(absl::Minutes(30));
  EXPECT_TRUE(MustAppend(std::move(late)).duplicate);
}

TEST_P(EventStoreContract, TheWindowHoldsWhenTheClockIsMovedBack) {
  MustAppend(Arrival(1, "body", absl::Minutes(10)));
  clock_.Advance(-absl::Minutes(5));
  EXPECT_TRUE(MustAppend(Arrival(2, "body", absl::Minutes(10))).duplicate);
  clock_.Advance(-absl::Minutes(5));
  EXPECT_FALSE(MustAppend(Arrival(3, "body", absl::Minutes(10))).duplicate);
}

TEST_P(EventStoreContract, AWindowOfZeroNeverHolds) {
  MustAppend(Arrival(1, "body", absl::ZeroDuration()));
  EXPECT_FALSE(MustAppend(Arrival(2, "body", absl::ZeroDuration())).duplicate);
}

TEST_P(EventStoreContract, OtherDigestsAreOtherDeliveries) {
  for (const absl::Duration window :
       {absl::Minutes(10), absl::InfiniteDuration()}) {
    // A digest that others begin with, or that begins others.
    for (const char* digest :
         {"", "a", "ab", "a digest longer than thirty-two bytes is",
          "a digest longer than thirty-two bytes is another"}) {
      EXPECT_FALSE(MustAppend(Arrival(next_++, digest, window)).duplicate);
    }
  }
}

TEST_P(EventStoreContract, ARetainedIdentityHoldsForAsLongAsTheEvent) {
  const Appended first =
      MustAppend(Arrival(1, "sync", absl::InfiniteDuration()));
  clock_.Advance(absl::Hours(24 * 365));
  const Appended second =
      MustAppend(Arrival(2, "sync", absl::InfiniteDuration()));
  EXPECT_TRUE(second.duplicate);
  EXPECT_EQ(second.sequence, first.sequence);
  EXPECT_EQ(second.id, EventId(1));

  ASSERT_TRUE(store_->Trim({.max_age = absl::Hours(1)}).ok());
  const Appended third =
      MustAppend(Arrival(3, "sync", absl::InfiniteDuration()));
  EXPECT_FALSE(third.duplicate);
  EXPECT_GT(third.sequence, first.sequence);
}

TEST_P(EventStoreContract, AnyPrefixServesARetainedIdentity) {
  for (const char* prefix :
       {"", "short", "0197c9f4-0000-7000-8000-000000000002",
        "a prefix that is so long that a store may well cut it somewhere"}) {
    NewEvent event = Arrival(next_++, prefix, absl::InfiniteDuration());
    event.identity.index_prefix = prefix;
    NewEvent again = event;
    again.id = EventId(next_++);
    EXPECT_FALSE(MustAppend(std::move(event)).duplicate) << prefix;
    EXPECT_TRUE(MustAppend(std::move(again)).duplicate) << prefix;
  }
}

TEST_P(EventStoreContract, DuplicatesThatWaitTogetherAreOneEvent) {
  for (const absl::Duration window :
       {absl::Minutes(10), absl::InfiniteDuration()}) {
    std::vector<NewEvent> events;
    for (int i = 0; i < 100; ++i) {
      events.push_back(Arrival(next_++, "together", window));
    }
    const std::string first_id = events.front().id;
    const auto answers = AppendAll(*store_, std::move(events));
    ASSERT_TRUE(answers.front().ok());
    EXPECT_FALSE(answers.front()->duplicate);
    for (size_t i = 1; i < answers.size(); ++i) {
      ASSERT_TRUE(answers[i].ok());
      EXPECT_TRUE(answers[i]->duplicate);
      EXPECT_EQ(answers[i]->sequence, answers.front()->sequence);
      EXPECT_EQ(answers[i]->id, first_id);
    }
  }
  EXPECT_EQ(ReadAll().size(), 2u);
}

TEST_P(EventStoreContract, ConcurrentDuplicatesAreOneEvent) {
  constexpr int kThreads = 8;
  constexpr int kDeliveries = 30;
  Mutex mu;
  std::map<int, std::vector<Appended>> answers;
  std::vector<std::thread> threads;
  std::atomic<uint64_t> next = 1;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kDeliveries; ++i) {
        const Appended appended = MustAppend(
            Arrival(next++, absl::StrCat("delivery ", i),
                    i % 2 == 0 ? absl::Minutes(10) : absl::InfiniteDuration()));
        MutexLock lock(mu);
        answers[i].push_back(appended);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(ReadAll().size(), size_t{kDeliveries});
  for (const auto& [delivery, appended] : answers) {
    EXPECT_EQ(std::count_if(appended.begin(), appended.end(),
                            [](const Appended& a) { return !a.duplicate; }),
              1);
    for (const Appended& answer : appended) {
      EXPECT_EQ(answer.id, appended.front().id);
      EXPECT_EQ(answer.sequence, appended.front().sequence);
    }
  }
}

// Reading.

TEST_P(EventStoreContract, PagesEndAtTheMostEvents) {
  const std::vector<Sequence> all = AppendSecondsApart(5);
  EXPECT_THAT(Sequences(MustRead({.max_events = 2})),
              ElementsAre(all[0], all[1]));
  EXPECT_THAT(Sequences(MustRead({.after = all[1], .max_events = 2})),
              ElementsAre(all[2], all[3]));
  EXPECT_THAT(Sequences(MustRead({.after = all[3], .max_events = 2})),
              ElementsAre(all[4]));
  EXPECT_THAT(MustRead({.after = all[4], .max_events = 2}), IsEmpty());
}

TEST_P(EventStoreContract, PagesEndAtASequence) {
  const std::vector<Sequence> all = AppendSecondsApart(4);
  EXPECT_THAT(Sequences(MustRead({.after = all[0], .through = all[2]})),
              ElementsAre(all[1], all[2]));
  EXPECT_THAT(MustRead({.after = all[2], .through = all[2]}), IsEmpty());
  EXPECT_THAT(MustRead({.after = all[2], .through = all[1]}), IsEmpty());
}

TEST_P(EventStoreContract, PagesEndOnceTheyAreLargeEnough) {
  AppendNumbered(*store_, 1, 6, /*payload_size=*/1000);
  const uint64_t without = ReadAll().front()->event.size();
  // Payloads count when they are asked for.
  EXPECT_EQ(MustRead({.max_bytes = 2500, .include_payload = true}).size(), 3u);
  EXPECT_EQ(MustRead({.max_bytes = 3 * without}).size(), 4u);
  EXPECT_EQ(MustRead({.max_bytes = 1, .include_payload = true}).size(), 1u);
  EXPECT_EQ(MustRead({.max_bytes = 0}).size(), 1u);
}

TEST_P(EventStoreContract, PayloadsComeOnRequestOnly) {
  AppendNumbered(*store_, 1, 1, /*payload_size=*/10'000);
  EXPECT_EQ(MustRead({}).front()->payload, "");
  EXPECT_EQ(MustRead({.include_payload = true}).front()->payload,
            std::string(10'000, 'p'));
}

TEST_P(EventStoreContract, NothingComesAfterTheEnd) {
  EXPECT_THAT(MustRead({}), IsEmpty());
  AppendNumbered(*store_, 1, 3);
  for (const uint64_t after :
       {store_->Bounds().last.value() + 1, uint64_t{INT64_MAX}, UINT64_MAX}) {
    EXPECT_THAT(MustRead({.after = Sequence(after)}), IsEmpty());
  }
}

TEST_P(EventStoreContract, FindsEventsById) {
  AppendNumbered(*store_, 1, 20, /*payload_size=*/5);
  const absl::StatusOr<StoredEventPtr> bare =
      store_->ReadById(EventId(7), /*include_payload=*/false);
  ASSERT_TRUE(bare.ok()) << bare.status();
  EXPECT_EQ(Parse(**bare).id(), EventId(7));
  EXPECT_EQ((*bare)->payload, "");
  const absl::StatusOr<StoredEventPtr> whole =
      store_->ReadById(EventId(7), /*include_payload=*/true);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ((*whole)->payload, "ppppp");
  EXPECT_EQ((*whole)->sequence, (*bare)->sequence);
  EXPECT_EQ((*whole)->stored_at, clock_.Now());
}

TEST_P(EventStoreContract, DoesNotFindWhatIsNotThere) {
  AppendSecondsApart(1);
  const std::string id = EventId(next_ - 1);
  EXPECT_TRUE(store_->ReadById(id, false).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->ReadById(EventId(1), false).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->ReadById("", false).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->ReadById("no id", true).status()));
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(store_->Trim({.max_age = absl::Minutes(1)}).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->ReadById(id, false).status()));
}

TEST_P(EventStoreContract, FindsThePositionBeforeATime) {
  const absl::Time start = clock_.Now();
  const auto first_after = [&](absl::Time time) {
    const absl::StatusOr<Sequence> position = store_->PositionBefore(time);
    EXPECT_TRUE(position.ok()) << position.status();
    const auto page = MustRead({.after = *position, .max_events = 1});
    return page.empty() ? Sequence() : page.front()->sequence;
  };
  EXPECT_EQ(first_after(start), Sequence());
  const std::vector<Sequence> all = AppendSecondsApart(9);
  // Two more at the same time as the last.
  MustAppend(NumberedEvent(1));
  MustAppend(NumberedEvent(2));
  EXPECT_EQ(first_after(absl::InfinitePast()), all[0]);
  EXPECT_EQ(first_after(start), all[0]);
  for (int i = 0; i < 9; ++i) {
    const absl::Time stored_at = start + absl::Seconds(i + 1);
    EXPECT_EQ(first_after(stored_at - absl::Milliseconds(1)), all[i]);
    EXPECT_EQ(first_after(stored_at), all[i]);
  }
  EXPECT_EQ(first_after(start + absl::Seconds(10)), Sequence());
  EXPECT_EQ(first_after(absl::InfiniteFuture()), Sequence());

  ASSERT_TRUE(store_->Trim({.max_age = absl::Seconds(4)}).ok());
  EXPECT_EQ(first_after(absl::InfinitePast()), all[4]);
  EXPECT_EQ(first_after(start + absl::Seconds(7)), all[6]);
}

// Bounds and trimming.

TEST_P(EventStoreContract, BoundsTellWhatIsHeld) {
  EXPECT_EQ(store_->Bounds().trimmed_through, Sequence());
  EXPECT_EQ(store_->Bounds().last, Sequence());
  EXPECT_EQ(store_->Bounds().oldest_stored_at, absl::InfiniteFuture());
  const uint64_t empty_size = store_->Bounds().size_bytes;

  const absl::Time start = clock_.Now();
  const std::vector<Sequence> all = AppendSecondsApart(3);
  EXPECT_EQ(store_->Bounds().trimmed_through, Sequence());
  EXPECT_EQ(store_->Bounds().last, all[2]);
  EXPECT_EQ(store_->Bounds().oldest_stored_at, start + absl::Seconds(1));
  AppendNumbered(*store_, 1, 3, /*payload_size=*/100'000);
  EXPECT_GE(store_->Bounds().size_bytes, 300'000u);
  // Less what an empty store has room for.
  EXPECT_GE(store_->Bounds().size_bytes, empty_size + 270'000);
}

TEST_P(EventStoreContract, TrimsByAge) {
  const std::vector<Sequence> all = AppendSecondsApart(5);
  const absl::Time oldest = clock_.Now() - absl::Seconds(2);
  ASSERT_TRUE(store_->Trim({.max_age = absl::Seconds(2)}).ok());
  EXPECT_THAT(Sequences(ReadAll()), ElementsAre(all[2], all[3], all[4]));
  EXPECT_EQ(store_->Bounds().trimmed_through, all[1]);
  EXPECT_EQ(store_->Bounds().oldest_stored_at, oldest);
  EXPECT_EQ(store_->Bounds().last, all[4]);
}

TEST_P(EventStoreContract, TrimsBySize) {
  AppendNumbered(*store_, 1, 100, /*payload_size=*/20'000);
  const uint64_t full = store_->Bounds().size_bytes;
  const std::vector<Sequence> all = Sequences(ReadAll());
  const uint64_t limit = full - 500'000;
  ASSERT_TRUE(store_->Trim({.max_bytes = limit}).ok());
  const std::vector<Sequence> left = Sequences(ReadAll());
  EXPECT_LE(store_->Bounds().size_bytes, limit);
  // The oldest went, and not many more of them than had to.
  EXPECT_TRUE(std::equal(left.rbegin(), left.rend(), all.rbegin()));
  EXPECT_GE(left.size(), 65u);
  EXPECT_LE(left.size(), 76u);
}

TEST_P(EventStoreContract, TrimsNothingWithoutNeed) {
  AppendSecondsApart(3);
  ASSERT_TRUE(store_->Trim({}).ok());
  ASSERT_TRUE(
      store_->Trim({.max_age = absl::Hours(1), .max_bytes = 1 << 30}).ok());
  EXPECT_EQ(ReadAll().size(), 3u);
  EXPECT_EQ(store_->Bounds().trimmed_through, Sequence());
}

TEST_P(EventStoreContract, GoesOnAfterEverythingWasTrimmed) {
  const std::vector<Sequence> all = AppendSecondsApart(600);
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(store_->Trim({.max_age = absl::Minutes(1)}).ok());
  EXPECT_EQ(store_->Bounds().trimmed_through, all.back());
  EXPECT_EQ(store_->Bounds().last, all.back());
  EXPECT_EQ(store_->Bounds().oldest_stored_at, absl::InfiniteFuture());
  EXPECT_THAT(ReadAll(), IsEmpty());
  EXPECT_EQ(*store_->PositionBefore(clock_.Now()), all.back());

  const Appended next = MustAppend(NumberedEvent(1));
  EXPECT_GT(next.sequence, all.back());
  EXPECT_THAT(Sequences(ReadAll()), ElementsAre(next.sequence));
  EXPECT_EQ(store_->Bounds().oldest_stored_at, clock_.Now());
}

TEST_P(EventStoreContract, AReaderThatWasOvertakenIsTold) {
  const std::vector<Sequence> all = AppendSecondsApart(4);
  ASSERT_TRUE(store_->Trim({.max_age = absl::Seconds(1)}).ok());
  EXPECT_EQ(store_->Bounds().trimmed_through, all[1]);
  EXPECT_TRUE(absl::IsOutOfRange(store_->ReadPage({}).status()));
  EXPECT_TRUE(absl::IsOutOfRange(store_->ReadPage({.after = all[0]}).status()));
  EXPECT_THAT(Sequences(MustRead({.after = all[1]})),
              ElementsAre(all[2], all[3]));
}

TEST_P(EventStoreContract, ReadersSeeNoGapWhileOthersTrim) {
  constexpr uint64_t kEvents = 3000;
  struct Page {
    Sequence after;
    std::vector<Sequence> sequences;
  };
  std::atomic<bool> appended_all = false;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (uint64_t n = 1; n <= kEvents; n += 30) {
      clock_.Advance(absl::Seconds(1));
      AppendNumbered(*store_, n, n + 29, /*payload_size=*/200);
    }
    appended_all = true;
  });
  threads.emplace_back([&] {
    while (!appended_all) {
      EXPECT_TRUE(store_->Trim({.max_age = absl::Seconds(3)}).ok());
    }
  });
  std::vector<Page> pages[3];
  for (std::vector<Page>& seen : pages) {
    threads.emplace_back([&] {
      Sequence after;
      for (bool last_round = false; !last_round;) {
        last_round = appended_all;
        const auto page = store_->ReadPage({.after = after, .max_events = 20});
        if (!page.ok()) {
          EXPECT_TRUE(absl::IsOutOfRange(page.status())) << page.status();
          const Sequence trimmed_through = store_->Bounds().trimmed_through;
          EXPECT_LE(after, trimmed_through);
          after = trimmed_through;
        } else if (!page->empty()) {
          seen.push_back({after, Sequences(*page)});
          after = page->back()->sequence;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  const std::vector<Sequence> all = Sequences(tail_.events());
  ASSERT_EQ(all.size(), kEvents);
  for (const std::vector<Page>& seen : pages) {
    EXPECT_FALSE(seen.empty());
    for (const Page& page : seen) {
      const auto first = std::upper_bound(all.begin(), all.end(), page.after);
      ASSERT_LE(page.sequences.size(), static_cast<size_t>(all.end() - first));
      EXPECT_TRUE(
          std::equal(page.sequences.begin(), page.sequences.end(), first))
          << "after " << page.after.value();
    }
  }
}

// Closing.

TEST_P(EventStoreContract, ClosingCommitsAndAnswersWhatWaits) {
  constexpr uint64_t kEvents = 300;
  std::atomic<uint64_t> stored = 0;
  for (uint64_t n = 1; n <= kEvents; ++n) {
    store_->Append(NumberedEvent(n), [&](absl::StatusOr<Appended> appended) {
      if (appended.ok()) ++stored;
    });
  }
  store_->Close();
  EXPECT_EQ(stored, kEvents);
  EXPECT_EQ(tail_.events().size(), kEvents);
  EXPECT_EQ(store_->Bounds().last, tail_.events().back()->sequence);
}

TEST_P(EventStoreContract, EveryAppendIsAnsweredOnceWhileTheStoreCloses) {
  std::atomic<int> asked = 0;
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      bool refused = false;
      for (uint64_t n = 0; !refused; ++n) {
        WakeFlag done;
        ++asked;
        store_->Append(NumberedEvent(t * 1'000'000 + n),
                       [&](absl::StatusOr<Appended> appended) {
                         refused = !appended.ok();
                         EXPECT_TRUE(appended.ok() ||
                                     absl::IsUnavailable(appended.status()));
                         ++answered;
                         done.Set();
                       });
        ASSERT_TRUE(done.Wait());
      }
    });
  }
  while (tail_.events().size() < 20) std::this_thread::yield();
  store_->Close();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(asked, answered);
}

TEST_P(EventStoreContract, ReadsAndTrimsEndWhileTheStoreCloses) {
  AppendNumbered(*store_, 1, 500, /*payload_size=*/5'000);
  std::atomic<int> begun = 0;
  std::atomic<bool> closed = false;
  const auto repeat = [&](auto call) {
    return std::thread([&, call] {
      for (bool last = false; !last;) {
        last = closed;
        const absl::Status status = call();
        EXPECT_TRUE(status.ok() || absl::IsUnavailable(status) ||
                    absl::IsOutOfRange(status))
            << status;
        ++begun;
      }
    });
  };
  std::thread reader = repeat([&] { return store_->ReadPage({}).status(); });
  std::thread trimmer = repeat([&] { return store_->Trim({.max_bytes = 1}); });
  while (begun < 2) std::this_thread::yield();
  store_->Close();
  closed = true;
  reader.join();
  trimmer.join();
}

TEST_P(EventStoreContract, AClosedStoreRefuses) {
  EXPECT_TRUE(store_->Writable().ok());
  store_->Close();
  store_->Close();
  EXPECT_TRUE(
      absl::IsUnavailable(TryAppend(*store_, NumberedEvent(1)).status()));
  EXPECT_TRUE(absl::IsUnavailable(store_->Writable()));
}

// What durable stores promise on top.

TEST_P(EventStoreContract, DifferentStoresHaveDifferentIds) {
  const std::unique_ptr<StoreData> other_data = GetParam().make();
  const std::unique_ptr<EventStore> other = other_data->Open(clock_).events;
  EXPECT_NE(store_->id(), other->id());
  EXPECT_NE(store_->id(), StoreId());
}

class DurableEventStoreContract : public EventStoreContract {};

TEST_P(DurableEventStoreContract, EverythingSurvives) {
  const std::vector<Sequence> all = AppendSecondsApart(5);
  ASSERT_TRUE(store_->Trim({.max_age = absl::Seconds(3)}).ok());
  const StoreId id = store_->id();
  const StoreBounds before = store_->Bounds();
  const auto events = MustRead({.after = all[0], .include_payload = true});

  Reopen();
  EXPECT_EQ(store_->id(), id);
  EXPECT_EQ(bounds_at_start_.trimmed_through, before.trimmed_through);
  EXPECT_EQ(bounds_at_start_.last, before.last);
  EXPECT_EQ(bounds_at_start_.oldest_stored_at, before.oldest_stored_at);
  EXPECT_EQ(bounds_at_start_.size_bytes, before.size_bytes);
  const auto again = MustRead({.after = all[0], .include_payload = true});
  ASSERT_EQ(again.size(), events.size());
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(again[i]->sequence, events[i]->sequence);
    EXPECT_EQ(again[i]->stored_at, events[i]->stored_at);
    EXPECT_EQ(again[i]->event, events[i]->event);
    EXPECT_EQ(again[i]->payload, events[i]->payload);
  }
  EXPECT_TRUE(absl::IsOutOfRange(store_->ReadPage({}).status()));
}

TEST_P(DurableEventStoreContract, TheTailTellsOnlyOfWhatIsNew) {
  AppendSecondsApart(3);
  Reopen();
  const Appended next = MustAppend(NumberedEvent(1));
  EXPECT_GT(next.sequence, bounds_at_start_.last);
  ASSERT_EQ(tail_.events().size(), 4u);
  EXPECT_EQ(tail_.events().back()->sequence, next.sequence);
}

TEST_P(DurableEventStoreContract, SequencesAreNotUsedAgain) {
  const std::vector<Sequence> all = AppendSecondsApart(3);
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(store_->Trim({.max_age = absl::Minutes(1)}).ok());
  Reopen();
  EXPECT_EQ(bounds_at_start_.last, all.back());
  EXPECT_EQ(bounds_at_start_.trimmed_through, all.back());
  EXPECT_GT(MustAppend(NumberedEvent(1)).sequence, all.back());
}

TEST_P(DurableEventStoreContract, StoredAtDoesNotDecreaseAcrossRestarts) {
  AppendSecondsApart(1);
  const absl::Time newest = clock_.Now();
  clock_.Advance(-absl::Hours(1));
  Reopen();
  MustAppend(NumberedEvent(1));
  EXPECT_EQ(ReadAll().back()->stored_at, newest);
}

TEST_P(DurableEventStoreContract, IdentitiesSurvive) {
  const Appended windowed =
      MustAppend(Arrival(1, "body", StoreData::kMaxWindow));
  const Appended retained =
      MustAppend(Arrival(2, "sync", absl::InfiniteDuration()));
  clock_.Advance(StoreData::kMaxWindow - absl::Seconds(1));
  Reopen();
  const Appended windowed_again =
      MustAppend(Arrival(3, "body", StoreData::kMaxWindow));
  EXPECT_TRUE(windowed_again.duplicate);
  EXPECT_EQ(windowed_again.sequence, windowed.sequence);
  EXPECT_EQ(windowed_again.id, windowed.id);
  const Appended retained_again =
      MustAppend(Arrival(4, "sync", absl::InfiniteDuration()));
  EXPECT_TRUE(retained_again.duplicate);
  EXPECT_EQ(retained_again.sequence, retained.sequence);
  EXPECT_EQ(retained_again.id, retained.id);

  clock_.Advance(absl::Seconds(1));
  Reopen();
  EXPECT_FALSE(MustAppend(Arrival(5, "body", StoreData::kMaxWindow)).duplicate);
  EXPECT_TRUE(
      MustAppend(Arrival(6, "sync", absl::InfiniteDuration())).duplicate);
}

std::vector<StoreUnderTest> DurableStores() {
  std::vector<StoreUnderTest> stores = StoresUnderTest();
  std::erase_if(stores, [](const StoreUnderTest& s) { return !s.durable; });
  return stores;
}

std::string Name(const testing::TestParamInfo<StoreUnderTest>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Stores, EventStoreContract,
                         testing::ValuesIn(StoresUnderTest()), Name);
INSTANTIATE_TEST_SUITE_P(Stores, DurableEventStoreContract,
                         testing::ValuesIn(DurableStores()), Name);

}  // namespace
}  // namespace waggle
