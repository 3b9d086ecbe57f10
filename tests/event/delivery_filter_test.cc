#include "event/delivery_filter.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/from_text.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Fields(const v1::DeliveryFilter& filter) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : Validate(filter)) {
    EXPECT_NE(violation.description, "");
    fields.push_back(violation.field);
  }
  return fields;
}

std::vector<std::string> Fields(const std::string& text) {
  return Fields(FromText<v1::DeliveryFilter>(text));
}

TEST(DeliveryFilterTest, WhatCannotBeMeantIsNamed) {
  EXPECT_THAT(Fields(""), IsEmpty());
  EXPECT_THAT(Fields("since { seconds: 1 } until { seconds: 1 } "
                     "endpoints: 'a' outcomes: DELIVERY_OUTCOME_TIMEOUT"),
              IsEmpty());
  EXPECT_THAT(Fields("endpoints: ['a', ''] connector_ids: '' type_names: '' "
                     "event_ids: ''"),
              ElementsAre("filter.endpoints[1]", "filter.connector_ids[0]",
                          "filter.type_names[0]", "filter.event_ids[0]"));
  EXPECT_THAT(Fields("outcomes: [1, 0, 99]"),
              ElementsAre("filter.outcomes[1]", "filter.outcomes[2]"));
  EXPECT_THAT(Fields("since { nanos: -1 } until { seconds: 999999999999 }"),
              ElementsAre("filter.since", "filter.until"));
  v1::DeliveryFilter filter;
  for (int i = 0; i < 101; ++i) filter.add_event_ids(absl::StrCat(i));
  filter.add_endpoints(std::string(513, 'e'));
  EXPECT_THAT(Fields(filter),
              ElementsAre("filter.endpoints[0]", "filter.event_ids"));
}

TEST(DeliveryFilterTest, KeysDifferByWhatIsChosenAndNotByItsOrder) {
  const auto key = [](const std::string& text) {
    return KeyOf(FromText<v1::DeliveryFilter>(text));
  };
  EXPECT_EQ(key("endpoints: ['a', 'b'] outcomes: [1, 2]"),
            key("outcomes: [2, 1] endpoints: ['b', 'a']"));
  EXPECT_NE(key("endpoints: 'a'"), key("connector_ids: 'a'"));
  EXPECT_NE(key(""), key("since {}"));
}

TEST(DeliveryFilterTest, EveryFieldThatIsSetMustMatch) {
  const auto delivery = FromText<v1::Delivery>(
      "id: 7 received_at { seconds: 100 } endpoint: 'e' "
      "outcome: DELIVERY_OUTCOME_ACCEPTED connector_id: 'c' type_name: 't' "
      "event_id: 'i'");
  const auto matches = [&delivery](const std::string& text) {
    return DeliveryMatcher(FromText<v1::DeliveryFilter>(text))
        .Matches(delivery);
  };
  for (const char* text :
       {"", "since { seconds: 100 }", "until { seconds: 101 }",
        "endpoints: ['x', 'e']", "outcomes: [2, 1]", "connector_ids: 'c'",
        "type_names: 't'", "event_ids: 'i'", "after_id: 6",
        "endpoints: 'e' outcomes: 1 connector_ids: 'c' type_names: 't' "
        "event_ids: 'i' after_id: 6 since { seconds: 1 }"}) {
    EXPECT_TRUE(matches(text)) << text;
  }
  for (const char* text :
       {"since { seconds: 101 }", "until { seconds: 100 }", "endpoints: 'x'",
        "outcomes: 2", "connector_ids: 'x'", "type_names: 'x'",
        "event_ids: 'x'", "after_id: 7", "endpoints: 'e' outcomes: 2"}) {
    EXPECT_FALSE(matches(text)) << text;
  }
}

}  // namespace
}  // namespace waggle
