#include "ops/operator_queries.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "event/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/delivery_check.h"
#include "store/memory/memory_event_store.h"
#include "stream/event_hub.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/from_text.h"
#include "tests/fakes/recorded_deliveries.h"
#include "tests/fakes/test_deliveries.h"
#include "tests/fakes/wait_for.h"

namespace waggle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using waggle::testing::WaitFor;

class OperatorQueriesTest : public ::testing::Test {
 protected:
  OperatorQueriesTest() { hub_.Start(); }
  ~OperatorQueriesTest() override {
    hub_.Stop();
    store_.Close();
  }

  static Caller CallerWith(const Rights& rights) {
    return {.principal =
                std::make_shared<const Principal>(Principal{"who", rights}),
            .identity = "token:who"};
  }
  static Caller Operator() { return CallerWith(Rights::All()); }

  void Deliver(uint64_t n, const std::string& event = "") {
    Append(store_, DeliveredEvent(n, clock_.Now(), FromText<v1::Event>(event)));
  }
  // Returns once there are so many deliveries in all.
  void Refuse(v1::DeliveryOutcome outcome, size_t total,
              const std::string& endpoint = "bindbee") {
    ASSERT_TRUE(store_.Record(Refused(outcome, clock_.Now(), endpoint)));
    WaitFor([&] {
      return store_.ListDeliveries({}, UINT64_MAX, 10'000)->deliveries.size() ==
             total;
    });
  }

  // Returns once so many streams that may have had the first event are kept.
  void WaitForStreams(size_t count) {
    WaitFor([&] {
      return store_
                 .Handovers(Sequence(1), absl::InfinitePast(),
                            absl::InfiniteFuture(), 2 * count)
                 ->size() == count;
    });
  }

  absl::StatusOr<v1::ListDeliveriesResponse> List(const std::string& request) {
    return queries_.ListDeliveries(FromText<v1::ListDeliveriesRequest>(request),
                                   Operator());
  }
  absl::StatusOr<v1::CheckDeliveryResponse> Check(const std::string& request,
                                                  const Caller& caller) {
    return queries_.CheckDelivery(FromText<v1::CheckDeliveryRequest>(request),
                                  caller);
  }
  absl::StatusOr<v1::CheckDeliveryResponse> Check(const std::string& request) {
    return Check(request, Operator());
  }

  static std::vector<uint64_t> Sequences(
      const v1::CheckDeliveryResponse& response) {
    std::vector<uint64_t> sequences;
    for (const v1::CheckedEvent& checked : response.events()) {
      sequences.push_back(checked.event().sequence());
    }
    return sequences;
  }
  static std::vector<std::string> Fields(const absl::Status& status) {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    std::vector<std::string> fields;
    for (const FieldViolation& violation : FieldViolationsOf(status)) {
      fields.push_back(violation.field);
    }
    return fields;
  }

  FakeClock clock_;
  Metrics metrics_;
  MemoryEventStore store_{clock_};
  ThreadPool readers_{1};
  EventHub hub_{store_, readers_, {}};
  std::unique_ptr<AccessControl> access_ = AccessControl::Open(clock_);
  SubscriberJournal subscribers_{store_,   hub_,   store_,
                                 *access_, clock_, metrics_};
  absl::Status readiness_;
  OperatorQueries queries_{
      store_, store_, subscribers_, clock_,
      GatewaySources{.version = "1.2.3",
                     .started_at = clock_.Now(),
                     .retention = {.max_age = absl::Hours(2), .max_bytes = 99},
                     .readiness = [this] { return readiness_; },
                     .endpoints =
                         [] {
                           return std::vector<v1::EndpointState>{
                               FromText<v1::EndpointState>("name: 'bindbee'")};
                         },
                     .rates =
                         [] {
                           return std::vector<v1::RatePoint>{
                               FromText<v1::RatePoint>("accepted: 7")};
                         }}};
};

TEST_F(OperatorQueriesTest, WithoutTheCapabilityNothingIsSaid) {
  const Caller reader = CallerWith({.allow = config::v1::AllowList(),
                                    .personal_data = true,
                                    .raw_payload = true});
  for (const absl::Status& status :
       {queries_.ListDeliveries({}, reader).status(),
        queries_.GetDelivery({}, reader).status(),
        queries_.CheckDelivery({}, reader).status(),
        queries_.GetGateway({}, reader).status(),
        queries_.ListSubscribers({}, reader).status()}) {
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    const auto missing = MissingRightOf(status);
    ASSERT_TRUE(missing.has_value());
    EXPECT_EQ(missing->right, "deliveries");
  }
  EXPECT_TRUE(
      queries_
          .GetGateway({}, CallerWith({.allow = std::nullopt, .admin = true}))
          .ok());
}

// --- The log. ---

TEST_F(OperatorQueriesTest, PagesFollowOneAnotherNewestFirst) {
  for (uint64_t n = 1; n <= 25; ++n) Deliver(n);
  std::vector<uint64_t> ids;
  v1::ListDeliveriesRequest request;
  request.set_page_size(10);
  do {
    const auto page = queries_.ListDeliveries(request, Operator());
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->deliveries_size(), 10);
    for (const auto& delivery : page->deliveries()) {
      ids.push_back(delivery.id());
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  ASSERT_EQ(ids.size(), 25u);
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], 25 - i);
}

