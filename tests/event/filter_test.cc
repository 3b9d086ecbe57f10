#include "event/filter.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"
#include "tests/fakes/from_text.h"
#include "tests/fakes/naive_filter.h"
#include "tests/fakes/random_events.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

FilterProtos Parse(const std::string& text) {
  return FromText<v1::SubscribeRequest>(text).filters();
}

std::vector<std::string> Paths(const FilterProtos& filters) {
  std::vector<std::string> paths;
  for (const FieldViolation& violation : Filter::Validate(filters)) {
    EXPECT_FALSE(violation.description.empty()) << violation.field;
    paths.push_back(violation.field);
  }
  return paths;
}

const std::string kModel = "m";

std::string KeyOf(const std::string& text) {
  return Filter::Compile(Parse(text))->key();
}

RC_GTEST_PROP(FilterProperty, MatchesWhatANaiveEvaluatorMatches,
              (uint64_t seed)) {
  RandomEvents random(seed);
  const FilterProtos filters = random.Filters();
  RC_ASSERT(Filter::Validate(filters).empty());
  const std::shared_ptr<const Filter> filter = Filter::Compile(filters);
  for (int i = 0; i < 200; ++i) {
    const v1::Event event = random.Event();
    const std::string bytes = event.SerializeAsString();
    EventView view;
    RC_ASSERT(EventView::Parse(bytes, view));
    const bool expected = naive::Matches(filters, event);
    RC_ASSERT(filter->Matches(view) == expected);
    if (filter->matches_all()) RC_ASSERT(expected);
  }
}

RC_GTEST_PROP(FilterProperty, EqualKeysMatchTheSame, (uint64_t seed)) {
  RandomEvents random(seed);
  const FilterProtos a = random.Filters();
  const FilterProtos b = random.Filters();
  if (Filter::Compile(a)->key() != Filter::Compile(b)->key()) return;
  for (int i = 0; i < 40; ++i) {
    const v1::Event event = random.Event();
    RC_ASSERT(naive::Matches(a, event) == naive::Matches(b, event));
  }
}

// Else the property above would say little.
TEST(Filter, RandomFiltersHitAndMissRandomEvents) {
  RandomEvents random(1);
  int hits = 0;
  constexpr int kTries = 10'000;
  for (int i = 0; i < kTries; ++i) {
    FilterProtos filters;
    while (filters.empty() || filters[0].ByteSizeLong() == 0) {
      filters = random.Filters();
    }
    hits += naive::Matches(filters, random.Event()) ? 1 : 0;
  }
  EXPECT_GT(hits, kTries / 10);
  EXPECT_LT(hits, kTries * 9 / 10);
}

TEST(Filter, NoFilterAndAnEmptyOneMatchAll) {
  EXPECT_TRUE(Filter::Compile(Parse(""))->matches_all());
  EXPECT_TRUE(Filter::Compile(Parse("filters {}"))->matches_all());
  EXPECT_TRUE(
      Filter::Compile(Parse("filters { types: [EVENT_TYPE_SYNC_FAILED] } "
                            "filters {}"))
          ->matches_all());
  EXPECT_FALSE(
      Filter::Compile(Parse("filters { endpoints: 'a' }"))->matches_all());
}

TEST(Filter, AnEventWithoutModelsDoesNotMatchAFilterOfModels) {
  const auto filter = Filter::Compile(Parse("filters { models: 'm' }"));
  EXPECT_FALSE(filter->Matches(EventView()));
}

TEST(Filter, StringsAreComparedByteByByte) {
  const auto filter = Filter::Compile(Parse("filters { endpoints: 'Main' }"));
  const auto matches = [&](std::string_view endpoint) {
    EventView view;
    view.endpoint = endpoint;
    return filter->Matches(view);
  };
  EXPECT_TRUE(matches("Main"));
  EXPECT_FALSE(matches("main"));
  EXPECT_FALSE(matches("Main "));
  EXPECT_FALSE(matches("Mai"));
  EXPECT_FALSE(matches(""));
}

TEST(FilterKey, IsEqualForTheSameValuesInAnyOrderAndNumber) {
  EXPECT_EQ(KeyOf("filters { endpoints: ['a', 'b'] categories: [1, 2] }"),
            KeyOf("filters { categories: [2, 1, 2] endpoints: ['b', 'a'] }"));
  EXPECT_EQ(KeyOf(""), KeyOf("filters { endpoints: 'a' } filters {}"));
}

