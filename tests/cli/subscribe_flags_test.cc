#include "cli/subscribe_flags.h"

#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace waggle {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const absl::Time kNow = absl::FromUnixSeconds(1'750'000'000);

std::string Error(const SubscribeFlags& flags) {
  const auto request = ToRequest(flags, kNow);
  if (request.ok()) return "accepted";
  EXPECT_TRUE(absl::IsInvalidArgument(request.status()));
  return std::string(request.status().message());
}

v1::SubscribeRequest From(const std::string& from) {
  SubscribeFlags flags;
  flags.from = from;
  const auto request = ToRequest(flags, kNow);
  EXPECT_TRUE(request.ok()) << request.status();
  return request.value_or(v1::SubscribeRequest());
}

TEST(SubscribeFlagsTest, WithoutFlagsAsksForAllNewEvents) {
  const auto request = ToRequest({}, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->filters_size(), 0);
  EXPECT_EQ(request->position(), v1::START_POSITION_LATEST);
  EXPECT_FALSE(request->stop_when_caught_up());
  EXPECT_FALSE(request->include_payload());
  EXPECT_EQ(request->max_batch_size(), 0u);
  EXPECT_EQ(request->heartbeat_interval().seconds(), 10);
}

TEST(SubscribeFlagsTest, TheListsMakeOneFilterWithEveryField) {
  SubscribeFlags flags;
  flags.types = {"sync_completed", "Data-Modified"};
  flags.type_names = {"connector_relinked"};
  flags.connectors = {"c1", "c2"};
  flags.origins = {"acme"};
  flags.integrations = {"bamboohr"};
  flags.categories = {"HRIS"};
  flags.models = {"hris_employment"};
  flags.sync_types = {"manual"};
  flags.connector_statuses = {"relink_needed"};
  flags.endpoints = {"bindbee"};
  const auto request = ToRequest(flags, kNow);
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_EQ(request->filters_size(), 1);
  v1::EventFilter expected;
  expected.add_types(v1::EVENT_TYPE_SYNC_COMPLETED);
  expected.add_types(v1::EVENT_TYPE_DATA_MODIFIED);
  expected.add_type_names("connector_relinked");
  expected.add_connector_ids("c1");
  expected.add_connector_ids("c2");
  expected.add_origin_ids("acme");
  expected.add_integration_slugs("bamboohr");
  expected.add_categories(v1::CATEGORY_HRIS);
  expected.add_models("hris_employment");
  expected.add_sync_types(v1::SYNC_TYPE_MANUAL);
  expected.add_connector_statuses(v1::CONNECTOR_STATUS_RELINK_NEEDED);
  expected.add_endpoints("bindbee");
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      request->filters(0), expected))
      << request->DebugString();
  // No field of a filter is out of reach.
  const auto* descriptor = v1::EventFilter::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    EXPECT_GT(request->filters(0).GetReflection()->FieldSize(
                  request->filters(0), descriptor->field(i)),
              0)
        << descriptor->field(i)->name();
  }
}

TEST(SubscribeFlagsTest, EveryJsonFilterIsOneMore) {
  SubscribeFlags flags;
  flags.origins = {"acme"};
  flags.filters = {R"({"originIds":["globex"]})",
                   R"({"types":["EVENT_TYPE_SYNC_FAILED"]})"};
  const auto request = ToRequest(flags, kNow);
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_EQ(request->filters_size(), 3);
  EXPECT_EQ(request->filters(0).origin_ids(0), "acme");
  EXPECT_EQ(request->filters(1).origin_ids(0), "globex");
  EXPECT_EQ(request->filters(2).types(0), v1::EVENT_TYPE_SYNC_FAILED);
}

TEST(SubscribeFlagsTest, RefusesWhatIsNoFilter) {
  SubscribeFlags flags;
  flags.types = {"sync_complete"};
  EXPECT_THAT(Error(flags),
              AllOf(StartsWith("--type: \"sync_complete\" is not one of "
                               "sync_started, "),
                    HasSubstr("did you mean \"sync_completed\"?")));
  flags = {};
  flags.categories = {"unspecified"};
  EXPECT_THAT(Error(flags), StartsWith("--category: "));
  flags = {};
  flags.origins = {""};
  EXPECT_EQ(Error(flags), "--origin: must not be empty");
  for (const char* json :
       {"", "{", "[]", R"({"origin":["x"]})", R"({"types":["SYNC_FAILED"]})"}) {
    flags = {};
    flags.filters = {json};
    EXPECT_THAT(Error(flags), StartsWith("--filter: ")) << json;
  }
}

TEST(SubscribeFlagsTest, StartsAtEitherEnd) {
  EXPECT_EQ(From("earliest").position(), v1::START_POSITION_EARLIEST);
  EXPECT_EQ(From("latest").position(), v1::START_POSITION_LATEST);
}

TEST(SubscribeFlagsTest, StartsAtATime) {
  EXPECT_EQ(From("2025-01-31T08:00:00.5Z").since().seconds(), 1738310400);
  EXPECT_EQ(From("2025-01-31T08:00:00.5Z").since().nanos(), 500'000'000);
  EXPECT_EQ(From("2025-01-31T09:00:00+01:00").since().seconds(), 1738310400);
}

TEST(SubscribeFlagsTest, StartsSomeTimeAgo) {
  EXPECT_EQ(From("2h").since().seconds(), 1'750'000'000 - 7200);
}

TEST(SubscribeFlagsTest, StartsAfterACursor) {
  const std::string cursor = "ASp4k4di4oMsaBiG50oqA88AAAAAAAAAAhEB3Mg";
  EXPECT_EQ(From(cursor).after_cursor(), cursor);
}

TEST(SubscribeFlagsTest, RefusesOtherStarts) {
  for (const char* from : {"", "yesterday", "2025-01-31", "-2h",
                           "1960-01-01T00:00:00Z", "not a cursor at all!!"}) {
    SubscribeFlags flags;
    flags.from = from;
    EXPECT_THAT(Error(flags), StartsWith("--from: ")) << from;
  }
}

TEST(SubscribeFlagsTest, CarriesTheOptions) {
  SubscribeFlags flags;
  flags.until_caught_up = true;
  flags.payload = true;
  flags.max_batch = 7;
  flags.heartbeat = absl::Milliseconds(1500);
  const auto request = ToRequest(flags, kNow);
  ASSERT_TRUE(request.ok());
  EXPECT_TRUE(request->stop_when_caught_up());
  EXPECT_TRUE(request->include_payload());
  EXPECT_EQ(request->max_batch_size(), 7u);
  EXPECT_EQ(request->heartbeat_interval().seconds(), 1);
  EXPECT_EQ(request->heartbeat_interval().nanos(), 500'000'000);
}

}  // namespace
}  // namespace waggle
