#include "ops/delivery_broadcast.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/memory/memory_event_store.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/from_text.h"
#include "tests/fakes/recorded_deliveries.h"
#include "tests/fakes/test_deliveries.h"
#include "tests/fakes/wait_for.h"
#include "tests/fakes/wake_flag.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using waggle::testing::WaitFor;

constexpr auto kGoOn = [] { return false; };

class DeliveryBroadcastTest : public ::testing::Test {
 protected:
  DeliveryBroadcastTest() {
    store_.Start([](absl::Span<const StoredEventPtr>) {});
    broadcast_->Start();
  }
  ~DeliveryBroadcastTest() override {
    store_.Close();
    broadcast_.reset();
  }

  std::shared_ptr<DeliveryWatch> Watch(const std::string& filter = "") {
    return broadcast_->Watch(FromText<v1::DeliveryFilter>(filter),
                             [this] { woken_.Set(); });
  }

  // Returns once it is recorded, and told.
  void Deliver(uint64_t n) { Append(store_, DeliveredEvent(n, clock_.Now())); }
  void Deliver(uint64_t first, uint64_t last) {
    for (uint64_t n = first; n <= last; ++n) Deliver(n);
  }

  static std::vector<uint64_t> Ids(const DeliveryNews& news) {
    std::vector<uint64_t> ids;
    for (const auto& delivery : news.deliveries) ids.push_back(delivery->id());
    return ids;
  }

  FakeClock clock_;
  MemoryEventStore store_{clock_};
  WakeFlag woken_;
  std::unique_ptr<DeliveryBroadcast> broadcast_ =
      std::make_unique<DeliveryBroadcast>(store_);
};

TEST_F(DeliveryBroadcastTest, TellsWhatIsRecordedFromThenOn) {
  Deliver(1);
  const auto watch = Watch();
  EXPECT_TRUE(watch->Take(10).empty());
  Deliver(2, 4);
  woken_.Wait();
  EXPECT_THAT(Ids(watch->Take(2)), ElementsAre(2, 3));
  EXPECT_THAT(Ids(watch->Take(2)), ElementsAre(4));
  watch->Cancel();
}

TEST_F(DeliveryBroadcastTest, TellsWhatMatches) {
  const auto watch = Watch("outcomes: DELIVERY_OUTCOME_TIMEOUT");
  ASSERT_TRUE(
      store_.Record(Refused(v1::DELIVERY_OUTCOME_TOO_LARGE, clock_.Now())));
  ASSERT_TRUE(
      store_.Record(Refused(v1::DELIVERY_OUTCOME_TIMEOUT, clock_.Now())));
  DeliveryNews news;
  WaitFor([&] {
    news = watch->Take(10);
    return !news.empty();
  });
  ASSERT_EQ(news.deliveries.size(), 1u);
  EXPECT_EQ(news.deliveries[0]->outcome(), v1::DELIVERY_OUTCOME_TIMEOUT);
  watch->Cancel();
}

TEST_F(DeliveryBroadcastTest, ASlowWatchLosesTheOldestAndCountsThem) {
  const auto slow = Watch();
  const auto quick = Watch();
  constexpr uint64_t kCount = 6000;
  uint64_t taken = 0;
  for (uint64_t n = 1; n <= kCount; n += 100) {
    Deliver(n, n + 99);
    taken += quick->Take(1000).deliveries.size();
  }
  EXPECT_EQ(taken, kCount);
  const DeliveryNews news = slow->Take(kCount);
  EXPECT_GT(news.skipped, 0u);
  EXPECT_EQ(news.skipped + news.deliveries.size(), kCount);
  EXPECT_EQ(news.deliveries.front()->id(), news.skipped + 1);
  EXPECT_EQ(news.deliveries.back()->id(), kCount);
  EXPECT_EQ(slow->Take(1).skipped, 0u);
  slow->Cancel();
  quick->Cancel();
}

TEST_F(DeliveryBroadcastTest, TheLogComesFirstWithNeitherGapNorRepeat) {
  Deliver(1, 5);
  const auto watch = Watch("after_id: 2");
  // Both in the log and told.
  Deliver(6, 7);
  ASSERT_TRUE(watch->ReadLog(100, kGoOn).ok());
  Deliver(8);
  EXPECT_THAT(Ids(watch->Take(100)), ElementsAre(3, 4, 5, 6, 7, 8));
  watch->Cancel();
}

// In which nothing matches, for ever.
class EndlessLog final : public RecordedDeliveries {
 public:
  absl::StatusOr<DeliveryPage> ListDeliveries(const v1::DeliveryFilter&,
                                              uint64_t before,
                                              size_t) override {
    ++pages_;
    return DeliveryPage{.deliveries = {}, .next_before = before - 1};
  }
  int pages() const { return pages_; }

 private:
  int pages_ = 0;
};