TEST(FilterKey, DiffersForFiltersThatMightBeMixedUp) {
  const std::vector<std::string> texts = {
      "",
      "filters { endpoints: 'a' }",
      "filters { endpoints: 'b' }",
      "filters { models: 'a' }",
      "filters { type_names: 'a' }",
      "filters { connector_ids: 'a' }",
      "filters { origin_ids: 'a' }",
      "filters { integration_slugs: 'a' }",
      "filters { endpoints: ['a', 'b'] }",
      "filters { endpoints: 'a' } filters { endpoints: 'b' }",
      "filters { endpoints: 'a,1:b' }",
      "filters { endpoints: 'a,' endpoints: 'b' }",
      "filters { endpoints: '1:a' }",
      "filters { endpoints: 'a' models: 'b' }",
      "filters { endpoints: 'a' } filters { models: 'b' }",
      "filters { types: [1] }",
      "filters { categories: [1] }",
      "filters { sync_types: [1] }",
      "filters { connector_statuses: [1] }",
      "filters { types: [1, 2] }",
      "filters { types: [1] categories: [2] }",
  };
  for (size_t i = 0; i < texts.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NE(KeyOf(texts[i]), KeyOf(texts[j]))
          << texts[i] << " and " << texts[j];
    }
  }
}

struct InvalidCase {
  std::string name;
  std::string filters;
  std::vector<std::string> paths;
};

class FilterValidation : public ::testing::TestWithParam<InvalidCase> {};

TEST_P(FilterValidation, NamesTheFields) {
  EXPECT_EQ(Paths(Parse(GetParam().filters)), GetParam().paths);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, FilterValidation,
    ::testing::Values(
        InvalidCase{"NoFilters", "", {}},
        InvalidCase{"EmptyFilter", "filters {}", {}},
        InvalidCase{"EveryFieldValid",
                    "filters { types: [1, 5] type_names: 'x' "
                    "connector_ids: 'x' origin_ids: 'x' integration_slugs: 'x' "
                    "categories: [3] models: 'x' sync_types: [2] "
                    "connector_statuses: [3] endpoints: 'x' }",
                    {}},
        InvalidCase{
            "EveryFieldInvalid",
            "filters { types: [0] type_names: '' connector_ids: '' "
            "origin_ids: '' integration_slugs: '' categories: [0] "
            "models: '' sync_types: [0] connector_statuses: [0] "
            "endpoints: '' }",
            {"filters[0].types[0]", "filters[0].type_names[0]",
             "filters[0].connector_ids[0]", "filters[0].origin_ids[0]",
             "filters[0].integration_slugs[0]", "filters[0].categories[0]",
             "filters[0].models[0]", "filters[0].sync_types[0]",
             "filters[0].connector_statuses[0]", "filters[0].endpoints[0]"}},
        InvalidCase{
            "UnknownEnumNumbers",
            "filters { types: [6] categories: [4] sync_types: [3] "
            "connector_statuses: [-1] }",
            {"filters[0].types[0]", "filters[0].categories[0]",
             "filters[0].sync_types[0]", "filters[0].connector_statuses[0]"}},
        InvalidCase{"PathCountsFiltersAndValues",
                    "filters {} filters { types: [1, 2, 77] "
                    "models: ['a', '', 'b', ''] }",
                    {"filters[1].types[2]", "filters[1].models[1]",
                     "filters[1].models[3]"}}),
    [](const auto& info) { return info.param.name; });

TEST(FilterLimits, ValuesOfMoreThan512BytesAreRefused) {
  FilterProtos filters;
  filters.Add()->add_origin_ids(std::string(512, 'x'));
  EXPECT_THAT(Paths(filters), IsEmpty());
  filters[0].add_origin_ids(std::string(513, 'x'));
  EXPECT_THAT(Paths(filters), ElementsAre("filters[0].origin_ids[1]"));
}

TEST(FilterLimits, OthersCanBeSet) {
  const FilterLimits limits = {.max_filters = 2, .max_values = 3};
  const auto valid = [&](const std::string& text) {
    return Filter::Validate(Parse(text), limits).empty();
  };
  EXPECT_TRUE(valid("filters { models: ['a', 'b'] } filters { types: [1] }"));
  EXPECT_FALSE(valid("filters {} filters {} filters {}"));
  EXPECT_FALSE(
      valid("filters { models: ['a', 'b'] } filters { types: [1, 2] }"));
}

TEST(FilterLimits, MoreThan100FiltersAreRefused) {
  FilterProtos filters;
  for (int i = 0; i < 100; ++i) filters.Add()->add_models(kModel);
  EXPECT_THAT(Paths(filters), IsEmpty());
  filters.Add()->add_models(kModel);
  EXPECT_THAT(Paths(filters), ElementsAre("filters"));
}

TEST(FilterLimits, MoreThan1000ValuesInAllAreRefused) {
  FilterProtos filters;
  filters.Add();
  filters.Add();
  for (int i = 0; i < 500; ++i) {
    filters[0].add_models(kModel);
    filters[1].add_types(v1::EVENT_TYPE_SYNC_FAILED);
  }
  EXPECT_THAT(Paths(filters), IsEmpty());
  filters[1].add_endpoints("one more");
  EXPECT_THAT(Paths(filters), ElementsAre("filters"));
}

}  // namespace
}  // namespace waggle
