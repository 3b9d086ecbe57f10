// The store over a disk that fails, is full, or loses power.
#include <atomic>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/faulty_vfs.h"
#include "tests/store/sqlite_harness.h"

namespace waggle {
namespace {

using testing::HasSubstr;
using Operation = FaultyVfs::Operation;

class SqliteFaultTest : public SqliteStoreTest {
 protected:
  ~SqliteFaultTest() override { Close(); }

  // Appends without waiting for the answers, which it counts.
  void AppendWithoutWaiting(uint64_t first, uint64_t last) {
    for (uint64_t n = first; n <= last; ++n) {
      store_->Append(Delivered(NumberedEvent(n, {}, std::string(500, 'p'))),
                     [this](absl::StatusOr<Appended> appended) {
                       ++(appended.ok() ? stored_ : refused_);
                     });
    }
  }

  // Of events.
  size_t CountDeliveries() { return ReadAccepted().size(); }

  void WaitUntilWritable() {
    while (!store_->Writable().ok()) std::this_thread::yield();
  }

  // The store takes events while free_ is 500 or more.
  void FollowFreeBytes() {
    options_.min_free_bytes = 500;
    options_.free_bytes =
        [this](const std::string&) -> absl::StatusOr<uint64_t> {
      return free_.load();
    };
  }

