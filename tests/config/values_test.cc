#include "config/values.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "config/suggest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidcheck.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;

TEST(DurationTest, ReadsEveryUnitThatIsDocumented) {
  EXPECT_EQ(*DurationFromText("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(*DurationFromText("30s"), absl::Seconds(30));
  EXPECT_EQ(*DurationFromText("10m"), absl::Minutes(10));
  EXPECT_EQ(*DurationFromText("1h30m"), absl::Minutes(90));
  EXPECT_EQ(*DurationFromText("0s"), absl::ZeroDuration());
}

TEST(DurationTest, RefusesWhatIsNotAFiniteDurationFromZeroUp) {
  for (const char* text :
       {"", "10", "s", "-1s", "10 s", "7d", "inf", "-inf", "1s ", "tenseconds",
        "0x10s", "99999999999999999h"}) {
    const auto result = DurationFromText(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("30s"));
  }
}

TEST(DurationTest, SurvivesBeingWrittenAndRead) {
  EXPECT_TRUE(rc::check([](uint32_t milliseconds) {
    const absl::Duration duration = absl::Milliseconds(milliseconds);
    RC_ASSERT(*DurationFromText(DurationToText(duration)) == duration);
  }));
}

TEST(SizeTest, ReadsEveryUnitThatIsDocumented) {
  EXPECT_EQ(*SizeFromText("0"), 0u);
  EXPECT_EQ(*SizeFromText("1000"), 1000u);
  EXPECT_EQ(*SizeFromText("64KiB"), 65536u);
  EXPECT_EQ(*SizeFromText("1MiB"), 1048576u);
  EXPECT_EQ(*SizeFromText("10GiB"), 10737418240u);
  EXPECT_EQ(*SizeFromText("2TiB"), 2199023255552u);
  EXPECT_EQ(*SizeFromText("18446744073709551615"),
            std::numeric_limits<uint64_t>::max());
}

TEST(SizeTest, RefusesOtherUnitsSignsFractionsAndOverflow) {
  for (const char* text :
       {"", "KiB", "1MB", "1M", "1kib", "-1", "+1", "1.5GiB", "1 MiB", " 1",
        "18446744073709551616", "16777216TiB", "0x10"}) {
    const auto result = SizeFromText(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("1MiB"));
  }
}

TEST(SizeTest, SurvivesBeingWrittenAndRead) {
  EXPECT_TRUE(rc::check([](uint64_t bytes) {
    // Shifted, so that all units come up.
    const uint64_t size = bytes << *rc::gen::inRange(0, 50);
    RC_ASSERT(*SizeFromText(SizeToText(size)) == size);
  }));
}

TEST(HostPortTest, ReadsAddressesNamesAndAllInterfaces) {
  EXPECT_EQ(*HostPortFromText("127.0.0.1:8080"), (HostPort{"127.0.0.1", 8080}));
  EXPECT_EQ(*HostPortFromText("0.0.0.0:0"), (HostPort{"0.0.0.0", 0}));
  EXPECT_EQ(*HostPortFromText("localhost:65535"),
            (HostPort{"localhost", 65535}));
  EXPECT_EQ(*HostPortFromText("[::1]:8080"), (HostPort{"::1", 8080}));
  EXPECT_EQ(*HostPortFromText(":8080"), (HostPort{"::", 8080}));
}

TEST(HostPortTest, RefusesEverythingElse) {
  for (const char* text : {"",
                           ":",
                           "8080",
                           "localhost",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:http",
                           "127.0.0.1:+80",
                           "256.0.0.1:80",
                           "1.2.3:80",
                           "::1:8080",
                           "[::1]",
                           "[127.0.0.1]:80",
                           "[::1:80",
                           "[]:80",
                           "a b:80",
                           "-a:80",
                           "http://localhost:80",
                           "localhost:80/"}) {
    const auto result = HostPortFromText(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_THAT(std::string(result.status().message()),
                HasSubstr("127.0.0.1:8080"));
  }
}

TEST(HostPortTest, SurvivesBeingWrittenAndRead) {
  for (const HostPort& listen :
       {HostPort{"127.0.0.1", 1}, HostPort{"::1", 2}, HostPort{"::", 3},
        HostPort{"gateway.example", 4}}) {
    EXPECT_EQ(*HostPortFromText(listen.ToString()), listen);
  }
}

TEST(HostPortTest, KnowsLoopback) {
  for (const char* host : {"127.0.0.1", "127.8.9.1", "::1", "localhost"}) {
    EXPECT_TRUE((HostPort{host, 80}.IsLoopback())) << host;
  }
  for (const char* host :
       {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "example.com",
        "localhost.example.com", "127.example.com", "::ffff:127.0.0.1"}) {
    EXPECT_FALSE((HostPort{host, 80}.IsLoopback())) << host;
  }
}

TEST(DidYouMeanTest, NamesTheNearestCandidate) {
  const std::vector<std::string> candidates = {"listen", "linger", "level"};
  EXPECT_EQ(DidYouMean("lisen", candidates), "; did you mean \"listen\"?");
  EXPECT_EQ(DidYouMean("lingr", candidates), "; did you mean \"linger\"?");
}

TEST(DidYouMeanTest, IsSilentWhenNothingIsNear) {
  const std::vector<std::string> candidates = {"listen", "id"};
  EXPECT_EQ(DidYouMean("endpoints", candidates), "");
  EXPECT_EQ(DidYouMean("x", candidates), "");
  EXPECT_EQ(DidYouMean("", candidates), "");
  EXPECT_EQ(DidYouMean(std::string(10'000'000, 'l'), candidates), "");
}

}  // namespace
}  // namespace waggle
