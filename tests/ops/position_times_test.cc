#include "ops/position_times.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace waggle {
namespace {

absl::Time At(int64_t second) { return absl::FromUnixSeconds(second); }

TEST(PositionTimesTest, KnowsNothingOfWhatWasNotAdded) {
  PositionTimes times;
  EXPECT_FALSE(times.After(Sequence(0)).has_value());
  times.Add(Sequence(5), At(10));
  EXPECT_FALSE(times.After(Sequence(5)).has_value());
}

TEST(PositionTimesTest, TellsWhenTheNextEventHadBeenStored) {
  PositionTimes times;
  times.Add(Sequence(5), At(10));
  times.Add(Sequence(8), At(11));
  EXPECT_EQ(times.After(Sequence(0)), At(10));
  EXPECT_EQ(times.After(Sequence(4)), At(10));
  EXPECT_EQ(times.After(Sequence(5)), At(11));
  EXPECT_EQ(times.After(Sequence(7)), At(11));
}

TEST(PositionTimesTest, WhatDoesNotGoOnIsLeftOut) {
  PositionTimes times;
  times.Add(Sequence(5), At(10));
  times.Add(Sequence(5), At(20));
  times.Add(Sequence(9), At(9));
  EXPECT_EQ(times.size(), 1u);
  EXPECT_EQ(times.After(Sequence(4)), At(10));
}

TEST(PositionTimesTest, IsBoundedAndStaysExactForTheNewest) {
  PositionTimes times;
  constexpr int64_t kCount = 100'000;
  for (int64_t n = 1; n <= kCount; ++n) {
    times.Add(Sequence(static_cast<uint64_t>(n)), At(n));
    ASSERT_LE(times.size(), PositionTimes::kMaxEntries);
  }
  for (int64_t n = kCount - 1000; n < kCount; ++n) {
    EXPECT_EQ(times.After(Sequence(static_cast<uint64_t>(n))), At(n + 1));
  }
  // Of the oldest, only that it is old.
  const auto oldest = times.After(Sequence(0));
  ASSERT_TRUE(oldest.has_value());
  EXPECT_LT(*oldest, At(kCount / 2));
}

}  // namespace
}  // namespace waggle