TEST_F(OperatorQueriesTest, TokensAreBoundToTheirFilter) {
  for (uint64_t n = 1; n <= 5; ++n) Deliver(n);
  const auto page = List("page_size: 2 filter { outcomes: [1, 2] }");
  ASSERT_TRUE(page.ok()) << page.status();
  const std::string token = page->next_page_token();
  ASSERT_NE(token, "");
  const auto with = [&](const std::string& text, const std::string& filter) {
    return List("page_token: '" + text + "' filter { " + filter + " }");
  };
  EXPECT_EQ(with(token, "outcomes: [2, 1]")->deliveries_size(), 3);
  EXPECT_THAT(Fields(with(token, "outcomes: 1").status()),
              ElementsAre("page_token"));
  for (const std::string& text :
       {std::string("garbage"), token + "0", token.substr(1),
        token.substr(0, 16), token.substr(16), "f" + token.substr(1),
        std::string(32, '0')}) {
    EXPECT_THAT(Fields(with(text, "outcomes: [1, 2]").status()),
                ElementsAre("page_token"))
        << text;
  }
}

TEST_F(OperatorQueriesTest, FieldsThatAreWrongAreNamed) {
  EXPECT_THAT(Fields(List("filter { endpoints: '' }").status()),
              ElementsAre("filter.endpoints[0]"));
  EXPECT_THAT(Fields(queries_.GetDelivery({}, Operator()).status()),
              ElementsAre("id"));
  EXPECT_THAT(Fields(Check("").status()), ElementsAre("subject"));
  EXPECT_THAT(Fields(Check("sync_id: ''").status()), ElementsAre("subject"));
  EXPECT_THAT(Fields(Check("sync_id: 's' since { nanos: -1 } "
                           "until { nanos: -1 }")
                         .status()),
              ElementsAre("since", "until"));
  EXPECT_THAT(Fields(Check("sync_id: 's' since { seconds: 5 } "
                           "until { seconds: 5 }")
                         .status()),
              ElementsAre("since"));
}

TEST_F(OperatorQueriesTest, ADeliveryIsFoundByItsId) {
  Deliver(1);
  v1::GetDeliveryRequest request;
  request.set_id(1);
  const auto found = queries_.GetDelivery(request, Operator());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->delivery().event_id(), EventId(1));
  EXPECT_EQ(found->delivery().outcome(), v1::DELIVERY_OUTCOME_ACCEPTED);
  request.set_id(2);
  EXPECT_TRUE(
      absl::IsNotFound(queries_.GetDelivery(request, Operator()).status()));
}

// --- The story of a sync. ---

TEST_F(OperatorQueriesTest, FindsEventsByEachSubject) {
  Deliver(1, "sync { id: 's' } connector { id: 'c' origin_id: 'o' }");
  Deliver(2, "employees_changed { employee_ids: ['x', 'r'] }");
  Deliver(3, "data_modified { changes { model: 'm' record_ids: 'r' } }");
  Deliver(4, "data_modified { record_ids: 'r' }");
  // Named elsewhere than asked.
  Deliver(5, "sync { id: 'c' name: 'r' } connector { id: 's' org_name: 'o' }");
  EXPECT_THAT(Sequences(*Check("sync_id: 's'")), ElementsAre(1));
  EXPECT_THAT(Sequences(*Check("connector_id: 'c'")), ElementsAre(1));
  EXPECT_THAT(Sequences(*Check("origin_id: 'o'")), ElementsAre(1));
  EXPECT_THAT(Sequences(*Check("record_id: 'r'")), ElementsAre(2, 3, 4));
  EXPECT_THAT(Sequences(*Check("record_id: 'none'")), IsEmpty());
}