TEST_F(DeliveryBroadcastTest, OnlySoMuchOfTheLogIsLookedAt) {
  EndlessLog log;
  DeliveryBroadcast broadcast(log);
  const auto watch = broadcast.Watch({}, [] {});
  ASSERT_TRUE(watch->ReadLog(10, kGoOn).ok());
  EXPECT_EQ(log.pages(), DeliveryWatch::kMaxLogPages);
  EXPECT_TRUE(watch->Take(10).empty());
  watch->Cancel();
}

TEST_F(DeliveryBroadcastTest, ReadingTheLogStopsWhenNobodyWatchesAnyMore) {
  EndlessLog log;
  DeliveryBroadcast broadcast(log);
  const auto watch = broadcast.Watch({}, [] {});
  ASSERT_TRUE(watch->ReadLog(10, [&] { return log.pages() == 3; }).ok());
  EXPECT_EQ(log.pages(), 3);
  watch->Cancel();
}

// What the log has and nobody was told of yet is told once.
TEST_F(DeliveryBroadcastTest, WhatIsToldAfterTheLogHadItIsNoRepeat) {
  class HeldLog final : public RecordedDeliveries {
   public:
    void FollowDeliveries(DeliveryTail tail) override { tail_ = tail; }
    absl::StatusOr<DeliveryPage> ListDeliveries(const v1::DeliveryFilter&,
                                                uint64_t, size_t) override {
      return DeliveryPage{.deliveries = {WithId(2), WithId(1)}};
    }
    void Tell(uint64_t id) {
      tail_({std::make_shared<const v1::Delivery>(WithId(id))});
    }

   private:
    static v1::Delivery WithId(uint64_t id) {
      v1::Delivery delivery;
      delivery.set_id(id);
      return delivery;
    }
    DeliveryTail tail_;
  };
  HeldLog log;
  DeliveryBroadcast broadcast(log);
  broadcast.Start();
  const auto watch = broadcast.Watch({}, [] {});
  log.Tell(1);
  ASSERT_TRUE(watch->ReadLog(10, kGoOn).ok());
  log.Tell(2);
  log.Tell(3);
  EXPECT_THAT(Ids(watch->Take(10)), ElementsAre(1, 2, 3));
  watch->Cancel();
}

TEST_F(DeliveryBroadcastTest, OfTheLogTheNewestCome) {
  Deliver(1, 9);
  const auto watch = Watch("after_id: 1");
  ASSERT_TRUE(watch->ReadLog(3, kGoOn).ok());
  EXPECT_THAT(Ids(watch->Take(100)), ElementsAre(7, 8, 9));
  watch->Cancel();
}

// What was lost from the buffer while the log was read is in the log.
TEST_F(DeliveryBroadcastTest, NothingIsCountedAsSkippedThatTheLogBrings) {
  const auto watch = Watch("after_id: 1");
  Deliver(1, 6000);
  ASSERT_TRUE(watch->ReadLog(6000, kGoOn).ok());
  const DeliveryNews news = watch->Take(6000);
  EXPECT_EQ(news.skipped, 0u);
  ASSERT_EQ(news.deliveries.size(), 5999u);
  EXPECT_EQ(news.deliveries.front()->id(), 2u);
  EXPECT_EQ(news.deliveries.back()->id(), 6000u);
  watch->Cancel();
}

TEST_F(DeliveryBroadcastTest, WatchesThatBeginWhileDeliveriesComeMissNone) {
  constexpr uint64_t kCount = 400;
  std::atomic<uint64_t> delivered = 0;
  std::thread producer([&] {
    for (uint64_t n = 1; n <= kCount; ++n) {
      Deliver(n);
      delivered = n;
    }
  });
  while (delivered < kCount) {
    const uint64_t after = delivered;
    if (after == 0) continue;
    const auto watch = Watch(absl::StrCat("after_id: ", after));
    ASSERT_TRUE(watch->ReadLog(kCount, kGoOn).ok());
    const uint64_t until = delivered;
    std::vector<uint64_t> ids;
    WaitFor([&] {
      for (const uint64_t id : Ids(watch->Take(kCount))) ids.push_back(id);
      return (ids.empty() ? after : ids.back()) >= until;
    });
    for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], after + 1 + i);
    watch->Cancel();
  }
  producer.join();
}

TEST_F(DeliveryBroadcastTest, ThereIsALimitThatCancellingMakesRoomIn) {
  std::vector<std::shared_ptr<DeliveryWatch>> watches;
  for (size_t i = 0; i < DeliveryBroadcast::kMaxWatches; ++i) {
    watches.push_back(Watch());
    ASSERT_NE(watches.back(), nullptr);
  }
  EXPECT_EQ(Watch(), nullptr);
  watches.back()->Cancel();
  watches.back() = Watch();
  EXPECT_NE(watches.back(), nullptr);
  for (const auto& watch : watches) watch->Cancel();
  Deliver(1);
  EXPECT_THAT(Ids(watches[0]->Take(10)), IsEmpty());
}

}  // namespace
}  // namespace waggle