  FaultyVfs disk_;
  // Asked by the store as long as it is open.
  std::atomic<uint64_t> free_ = 1000;
  std::atomic<uint64_t> stored_ = 0;
  std::atomic<uint64_t> refused_ = 0;
};

TEST_F(SqliteFaultTest, NothingIsVisibleBeforeItIsDurable) {
  Open();
  AppendNumbered(*store_, 1, 1);
  disk_.HoldSyncs();
  AppendWithoutWaiting(2, 2);
  disk_.WaitForHeldSync();
  EXPECT_EQ(ReadAll().size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(store_->ReadById(EventId(2), false).status()));
  EXPECT_EQ(store_->Bounds().last, Sequence(1));
  EXPECT_EQ(CountDeliveries(), 0u);
  EXPECT_EQ(told(), 1u);
  EXPECT_EQ(stored_ + refused_, 0u);
  disk_.ReleaseSyncs();
  Close();
  EXPECT_EQ(stored_, 1u);
  EXPECT_EQ(told(), 2u);
}

TEST_F(SqliteFaultTest, WhatWaitsIsCommittedTogether) {
  options_.max_group = 64;
  Open();
  disk_.HoldSyncs();
  AppendWithoutWaiting(1, 1);
  disk_.WaitForHeldSync();
  AppendWithoutWaiting(2, 101);
  disk_.ReleaseSyncs();
  Close();
  EXPECT_EQ(stored_, 101u);
  // The first one alone, then 64 and the rest.
  EXPECT_THAT(metrics_.Serialize(),
              HasSubstr("waggle_store_commit_events_count 3\n"));
}

TEST_F(SqliteFaultTest, TooManyThatWaitAreRefused) {
  options_.max_waiting_events = 10;
  Open();
  disk_.HoldSyncs();
  AppendWithoutWaiting(1, 1);
  disk_.WaitForHeldSync();
  AppendWithoutWaiting(2, 11);
  EXPECT_EQ(refused_, 0u);
  EXPECT_TRUE(
      absl::IsUnavailable(TryAppend(*store_, NumberedEvent(12)).status()));
  disk_.ReleaseSyncs();
  Close();
  EXPECT_EQ(stored_, 11u);
}

TEST_F(SqliteFaultTest, TooLargeAQueueIsRefused) {
  options_.max_waiting_bytes = 10'000;
  Open();
  disk_.HoldSyncs();
  AppendWithoutWaiting(1, 1);
  disk_.WaitForHeldSync();
  AppendWithoutWaiting(2, 10);
  EXPECT_EQ(refused_, 0u);
  EXPECT_TRUE(absl::IsUnavailable(
      TryAppend(*store_, NumberedEvent(11, {}, std::string(10'000, 'p')))
          .status()));
  disk_.ReleaseSyncs();
  Close();
  EXPECT_EQ(stored_, 10u);
  // Alone, it is not too large.
  Open();
  EXPECT_TRUE(
      TryAppend(*store_, NumberedEvent(11, {}, std::string(10'000, 'p'))).ok());
}

TEST_F(SqliteFaultTest, AFullDiskRefusesAndRecovers) {
  Open();
  AppendNumbered(*store_, 1, 10);
  disk_.Fail(Operation::kWrite, SQLITE_FULL);
  const auto refused = TryAppend(*store_, NumberedEvent(11));
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_TRUE(absl::IsResourceExhausted(store_->Writable()));
  EXPECT_TRUE(absl::IsResourceExhausted(
      TryAppend(*store_, NumberedEvent(12)).status()));
  // Reading goes on.
  EXPECT_EQ(ReadAll().size(), 10u);
  EXPECT_TRUE(store_->ReadById(EventId(3), true).ok());

  disk_.Heal();
  WaitUntilWritable();
  EXPECT_EQ(TryAppend(*store_, NumberedEvent(13))->sequence, Sequence(11));
  EXPECT_EQ(ReadAll().size(), 11u);
  EXPECT_EQ(told(), 11u);
  EXPECT_TRUE(fatal().ok());
}

TEST_F(SqliteFaultTest, AGroupForWhichThereIsNoRoomIsRefusedAsAWhole) {
  for (int successes = 0; successes < 16; successes += 3) {
    Open();
    // The first commit to a new log syncs the log's header, too.
    AppendNumbered(*store_, 100'000 + successes, 100'000 + successes);
    const size_t before = ReadAll().size();
    const size_t deliveries_before = CountDeliveries();
    {
      MutexLock lock(mu_);
      told_ = before;
    }
    stored_ = refused_ = 0;
    disk_.HoldSyncs();
    const uint64_t first = 1 + 100 * successes;
    AppendWithoutWaiting(first, first);
    disk_.WaitForHeldSync();
    AppendWithoutWaiting(first + 1, first + 30);
    disk_.Fail(Operation::kWrite, SQLITE_FULL, successes);
    disk_.ReleaseSyncs();
    Close();
    disk_.Heal();
    EXPECT_TRUE(stored_ == 1u || stored_ == 31u) << stored_;
    EXPECT_EQ(stored_ + refused_, 31u);
    Open();
    EXPECT_EQ(CountDeliveries(), deliveries_before + stored_);
    EXPECT_EQ(ReadAll().size(), before + stored_);
    EXPECT_EQ(told(), before + stored_);
    // What was refused can come again.
    AppendNumbered(*store_, first, first + 30, 500);
    EXPECT_EQ(ReadAll().size(), before + 31);
    Close();
  }
}

TEST_F(SqliteFaultTest, TooLittleRoomRefusesAndRecovers) {
  FollowFreeBytes();
  Open();
  EXPECT_TRUE(store_->Writable().ok());
  AppendNumbered(*store_, 1, 1);
  free_ = 499;
  EXPECT_TRUE(
      absl::IsResourceExhausted(TryAppend(*store_, NumberedEvent(2)).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(store_->Writable()));
  EXPECT_EQ(ReadAll().size(), 1u);
  free_ = 500;
  WaitUntilWritable();
  EXPECT_TRUE(TryAppend(*store_, NumberedEvent(3)).ok());
  // Nobody has to append for it to be seen.
  free_ = 0;
  while (store_->Writable().ok()) std::this_thread::yield();
  EXPECT_THAT(std::string(store_->Writable().message()), HasSubstr("full"));
}

TEST_F(SqliteFaultTest, TrimsWithLittleRoomAndGivesTheSpaceBack) {
  FollowFreeBytes();
  Open();
  AppendNumbered(*store_, 1, 100, /*payload_size=*/20'000);
  Open();
  const uint64_t before = std::filesystem::file_size(DatabasePath());
  free_ = 0;
  ASSERT_TRUE(store_->Trim({.max_bytes = 500'000}).ok());
  EXPECT_LT(std::filesystem::file_size(DatabasePath()), before / 2);
}

TEST_F(SqliteFaultTest, AFullDiskStopsTrimmingOnly) {
  Open();
  AppendNumbered(*store_, 1, 100, /*payload_size=*/20'000);
  disk_.Fail(Operation::kWrite, SQLITE_FULL);
  EXPECT_TRUE(absl::IsResourceExhausted(store_->Trim({.max_bytes = 1})));
  EXPECT_EQ(ReadAll().size(), 100u);
  disk_.Heal();
  EXPECT_TRUE(store_->Trim({.max_bytes = 1}).ok());
  EXPECT_TRUE(ReadAll().empty());
  EXPECT_TRUE(fatal().ok());
}

TEST_F(SqliteFaultTest, AFullDiskDropsRecordsAndRecovers) {
  Open();
  AppendNumbered(*store_, 1, 1);
  disk_.Fail(Operation::kWrite, SQLITE_FULL);
  ASSERT_TRUE(store_->Record(RefusedDelivery()));
  while (store_->Writable().ok()) std::this_thread::yield();
  EXPECT_FALSE(store_->Record(RefusedDelivery()));
  EXPECT_TRUE(absl::IsResourceExhausted(
      TryAppend(*store_, Delivered(NumberedEvent(2))).status()));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("waggle_store_writable 0\n"));

  disk_.Heal();
  WaitUntilWritable();
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("waggle_store_writable 1\n"));
  ASSERT_TRUE(store_->Record(RefusedDelivery()));
  EXPECT_TRUE(TryAppend(*store_, Delivered(NumberedEvent(3))).ok());
  Close();
  Open();
  const auto page = store_->ListDeliveries({}, UINT64_MAX, 10);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->deliveries.size(), 2u);
  EXPECT_EQ(told(), 2u);
  EXPECT_TRUE(fatal().ok());
}

TEST_F(SqliteFaultTest, AFullDiskKeepsStreamsUntilThereIsRoom) {
  Open();
  AppendNumbered(*store_, 1, 1);
  disk_.Fail(Operation::kWrite, SQLITE_FULL);
  ASSERT_TRUE(store_->RecordStream(StreamOf(EventId(1), clock_.Now())));
  while (store_->Writable().ok()) std::this_thread::yield();
  disk_.Heal();
  WaitUntilWritable();
  const absl::Time at = clock_.Now();
  ASSERT_TRUE(store_->RecordProgress({{EventId(1), Sequence(1), at}}));
  clock_.Advance(absl::Hours(1));
  Open();
  const auto handovers = store_->Handovers(Sequence(1), absl::UnixEpoch(),
                                           absl::InfiniteFuture(), 10);
  ASSERT_TRUE(handovers.ok()) << handovers.status();
  ASSERT_EQ(handovers->size(), 1u);
  EXPECT_EQ(handovers->front().handed_over_at, at);
}

TEST_F(SqliteFaultTest, TooLargeRecordsThatWaitAreRefused) {
  options_.max_waiting_record_bytes = 1000;
  Open();
  disk_.HoldSyncs();
  AppendWithoutWaiting(1, 1);
  disk_.WaitForHeldSync();
  StreamRecord stream = StreamOf(EventId(1), clock_.Now());
  stream.filters = std::string(600, 'f');
  EXPECT_TRUE(store_->RecordStream(stream));
  stream.stream_id = EventId(2);
  EXPECT_FALSE(store_->RecordStream(stream));
  disk_.ReleaseSyncs();
  // There is room again once they are recorded.
  while (!store_->RecordStream(stream)) std::this_thread::yield();
}

TEST_F(SqliteFaultTest, TheDeliveriesOfACommitAreFoundOneByOne) {
  Open();
  disk_.HoldSyncs();
  AppendWithoutWaiting(1, 1);
  disk_.WaitForHeldSync();
  // One commit: a duplicate, so with an id, in the midst of what is accepted.
  AppendWithoutWaiting(2, 20);
  AppendWithoutWaiting(7, 7);
  AppendWithoutWaiting(21, 40);
  ASSERT_TRUE(store_->Record(RefusedDelivery()));
  disk_.ReleaseSyncs();
  Open();
  ASSERT_EQ(stored_, 41u);
  EXPECT_EQ(QueryInt("SELECT count(*) FROM accepted_deliveries"), 3);
  const auto id_of = [](uint64_t n) { return n <= 20 ? n : n + 1; };
  for (uint64_t n = 1; n <= 40; ++n) {
    const auto read = store_->ReadDelivery(id_of(n));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->id(), id_of(n));
    EXPECT_EQ(read->sequence(), n);
    EXPECT_EQ(read->event_id(), EventId(n));
    EXPECT_EQ(read->endpoint(), "bindbee");
    EXPECT_EQ(read->outcome(), v1::DELIVERY_OUTCOME_ACCEPTED);
    EXPECT_TRUE(read->has_commit_duration());
    const auto of_event = store_->DeliveriesOf(Sequence(n), 10);
    ASSERT_TRUE(of_event.ok()) << of_event.status();
    ASSERT_EQ(of_event->size(), n == 7 ? 2u : 1u);
    EXPECT_EQ(of_event->front().id(), id_of(n));
    v1::DeliveryFilter filter;
    filter.add_event_ids(EventId(n));
    filter.add_outcomes(v1::DELIVERY_OUTCOME_ACCEPTED);
    const auto listed = store_->ListDeliveries(filter, UINT64_MAX, 10);
    ASSERT_TRUE(listed.ok()) << listed.status();
    ASSERT_EQ(listed->deliveries.size(), 1u);
    EXPECT_EQ(listed->deliveries.front().id(), id_of(n));
  }
  EXPECT_EQ(store_->ReadDelivery(21)->outcome(),
            v1::DELIVERY_OUTCOME_DUPLICATE);
  EXPECT_EQ(store_->ReadDelivery(42)->outcome(),
            v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
  EXPECT_TRUE(absl::IsNotFound(store_->ReadDelivery(43).status()));
  EXPECT_TRUE(store_->DeliveriesOf(Sequence(41), 10)->empty());

  // Pages that end in the middle of a commit, and a bound in one.
  v1::DeliveryFilter filter;
  filter.set_after_id(4);
  std::vector<uint64_t> ids;
  for (uint64_t before = UINT64_MAX; before != 0;) {
    const auto page = store_->ListDeliveries(filter, before, 5);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::Delivery& delivery : page->deliveries) {
      ids.push_back(delivery.id());
    }
    before = page->next_before;
  }
  std::vector<uint64_t> expected;
  for (uint64_t id = 42; id > 4; --id) expected.push_back(id);
  EXPECT_EQ(ids, expected);

  // The oldest commits go as wholes, so that no more than these are left.
  ASSERT_TRUE(store_->TrimDeliveries({.max_records = 30}).ok());
  EXPECT_EQ(CountDeliveries(), 20u);
  EXPECT_EQ(store_->ReadDelivery(21)->outcome(),
            v1::DELIVERY_OUTCOME_DUPLICATE);
  ASSERT_TRUE(store_->TrimDeliveries({.max_records = 20}).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->ReadDelivery(21).status()));
  EXPECT_EQ(CountDeliveries(), 20u);
  ASSERT_TRUE(store_->TrimDeliveries({.max_records = 19}).ok());
  EXPECT_EQ(CountDeliveries(), 0u);
  EXPECT_TRUE(store_->ReadDelivery(42).ok());
}

// Whatever the number of deliveries in a commit, and so the size of rows.
TEST_F(SqliteFaultTest, TheLogTakesAQuarterOfTheDataAtMost) {
  constexpr uint64_t kMaxBytes = 2'000'000;
  for (const size_t group : {5, 17, 64}) {
    options_.directory = directory_.File(absl::StrCat("group", group));
    options_.max_group = group;
    Open();
    AppendNumbered(*store_, 1, 150, /*payload_size=*/10'000);
    disk_.HoldSyncs();
    for (uint64_t n = 1000; n < 4000; ++n) {
      NewEvent event = Delivered(NumberedEvent(n));
      event.delivery->set_connector_id(std::string(180, 'c'));
      store_->Append(std::move(event), [](absl::StatusOr<Appended> appended) {
        EXPECT_TRUE(appended.ok()) << appended.status();
      });
    }
    disk_.ReleaseSyncs();
    Open();
    ASSERT_TRUE(store_->Trim({.max_bytes = kMaxBytes}).ok());
    Close();
    const auto pages = [this] {
      return QueryInt("PRAGMA page_count") - QueryInt("PRAGMA freelist_count");
    };
    const int64_t with = pages();
    Tamper("DELETE FROM accepted_deliveries; DELETE FROM delivery_commits");
    const auto log_bytes = static_cast<uint64_t>((with - pages()) * kPageSize);
    EXPECT_LE(log_bytes, kMaxBytes * 28 / 100) << group;
    EXPECT_GE(log_bytes, kMaxBytes * 18 / 100) << group;
  }
}

TEST_F(SqliteFaultTest, TooManyRecordsThatWaitAreRefused) {
  options_.max_waiting_records = 200;
  Open();
  disk_.HoldSyncs();
  AppendWithoutWaiting(1, 1);
  disk_.WaitForHeldSync();
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(store_->Record(RefusedDelivery()));
  }
  EXPECT_FALSE(store_->Record(RefusedDelivery()));
  EXPECT_FALSE(store_->RecordStream(StreamOf(EventId(1), clock_.Now())));
  // Events are not held up by them.
  AppendWithoutWaiting(2, 10);
  EXPECT_EQ(refused_, 0u);
  disk_.ReleaseSyncs();
  Close();
  EXPECT_EQ(stored_, 10u);
  Open();
  const auto page = store_->ListDeliveries({}, UINT64_MAX, 1000);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->deliveries.size(), 210u);
}

// The outcome of a failed commit is unknown, so nobody is answered, the process
// is to end, and the next start finds all of a group or nothing.
class SqliteIoErrorTest
    : public SqliteFaultTest,
      public testing::WithParamInterface<std::pair<Operation, int>> {};

TEST_P(SqliteIoErrorTest, EndsTheProcessAndLeavesNothingHalfStored) {
  const auto [operation, successes] = GetParam();
  Open();
  AppendNumbered(*store_, 1, 5);
  disk_.HoldSyncs();
  AppendWithoutWaiting(6, 6);
  disk_.WaitForHeldSync();
  AppendWithoutWaiting(7, 36);
  ASSERT_TRUE(store_->Record(RefusedDelivery()));
  disk_.Fail(
      operation,
      operation == Operation::kSync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE,
      successes);
  disk_.ReleaseSyncs();
  ASSERT_TRUE(failed_.Wait());
  EXPECT_FALSE(fatal().ok());
  EXPECT_TRUE(absl::IsUnavailable(store_->Writable()));
  EXPECT_TRUE(
      absl::IsUnavailable(TryAppend(*store_, NumberedEvent(50)).status()));
  EXPECT_TRUE(absl::IsUnavailable(store_->Trim({.max_bytes = 1})));
  store_->Close();
  // The group that failed is not answered; what waited behind it may be
  // refused.
  EXPECT_LT(stored_ + refused_, 31u);
  EXPECT_EQ(told(), 5 + stored_);

  disk_.Heal();
  Open();
  const size_t found = ReadAll().size();
  EXPECT_TRUE(found == 5u || found == 6u || found == 36u) << found;
  EXPECT_GE(found, 5 + stored_);
  EXPECT_LE(found, 36 - refused_);
  EXPECT_EQ(CountDeliveries(), found - 5);
}

INSTANTIATE_TEST_SUITE_P(Moments, SqliteIoErrorTest,
                         testing::Values(std::pair(Operation::kSync, 0),
                                         std::pair(Operation::kSync, 1),
                                         std::pair(Operation::kWrite, 0),
                                         std::pair(Operation::kWrite, 1),
                                         std::pair(Operation::kWrite, 2),
                                         std::pair(Operation::kWrite, 5)));

TEST_F(SqliteFaultTest, AReadErrorIsThatReadersOnly) {
  Open();
  AppendNumbered(*store_, 1, 100, /*payload_size=*/10'000);
  Open();  // with cold caches
  disk_.Fail(Operation::kRead, SQLITE_IOERR_READ);
  const auto page = store_->ReadPage({.max_events = 100});
  EXPECT_TRUE(absl::IsUnavailable(page.status())) << page.status();
  disk_.Heal();
  EXPECT_EQ(ReadAll().size(), 100u);
  EXPECT_TRUE(TryAppend(*store_, NumberedEvent(101)).ok());
}

// kill -9 cannot show a missing fsync, since the system keeps what was written.
TEST_F(SqliteFaultTest, WhatWasAnsweredSurvivesALossOfPower) {
  Open();
  AppendNumbered(*store_, 1, 1);
  Open();  // the first database file was synced by closing
  const std::string data = options_.directory;
  std::atomic<bool> stop = false;
  Mutex mu;
  std::set<uint64_t> answered;
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 3; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t n = t * 1'000'000; !stop; ++n) {
        const auto appended = TryAppend(
            *store_, Delivered(NumberedEvent(n, {}, std::string(3000, 'p'))));
        ASSERT_TRUE(appended.ok()) << appended.status();
        MutexLock lock(mu);
        answered.insert(appended->sequence.value());
      }
    });
  }
  for (size_t round = 1; round <= 10; ++round) {
    std::set<uint64_t> expected;
    while (expected.size() < round * 30) {
      MutexLock lock(mu);
      expected = answered;
    }
    const std::string copy = directory_.File(absl::StrCat("copy", round));
    std::filesystem::create_directory(copy);
    disk_.CopySynced(data, copy);

    SqliteOptions options = options_;
    options.directory = copy;
    Metrics metrics;
    const auto store =
        SqliteEventStore::Open(options, clock_, metrics, [](absl::Status) {});
    ASSERT_TRUE(store.ok()) << store.status();
    const auto page =
        (*store)->ReadPage({.max_events = 1'000'000, .max_bytes = 1 << 30});
    ASSERT_TRUE(page.ok()) << page.status();
    for (const StoredEventPtr& event : *page) {
      expected.erase(event->sequence.value());
    }
    EXPECT_TRUE(expected.empty()) << expected.size() << " were lost";
    const auto deliveries = (*store)->ListDeliveries({}, UINT64_MAX, 1'000'000);
    ASSERT_TRUE(deliveries.ok()) << deliveries.status();
    // All but the first event's, which was appended without.
    EXPECT_EQ(deliveries->deliveries.size() + 1, page->size());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace waggle