TEST_F(OperatorQueriesTest, TheStoryHasDeliveriesDuplicatesAndHandovers) {
  Deliver(1, "sync { id: 's' } endpoint: 'bindbee' connector { id: 'c' }");
  Deliver(1, "sync { id: 's' } endpoint: 'bindbee' connector { id: 'c' }");
  const absl::Time start = clock_.Now();
  StreamRecord stream{.stream_id = EventId(100),
                      .principal = "payroll",
                      .remote_address = "10.0.0.1",
                      .filters = FromText<v1::SubscribeRequest>(
                                     "filters { endpoints: 'bindbee' }")
                                     .SerializeAsString(),
                      .after = Sequence(0),
                      .started_at = start - absl::Seconds(9)};
  ASSERT_TRUE(store_.RecordStream(stream));
  stream.stream_id = EventId(101);
  stream.filters =
      FromText<v1::SubscribeRequest>("filters { endpoints: 'other' }")
          .SerializeAsString();
  ASSERT_TRUE(store_.RecordStream(stream));
  stream.stream_id = EventId(102);
  stream.filters = "";
  stream.ended_at = start + absl::Seconds(1);
  ASSERT_TRUE(store_.RecordStream(stream));
  ASSERT_TRUE(store_.RecordProgress(
      {{EventId(100), Sequence(1), start + absl::Seconds(2)}}));
  WaitFor([&] {
    const auto handovers = store_.Handovers(Sequence(1), absl::InfinitePast(),
                                            absl::InfiniteFuture(), 10);
    return handovers->size() == 3 &&
           handovers->back().handed_over_at != absl::InfiniteFuture();
  });

  const auto story = Check("sync_id: 's'");
  ASSERT_TRUE(story.ok()) << story.status();
  ASSERT_EQ(story->events_size(), 1);
  const v1::CheckedEvent& checked = story->events(0);
  ASSERT_EQ(checked.deliveries_size(), 2);
  EXPECT_EQ(checked.deliveries(0).outcome(), v1::DELIVERY_OUTCOME_ACCEPTED);
  EXPECT_EQ(checked.deliveries(1).outcome(), v1::DELIVERY_OUTCOME_DUPLICATE);
  ASSERT_EQ(checked.handovers_size(), 2) << "one asked for other events";
  const v1::Handover& ended = checked.handovers(0);
  EXPECT_EQ(ended.stream_id(), EventId(102));
  EXPECT_TRUE(ended.has_stream_ended_at());
  EXPECT_FALSE(ended.has_handed_over_at());
  const v1::Handover& handed = checked.handovers(1);
  EXPECT_EQ(handed.principal(), "payroll");
  EXPECT_EQ(handed.remote_address(), "10.0.0.1");
  EXPECT_FALSE(handed.has_stream_ended_at());
  EXPECT_EQ(ToTime(handed.handed_over_at()), start + absl::Seconds(2));
  EXPECT_EQ(handed.filters(0).endpoints(0), "bindbee");
  EXPECT_FALSE(story->truncated());
}

TEST_F(OperatorQueriesTest, AmongManyStreamsThoseThatWereHandedItAreFound) {
  Deliver(1, "sync { id: 's' } endpoint: 'bindbee'");
  const auto filters = [](const std::string& endpoint) {
    return FromText<v1::SubscribeRequest>("filters { endpoints: '" + endpoint +
                                          "' }")
        .SerializeAsString();
  };
  StreamRecord stream;
  stream.stream_id = EventId(1000);
  stream.filters = filters("bindbee");
  stream.started_at = clock_.Now();
  ASSERT_TRUE(store_.RecordStream(stream));
  stream.filters = filters("other");
  for (uint64_t n = 1001; n <= 1600; ++n) {
    stream.stream_id = EventId(n);
    ASSERT_TRUE(store_.RecordStream(stream));
  }
  WaitForStreams(601);
  auto story = Check("sync_id: 's'");
  ASSERT_TRUE(story.ok()) << story.status();
  ASSERT_EQ(story->events(0).handovers_size(), 1);
  EXPECT_EQ(story->events(0).handovers(0).stream_id(), EventId(1000));
  EXPECT_FALSE(story->events(0).handovers_truncated());

  stream.filters = filters("bindbee");
  for (uint64_t n = 1001; n <= 1100; ++n) {
    stream.stream_id = EventId(n);
    ASSERT_TRUE(store_.RecordStream(stream));
  }
  WaitFor([&] {
    story = Check("sync_id: 's'");
    return story->events(0).handovers_truncated();
  });
  EXPECT_EQ(story->events(0).handovers_size(), 100);
}

