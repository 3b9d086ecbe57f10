#include "ingest/delivery_recorder.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "event/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/recorded_deliveries.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;

class DeliveryRecorderTest : public ::testing::Test {
 protected:
  static constexpr size_t kRate = 3;

  v1::Delivery Refused(const std::string& key_fingerprint = "") {
    v1::Delivery delivery;
    delivery.set_endpoint("production");
    delivery.set_key_fingerprint(key_fingerprint);
    return delivery;
  }

  void Record(size_t count, const std::string& key_fingerprint = "") {
    for (size_t i = 0; i < count; ++i) {
      recorder_.Record(Refused(key_fingerprint), now_);
    }
  }

  void ExpectUnrecorded(int count) {
    EXPECT_THAT(metrics_.Serialize(),
                HasSubstr("waggle_deliveries_unrecorded_total " +
                          std::to_string(count) + "\n"));
  }

  RateLimiter::TimePoint now_{std::chrono::hours(1)};
  FakeClock clock_;
  Metrics metrics_;
  RecordedDeliveries log_;
  DeliveryRecorder recorder_{kRate, log_, clock_, metrics_};
};

TEST_F(DeliveryRecorderTest, RecordsUpToTheRateAndCountsTheRest) {
  Record(kRate + 4);
  EXPECT_EQ(log_.all().size(), kRate);
  ExpectUnrecorded(4);
  now_ += std::chrono::seconds(1);
  Record(2);
  ASSERT_EQ(log_.all().size(), kRate + 2);
  EXPECT_EQ(log_.all()[kRate - 1].unrecorded_before(), 0u);
  EXPECT_EQ(log_.all()[kRate].unrecorded_before(), 4u);
  EXPECT_EQ(log_.all()[kRate + 1].unrecorded_before(), 0u);
  ExpectUnrecorded(4);
}

TEST_F(DeliveryRecorderTest, StrangersDoNotPushOutWhatIsAuthentic) {
  Record(100);
  Record(kRate, "fingerprint");
  ASSERT_EQ(log_.all().size(), 2 * kRate);
  EXPECT_EQ(log_.all().back().key_fingerprint(), "fingerprint");
}

TEST_F(DeliveryRecorderTest, WhatTheLogCannotTakeIsCountedToo) {
  log_.SetFull(true);
  Record(2);
  log_.SetFull(false);
  Record(1);
  ASSERT_EQ(log_.all().size(), 1u);
  EXPECT_EQ(log_.all()[0].unrecorded_before(), 2u);
  ExpectUnrecorded(2);
}

TEST_F(DeliveryRecorderTest, FillsInTheTimeWhereThereIsNone) {
  v1::Delivery timed = Refused();
  timed.mutable_received_at()->set_seconds(7);
  recorder_.Record(timed, now_);
  Record(1);
  EXPECT_EQ(log_.all()[0].received_at().seconds(), 7);
  EXPECT_EQ(ToTime(log_.all()[1].received_at()), clock_.Now());
}

TEST_F(DeliveryRecorderTest, ARateOfZeroRecordsNothing) {
  DeliveryRecorder none(0, log_, clock_, metrics_);
  none.Record(Refused(), now_);
  none.Record(Refused("fingerprint"), now_ + std::chrono::hours(1));
  EXPECT_TRUE(log_.all().empty());
  ExpectUnrecorded(2);
}

TEST_F(DeliveryRecorderTest, FromManyThreadsNoneIsLostToTheCount) {
  constexpr size_t kThreads = 4;
  constexpr size_t kEach = 1000;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] { Record(kEach); });
  }
  for (std::thread& thread : threads) thread.join();
  now_ += std::chrono::seconds(1);
  Record(1);
  uint64_t accounted = 0;
  for (const v1::Delivery& delivery : log_.all()) {
    accounted += 1 + delivery.unrecorded_before();
  }
  EXPECT_EQ(accounted, kThreads * kEach + 1);
}

}  // namespace
}  // namespace waggle
