#include "base/rate_limiter.h"

#include <string>

#include "gtest/gtest.h"

namespace waggle {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const RateLimiter::TimePoint kStart(std::chrono::hours(1));

TEST(RateLimiter, GivesTheBurstAndThenTheRate) {
  RateLimiter limiter({.per_second = 10, .burst = 3});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Take("a", kStart));
  EXPECT_FALSE(limiter.Take("a", kStart));
  EXPECT_FALSE(limiter.Take("a", kStart + milliseconds(99)));
  EXPECT_TRUE(limiter.Take("a", kStart + milliseconds(101)));
  EXPECT_FALSE(limiter.Take("a", kStart + milliseconds(101)));
}

TEST(RateLimiter, KeepsNoMoreThanTheBurst) {
  RateLimiter limiter({.per_second = 10, .burst = 3});
  ASSERT_TRUE(limiter.Take("a", kStart));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(limiter.Take("a", kStart + seconds(1000)));
  }
  EXPECT_FALSE(limiter.Take("a", kStart + seconds(1000)));
}

TEST(RateLimiter, KeysDoNotTakeFromEachOther) {
  RateLimiter limiter({.per_second = 1, .burst = 1});
  EXPECT_TRUE(limiter.Take("a", kStart));
  EXPECT_FALSE(limiter.Take("a", kStart));
  EXPECT_TRUE(limiter.Take("b", kStart));
}

TEST(RateLimiter, ExhaustedTakesNothing) {
  RateLimiter limiter({.per_second = 1, .burst = 1});
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limiter.Exhausted("a", kStart));
  EXPECT_EQ(limiter.size(), 0);
  ASSERT_TRUE(limiter.Take("a", kStart));
  EXPECT_TRUE(limiter.Exhausted("a", kStart));
  EXPECT_FALSE(limiter.Exhausted("a", kStart + seconds(1)));
}

TEST(RateLimiter, TimeThatGoesBackGivesNothing) {
  RateLimiter limiter({.per_second = 1, .burst = 1});
  ASSERT_TRUE(limiter.Take("a", kStart));
  EXPECT_FALSE(limiter.Take("a", kStart - seconds(10)));
  EXPECT_FALSE(limiter.Take("a", kStart));
}

TEST(RateLimiter, RemembersNoMoreThanMaxKeys) {
  RateLimiter limiter({.per_second = 1, .burst = 2, .max_keys = 100});
  for (int i = 0; i < 1000; ++i) {
    limiter.Take(std::to_string(i), kStart);
  }
  EXPECT_EQ(limiter.size(), 100);
  // Those beyond share a bucket, which is empty.
  EXPECT_FALSE(limiter.Take("new", kStart));
  EXPECT_TRUE(limiter.Exhausted("new", kStart));
  // Once the others' buckets are full again there is room.
  EXPECT_TRUE(limiter.Take("new", kStart + seconds(10)));
  EXPECT_EQ(limiter.size(), 1);
}

TEST(AddressKey, IsTheAddressOfIPv4AndTheNetworkOfIPv6) {
  EXPECT_EQ(AddressKey("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(AddressKey("::ffff:192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(AddressKey("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(AddressKey("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
  EXPECT_EQ(AddressKey("::1"), "::/64");
  EXPECT_EQ(AddressKey(""), "");
  EXPECT_EQ(AddressKey("unix:/x"), "unix:/x");
}

}  // namespace
}  // namespace waggle
