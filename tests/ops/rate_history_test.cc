#include "ops/rate_history.h"

#include "event/proto_time.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_clock.h"

namespace waggle {
namespace {

class RateHistoryTest : public ::testing::Test {
 protected:
  void Step() {
    clock_.Advance(RateHistory::kStep);
    rates_.Sample();
  }

  FakeClock clock_;
  v1::RatePoint totals_;
  RateHistory rates_{[this] { return totals_; }, clock_};
};

TEST_F(RateHistoryTest, EachPointIsWhatCameInItsTime) {
  totals_.set_accepted(100);
  rates_.Sample();
  EXPECT_TRUE(rates_.Points().empty());
  totals_.set_accepted(107);
  totals_.set_duplicates(1);
  totals_.set_refused(2);
  totals_.set_delivered(30);
  Step();
  totals_.set_delivered(31);
  Step();
  const auto points = rates_.Points();
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].accepted(), 7u);
  EXPECT_EQ(points[0].duplicates(), 1u);
  EXPECT_EQ(points[0].refused(), 2u);
  EXPECT_EQ(points[0].delivered(), 30u);
  EXPECT_EQ(points[1].accepted(), 0u);
  EXPECT_EQ(points[1].delivered(), 1u);
  EXPECT_EQ(ToTime(points[1].at()), clock_.Now());
}

TEST_F(RateHistoryTest, KeepsTheLastHour) {
  rates_.Sample();
  for (int i = 0; i < 400; ++i) Step();
  const auto points = rates_.Points();
  ASSERT_EQ(points.size(), RateHistory::kPoints);
  EXPECT_EQ(ToTime(points.front().at()),
            clock_.Now() - absl::Hours(1) + RateHistory::kStep);
}

}  // namespace
}  // namespace waggle