TEST_F(OperatorQueriesTest, OnlyEventsThatTheCallerMayReadAreShown) {
  for (uint64_t n = 1; n <= 3; ++n) {
    Deliver(n, absl::StrCat("sync { id: 's' } connector { origin_id: 'o", n,
                            "' end_user_name: 'Bob' }"));
  }
  EXPECT_EQ(
      Check("sync_id: 's'")->events(0).event().connector().end_user_name(),
      "Bob");
  Rights rights;
  rights.deliveries = true;
  EXPECT_THAT(Sequences(*Check("sync_id: 's'", CallerWith(rights))), IsEmpty());
  rights.allow = FromText<config::v1::AllowList>("origin_ids: 'o2'");
  const auto story = Check("sync_id: 's'", CallerWith(rights));
  EXPECT_THAT(Sequences(*story), ElementsAre(2));
  EXPECT_FALSE(story->events(0).event().connector().has_end_user_name());
}

TEST_F(OperatorQueriesTest, RefusalsOfTheTimeAreAddedUp) {
  Deliver(1, "sync { id: 's' }");
  const absl::Time before = clock_.Now();
  clock_.Advance(absl::Seconds(10));
  const absl::Time first = clock_.Now();
  Refuse(v1::DELIVERY_OUTCOME_UNAUTHENTICATED, 2);
  clock_.Advance(absl::Seconds(1));
  Refuse(v1::DELIVERY_OUTCOME_UNAUTHENTICATED, 3);
  Refuse(v1::DELIVERY_OUTCOME_TIMEOUT, 4, "other");
  clock_.Advance(absl::Seconds(1));
  const auto story = Check("sync_id: 's'");
  ASSERT_EQ(story->refused_size(), 2);
  EXPECT_EQ(story->refused(0).endpoint(), "bindbee");
  EXPECT_EQ(story->refused(0).outcome(), v1::DELIVERY_OUTCOME_UNAUTHENTICATED);
  EXPECT_EQ(story->refused(0).recorded(), 2u);
  EXPECT_EQ(ToTime(story->refused(0).first_received_at()), first);
  EXPECT_EQ(story->refused(0).last().id(), 3u);
  EXPECT_EQ(story->refused(1).endpoint(), "other");

  v1::CheckDeliveryRequest early;
  early.set_sync_id("s");
  *early.mutable_since() = ToProto(before - absl::Seconds(1));
  *early.mutable_until() = ToProto(first);
  EXPECT_THAT(queries_.CheckDelivery(early, Operator())->refused(), IsEmpty());
}

TEST_F(OperatorQueriesTest, MoreRefusalsThanAreLookedAtAreToldOf) {
  class FloodedLog final : public RecordedDeliveries {
   public:
    absl::StatusOr<DeliveryPage> ListDeliveries(const v1::DeliveryFilter&,
                                                uint64_t before,
                                                size_t max) override {
      DeliveryPage page;
      page.deliveries.resize(
          max, Refused(v1::DELIVERY_OUTCOME_TIMEOUT, absl::UnixEpoch()));
      page.next_before = std::min<uint64_t>(before, 1'000'000) - max;
      return page;
    }
  };
  FloodedLog log;
  const auto story = CheckDelivery(
      store_, log, FromText<v1::CheckDeliveryRequest>("sync_id: 's'"),
      Rights::All(), clock_.Now());
  ASSERT_TRUE(story.ok()) << story.status();
  EXPECT_TRUE(story->refused_truncated());
  EXPECT_GT(story->refused(0).recorded(), 0u);
  Refuse(v1::DELIVERY_OUTCOME_TIMEOUT, 1);
  EXPECT_FALSE(Check("sync_id: 's'")->refused_truncated());
}

