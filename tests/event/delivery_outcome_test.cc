#include "event/delivery_outcome.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;

// Dashboards and alerts go by them.
TEST(DeliveryOutcome, NamesStayAsTheyAre) {
  std::vector<std::string> names;
  for (int i = 0; i < v1::DeliveryOutcome_ARRAYSIZE; ++i) {
    names.emplace_back(Name(static_cast<v1::DeliveryOutcome>(i)));
  }
  EXPECT_THAT(
      names,
      ElementsAre("unspecified", "accepted", "duplicate", "unauthenticated",
                  "not_found", "method_not_allowed", "too_large",
                  "header_too_large", "malformed", "timeout", "overloaded",
                  "unavailable", "draining", "throttled", "handshake_failed"));
}

TEST(DeliveryOutcome, OneThatIsNotKnownIsUnspecified) {
  EXPECT_EQ(Name(static_cast<v1::DeliveryOutcome>(-1)), "unspecified");
  EXPECT_EQ(Name(static_cast<v1::DeliveryOutcome>(1000)), "unspecified");
}

}  // namespace
}  // namespace waggle
