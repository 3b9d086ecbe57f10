#include "security/rights.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "event/event_types.h"
#include "event/event_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"
#include "tests/fakes/from_text.h"
#include "tests/fakes/naive_filter.h"
#include "tests/fakes/random_events.h"

namespace waggle {
namespace {

using config::v1::AllowList;
using ::testing::HasSubstr;
using ::testing::Not;

FilterProtos Filters(const std::string& text) {
  return FromText<v1::SubscribeRequest>(text).filters();
}

Rights Reader(const std::string& allow) {
  return {.allow = FromText<AllowList>(allow)};
}

// "right@field" of what is missing; "" if nothing is.
std::string Missing(const Rights& rights, const std::string& filters,
                    bool include_payload = false) {
  const auto missing = rights.MissingFor(Filters(filters), include_payload);
  if (!missing.has_value()) return "";
  EXPECT_FALSE(missing->description.empty());
  return missing->right + "@" + missing->field;
}

bool Passes(const Rights& rights, const FilterProtos& filters,
            const v1::Event& event) {
  const std::string bytes = event.SerializeAsString();
  EventView view;
  EXPECT_TRUE(EventView::Parse(bytes, view));
  return Filter::Compile(rights.Restrict(filters))->Matches(view);
}

TEST(CapabilityTest, NamesAreThoseOfTheAccessFile) {
  for (const char* name :
       {"personal_data", "raw_payload", "deliveries", "admin"}) {
    const auto capability = CapabilityFromName(name);
    ASSERT_TRUE(capability.has_value()) << name;
    EXPECT_EQ(Name(*capability), name);
  }
  EXPECT_FALSE(CapabilityFromName("").has_value());
  EXPECT_FALSE(CapabilityFromName("Admin").has_value());
}

TEST(RightsTest, NoneByDefault) {
  const Rights none;
  EXPECT_EQ(Missing(none, ""), "events@");
  EXPECT_EQ(Missing(none, "filters { endpoints: 'a' }", true), "events@");
  EXPECT_FALSE(none.Has(Capability::kPersonalData));
  EXPECT_FALSE(none.Has(Capability::kRawPayload));
  EXPECT_FALSE(none.Has(Capability::kDeliveries));
  EXPECT_FALSE(none.Has(Capability::kAdmin));
}

TEST(RightsTest, AllIsEverything) {
  const Rights all = Rights::All();
  EXPECT_EQ(Missing(all, "", true), "");
  EXPECT_EQ(Missing(all, "filters { types: [ 1 ] models: 'x' }", true), "");
  EXPECT_TRUE(all.Has(Capability::kPersonalData));
  EXPECT_TRUE(all.Has(Capability::kRawPayload));
  EXPECT_TRUE(all.Has(Capability::kDeliveries));
  EXPECT_TRUE(all.Has(Capability::kAdmin));
  EXPECT_TRUE(Filter::Compile(all.Restrict({}))->matches_all());
}

TEST(RightsTest, ARequestWithoutFiltersAsksForWhatIsAllowed) {
  EXPECT_EQ(Missing(Reader("endpoints: 'eu' connector_ids: 'c'"), ""), "");
}

TEST(RightsTest, EveryFilterMustNameValuesThatAreAllowed) {
  const Rights eu = Reader("endpoints: ['eu', 'us']");
  EXPECT_EQ(Missing(eu, "filters { endpoints: 'eu' }"), "");
  EXPECT_EQ(Missing(eu, "filters { endpoints: ['us', 'eu'] models: 'x' }"), "");
  EXPECT_EQ(Missing(eu, "filters { endpoints: ['eu', 'asia'] }"),
            "endpoints@filters[0].endpoints[1]");
  EXPECT_EQ(Missing(eu, "filters { }"), "endpoints@filters[0].endpoints");
  EXPECT_EQ(Missing(eu,
                    "filters { endpoints: 'eu' } filters { models: 'x' "
                    "connector_ids: 'c' }"),
            "endpoints@filters[1].endpoints");
}

TEST(RightsTest, EveryDimensionOfTheAllowListCounts) {
  for (const char* field :
       {"endpoints", "connector_ids", "origin_ids", "integration_slugs"}) {
    const std::string name = field;
    const Rights rights = Reader(name + ": 'a'");
    EXPECT_EQ(Missing(rights, "filters { " + name + ": 'a' }"), "");
    EXPECT_EQ(Missing(rights, "filters { " + name + ": 'b' }"),
              name + "@filters[0]." + name + "[0]");
    EXPECT_EQ(Missing(rights, "filters { " + name + ": 'A' }"),
              name + "@filters[0]." + name + "[0]");
    EXPECT_EQ(Missing(rights, "filters { models: 'a' }"),
              name + "@filters[0]." + name);
  }
}

TEST(RightsTest, EventTypesAreNamedInTwoWays) {
  const Rights rights =
      Reader("event_types: ['employee_data_changed', 'new_event']");
  EXPECT_EQ(Missing(rights, "filters { types: EVENT_TYPE_EMPLOYEES_CHANGED }"),
            "");
  EXPECT_EQ(Missing(rights, "filters { type_names: 'new_event' }"), "");
  EXPECT_EQ(Missing(rights,
                    "filters { types: [EVENT_TYPE_EMPLOYEES_CHANGED, "
                    "EVENT_TYPE_SYNC_FAILED] }"),
            "event_types@filters[0].types[1]");
  EXPECT_EQ(Missing(rights, "filters { type_names: 'connector_synced' }"),
            "event_types@filters[0].type_names[0]");
  EXPECT_EQ(Missing(rights,
                    "filters { types: EVENT_TYPE_EMPLOYEES_CHANGED "
                    "type_names: 'connector_synced' }"),
            "event_types@filters[0].type_names[0]");
  EXPECT_EQ(Missing(rights, "filters { endpoints: 'a' }"),
            "event_types@filters[0].types");
}

TEST(RightsTest, PayloadsTakeTwoCapabilities) {
  Rights rights = Reader("");
  EXPECT_EQ(Missing(rights, "", false), "");
  EXPECT_EQ(Missing(rights, "", true), "raw_payload@include_payload");
  rights.raw_payload = true;
  EXPECT_EQ(Missing(rights, "", true), "personal_data@include_payload");
  rights.personal_data = true;
  EXPECT_EQ(Missing(rights, "", true), "");
  rights.raw_payload = false;
  EXPECT_EQ(Missing(rights, "", true), "raw_payload@include_payload");
}

TEST(RightsTest, DescriptionsNeverTellWhatIsAllowed) {
  const Rights rights = Reader(
      "endpoints: 'hidden' event_types: 'hidden' connector_ids: 'hidden'");
  for (const char* filters : {"filters { }", "filters { endpoints: 'a' }",
                              "filters { types: [ 1 ] }"}) {
    const auto missing = rights.MissingFor(Filters(filters), false);
    ASSERT_TRUE(missing.has_value());
    EXPECT_THAT(missing->description, Not(HasSubstr("hidden")));
  }
}

TEST(RightsTest, WhatNothingIsLeftOfMatchesNothing) {
  RandomEvents random(7);
  for (const auto& [allow, filters] :
       {std::pair<const char*, const char*>{"endpoints: 'x'",
                                            "filters { endpoints: 'y' }"},
        {"event_types: 'x' connector_ids: 'y'",
         "filters { connector_ids: 'a' } filters { type_names: 'z' }"}}) {
    for (int i = 0; i < 100; ++i) {
      EXPECT_FALSE(Passes(Reader(allow), Filters(filters), random.Event()));
    }
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(Passes(Rights(), {}, random.Event()));
  }
  EXPECT_FALSE(Passes(Rights(), {}, v1::Event()));
}

TEST(RightsTest, CoverComparesCapabilitiesThatReadEvents) {
  EXPECT_TRUE(Rights::All().Cover(Rights()));
  EXPECT_TRUE(Rights().Cover(Rights()));
  EXPECT_FALSE(Rights().Cover(Reader("")));
  Rights reader = Reader("");
  EXPECT_FALSE(reader.Cover(Rights::All()));
  reader.personal_data = true;
  EXPECT_FALSE(reader.Cover(Rights::All()));
  reader.raw_payload = true;
  EXPECT_TRUE(reader.Cover(Rights::All()));
}

TEST(RightsTest, CoverComparesAllowLists) {
  EXPECT_TRUE(Reader("endpoints: ['a', 'b']").Cover(Reader("endpoints: 'b'")));
  EXPECT_FALSE(Reader("endpoints: 'b'").Cover(Reader("endpoints: ['a', 'b']")));
  EXPECT_FALSE(Reader("endpoints: 'b'").Cover(Reader("")));
  EXPECT_FALSE(Reader("endpoints: 'b'").Cover(Reader("connector_ids: 'b'")));
}

// --- Properties. ---

// Events as the decoder makes them: the type is that of the name.
v1::Event ConsistentEvent(RandomEvents& random) {
  v1::Event event = random.Event();
  event.set_type(v1::EVENT_TYPE_UNSPECIFIED);
  const auto names = EventTypeNames();
  if (!random.OneIn(3)) {
    const EventTypeName& known = names[random.Below(names.size())];
    event.set_type_name(std::string(known.name));
  }
  for (const EventTypeName& known : names) {
    if (event.type_name() == known.name) event.set_type(known.type);
  }
  return event;
}

std::string TypeName(RandomEvents& random) {
  const auto names = EventTypeNames();
  const uint64_t i = random.Below(names.size() + 1);
  return i < names.size() ? std::string(names[i].name) : "a";
}

FilterProtos RandomFilters(RandomEvents& random) {
  FilterProtos filters = random.Filters();
  for (v1::EventFilter& filter : filters) {
    for (std::string& name : *filter.mutable_type_names()) {
      name = TypeName(random);
    }
  }
  return filters;
}

// What an allow-list says, as a filter.
v1::EventFilter AsFilter(const AllowList& allow) {
  v1::EventFilter filter;
  *filter.mutable_endpoints() = allow.endpoints();
  *filter.mutable_type_names() = allow.event_types();
  *filter.mutable_connector_ids() = allow.connector_ids();
  *filter.mutable_origin_ids() = allow.origin_ids();
  *filter.mutable_integration_slugs() = allow.integration_slugs();
  return filter;
}

AllowList RandomAllowList(RandomEvents& random) {
  const v1::EventFilter filter = random.Filter();
  AllowList allow;
  *allow.mutable_endpoints() = filter.endpoints();
  for (int i = 0; i < filter.type_names_size(); ++i) {
    allow.add_event_types(TypeName(random));
  }
  *allow.mutable_connector_ids() = filter.connector_ids();
  *allow.mutable_origin_ids() = filter.origin_ids();
  *allow.mutable_integration_slugs() = filter.integration_slugs();
  return allow;
}

RC_GTEST_PROP(RightsProperty, RestrictIsTheExactConjunction, (uint64_t seed)) {
  RandomEvents random(seed);
  const FilterProtos filters = RandomFilters(random);
  const Rights rights{.allow = RandomAllowList(random)};
  const v1::EventFilter allowed = AsFilter(*rights.allow);
  const auto restricted = Filter::Compile(rights.Restrict(filters));
  for (int i = 0; i < 100; ++i) {
    // Also events whose type and name disagree.
    const v1::Event event =
        random.OneIn(2) ? random.Event() : ConsistentEvent(random);
    const std::string bytes = event.SerializeAsString();
    EventView view;
    RC_ASSERT(EventView::Parse(bytes, view));
    RC_ASSERT(restricted->Matches(view) == (naive::Matches(filters, event) &&
                                            naive::Matches(allowed, event)));
  }
}

// A filter that often lacks nothing of the allow-list.
v1::EventFilter RandomFilterWithin(const AllowList& allow,
                                   RandomEvents& random) {
  v1::EventFilter filter = random.Filter();
  const v1::EventFilter allowed = AsFilter(allow);
  if (random.OneIn(4)) return filter;
  const auto pick = [&random](const auto& from, auto* to) {
    if (from.empty()) return;
    to->Clear();
    *to->Add() = from[static_cast<int>(random.Below(from.size()))];
  };
  pick(allowed.endpoints(), filter.mutable_endpoints());
  pick(allowed.connector_ids(), filter.mutable_connector_ids());
  pick(allowed.origin_ids(), filter.mutable_origin_ids());
  pick(allowed.integration_slugs(), filter.mutable_integration_slugs());
  pick(allowed.type_names(), filter.mutable_type_names());
  if (random.OneIn(2)) filter.clear_types();
  for (const EventTypeName& known : EventTypeNames()) {
    if (random.OneIn(2) && filter.type_names_size() == 1 &&
        filter.type_names(0) == known.name) {
      filter.clear_type_names();
      filter.clear_types();
      filter.add_types(known.type);
      break;
    }
  }
  return filter;
}

RC_GTEST_PROP(RightsProperty, WhatLacksNothingIsNotRestricted,
              (uint64_t seed)) {
  RandomEvents random(seed);
  const Rights rights{.allow = RandomAllowList(random)};
  FilterProtos filters;
  for (uint64_t n = 1 + random.Below(2); n > 0; --n) {
    *filters.Add() = RandomFilterWithin(*rights.allow, random);
  }
  const bool lacks_nothing = !rights.MissingFor(filters, false).has_value();
  RC_CLASSIFY(lacks_nothing);
  if (!lacks_nothing) return;
  const auto restricted = Filter::Compile(rights.Restrict(filters));
  for (int i = 0; i < 100; ++i) {
    const v1::Event event = ConsistentEvent(random);
    const std::string bytes = event.SerializeAsString();
    EventView view;
    RC_ASSERT(EventView::Parse(bytes, view));
    RC_ASSERT(restricted->Matches(view) == naive::Matches(filters, event));
  }
}

RC_GTEST_PROP(RightsProperty, WhatIsCoveredIsAllowed, (uint64_t seed)) {
  RandomEvents random(seed);
  const AllowList a = RandomAllowList(random);
  // Often a part of `a`.
  AllowList b = random.OneIn(3) ? RandomAllowList(random) : a;
  if (b.endpoints_size() > 1) b.mutable_endpoints()->RemoveLast();
  if (random.OneIn(3)) b.add_connector_ids("a");
  const bool covers = Rights{.allow = a}.Cover(Rights{.allow = b});
  RC_CLASSIFY(covers);
  if (!covers) return;
  for (int i = 0; i < 100; ++i) {
    const v1::Event event = ConsistentEvent(random);
    if (naive::Matches(AsFilter(b), event)) {
      RC_ASSERT(naive::Matches(AsFilter(a), event));
    }
  }
}

}  // namespace
}  // namespace waggle