TEST_F(OperatorQueriesTest, ATruncatedStoryGoesOnWhereItStopped) {
  const absl::Time since = clock_.Now();
  for (uint64_t n = 1; n <= 30; ++n) {
    Deliver(n, "sync { id: 's' }");
    // Three at a moment: they come together.
    if (n % 3 == 0) clock_.Advance(absl::Seconds(1));
  }
  v1::CheckDeliveryRequest request;
  request.set_sync_id("s");
  request.set_max_events(4);
  *request.mutable_since() = ToProto(since);
  std::vector<uint64_t> sequences;
  int calls = 0;
  while (true) {
    const auto story = queries_.CheckDelivery(request, Operator());
    ASSERT_TRUE(story.ok()) << story.status();
    ++calls;
    EXPECT_LE(story->events_size(), 6);
    for (const uint64_t n : Sequences(*story)) sequences.push_back(n);
    if (!story->truncated()) break;
    *request.mutable_since() = story->searched_until();
  }
  EXPECT_EQ(calls, 5);
  ASSERT_EQ(sequences.size(), 30u);
  for (uint64_t n = 1; n <= 30; ++n) EXPECT_EQ(sequences[n - 1], n);
}

TEST_F(OperatorQueriesTest, AMomentThatHoldsVeryMuchIsCut) {
  const std::string large(50'000, 'o');
  for (uint64_t n = 1; n <= 100; ++n) {
    Deliver(n, "sync { id: 's' } connector { org_name: '" + large + "' }");
  }
  v1::CheckDeliveryRequest request;
  request.set_sync_id("s");
  *request.mutable_since() = ToProto(clock_.Now());
  *request.mutable_until() = ToProto(clock_.Now() + absl::Seconds(1));
  const auto story = queries_.CheckDelivery(request, Operator());
  ASSERT_TRUE(story.ok()) << story.status();
  EXPECT_GT(story->events_size(), 0);
  EXPECT_LT(story->ByteSizeLong(), 3u << 20);
  EXPECT_TRUE(story->truncated());
  EXPECT_EQ(ToTime(story->searched_until()), clock_.Now());
}

TEST_F(OperatorQueriesTest, OnlyTheTimeThatIsAskedAboutIsSearched) {
  const absl::Time start = clock_.Now();
  for (uint64_t n = 1; n <= 5; ++n) {
    Deliver(n, "sync { id: 's' }");
    clock_.Advance(absl::Hours(10));
  }
  // Without a time, the last day.
  EXPECT_THAT(Sequences(*Check("sync_id: 's'")), ElementsAre(4, 5));
  v1::CheckDeliveryRequest request;
  request.set_sync_id("s");
  *request.mutable_since() = ToProto(start + absl::Hours(10));
  *request.mutable_until() = ToProto(start + absl::Hours(30));
  EXPECT_THAT(Sequences(*queries_.CheckDelivery(request, Operator())),
              ElementsAre(2, 3));
}

TEST_F(OperatorQueriesTest, TheFirstDayOfAllCanBeAskedAbout) {
  constexpr int64_t kFirst =
      google::protobuf::util::TimeUtil::kTimestampMinSeconds;
  v1::CheckDeliveryRequest request;
  request.set_sync_id("s");
  request.mutable_until()->set_seconds(kFirst + 3600);
  const auto story = queries_.CheckDelivery(request, Operator());
  ASSERT_TRUE(story.ok()) << story.status();
  EXPECT_EQ(story->searched_since().seconds(), kFirst);
  EXPECT_EQ(story->searched_until().seconds(), kFirst + 3600);
}

// --- The gateway. ---

TEST_F(OperatorQueriesTest, TellsHowTheGatewayIsDoing) {
  Deliver(1);
  v1::GetGatewayRequest request;
  auto gateway = queries_.GetGateway(request, Operator());
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  EXPECT_EQ(gateway->version(), "1.2.3");
  EXPECT_TRUE(gateway->ready());
  EXPECT_EQ(ToTime(gateway->now()), clock_.Now());
  EXPECT_EQ(gateway->store().last_sequence(), 1u);
  EXPECT_EQ(gateway->store().max_size_bytes(), 99u);
  EXPECT_EQ(ToDuration(gateway->store().max_age()), absl::Hours(2));
  EXPECT_TRUE(gateway->store().has_oldest_stored_at());
  EXPECT_EQ(gateway->endpoints(0).name(), "bindbee");
  EXPECT_THAT(gateway->rates(), IsEmpty());

  readiness_ = absl::UnavailableError("the disk is full");
  request.set_include_rates(true);
  gateway = queries_.GetGateway(request, Operator());
  EXPECT_FALSE(gateway->ready());
  EXPECT_EQ(gateway->not_ready_reason(), "the disk is full");
  EXPECT_EQ(gateway->rates(0).accepted(), 7u);
}

}  // namespace
}  // namespace waggle
