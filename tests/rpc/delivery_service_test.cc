// DeliveryService and GatewayService through a real server.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/test_deliveries.h"
#include "tests/fakes/wait_for.h"
#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using waggle::testing::WaitFor;

class DeliveryServiceTest : public RpcTest {
 protected:
  template <typename Request, typename Response, typename Stub>
  grpc::Status Call(Stub& service,
                    grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const std::string& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(CallDeadline());
    return (service.*method)(&context, FromText<Request>(request), &response);
  }

  RichStatus List(const std::string& request,
                  v1::ListDeliveriesResponse& response) {
    return RichStatus(Call(*delivery_stub,
                           &v1::DeliveryService::Stub::ListDeliveries, request,
                           response));
  }
  RichStatus Get(const std::string& request,
                 v1::GetDeliveryResponse& response) {
    return RichStatus(Call(*delivery_stub,
                           &v1::DeliveryService::Stub::GetDelivery, request,
                           response));
  }
  v1::CheckDeliveryResponse Check(const std::string& request) {
    v1::CheckDeliveryResponse response;
    const grpc::Status status =
        Call(*delivery_stub, &v1::DeliveryService::Stub::CheckDelivery, request,
             response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::ListSubscribersResponse Subscribers() {
    v1::ListSubscribersResponse response;
    const grpc::Status status =
        Call(*gateway_stub, &v1::GatewayService::Stub::ListSubscribers, "",
             response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  void Deliver(uint64_t first, uint64_t last, const std::string& event = "") {
    for (uint64_t n = first; n <= last; ++n) {
      Append(store, DeliveredEvent(n, clock.Now(), FromText<v1::Event>(event)));
    }
  }

  static void ExpectRotated(const RichStatus& status) {
    EXPECT_EQ(status.code, grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(status.reason(), "STREAM_ROTATED");
    EXPECT_GT(status.RetryDelay(), 0);
  }
};

TEST_F(DeliveryServiceTest, PagesAndRecordsComeFromTheLog) {
  Start();
  Deliver(1, 5);
  v1::ListDeliveriesResponse page;
  ASSERT_EQ(List("page_size: 3", page).code, grpc::StatusCode::OK);
  ASSERT_EQ(page.deliveries_size(), 3);
  EXPECT_EQ(page.deliveries(0).id(), 5u);
  EXPECT_NE(page.next_page_token(), "");
  v1::GetDeliveryResponse got;
  ASSERT_EQ(Get("id: 2", got).code, grpc::StatusCode::OK);
  EXPECT_EQ(got.delivery().event_id(), EventId(2));
}

TEST_F(DeliveryServiceTest, ErrorsAreThoseOfTheContract) {
  Start();
  v1::ListDeliveriesResponse page;
  RichStatus status = List("filter { endpoints: '' outcomes: 0 }", page);
  EXPECT_EQ(status.reason(), "INVALID_ARGUMENT");
  EXPECT_THAT(status.Fields(),
              ElementsAre("filter.endpoints[0]", "filter.outcomes[0]"));
  status = List("page_token: 'x'", page);
  EXPECT_EQ(status.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.reason(), "PAGE_TOKEN_MALFORMED");
  v1::GetDeliveryResponse got;
  status = Get("id: 9", got);
  EXPECT_EQ(status.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.reason(), "DELIVERY_NOT_FOUND");
}

TEST_F(DeliveryServiceTest, TheGatewayTellsHowItIsDoing) {
  Start();
  TestStream stream(*stub, {});
  v1::SubscribeResponse first;
  ASSERT_TRUE(stream.Read(first));
  v1::GetGatewayResponse gateway;
  ASSERT_TRUE(Call(*gateway_stub, &v1::GatewayService::Stub::GetGateway,
                   "include_rates: true", gateway)
                  .ok());
  EXPECT_EQ(gateway.version(), "1.2.3");
  EXPECT_TRUE(gateway.ready());
  EXPECT_EQ(gateway.subscribers(), 1u);
  EXPECT_EQ(gateway.rates_size(), 1);
}

TEST_F(DeliveryServiceTest, AStreamIsListedWhileItIsOpen) {
  Start();
  auto stream = std::make_unique<TestStream>(
      *stub, FromText<v1::SubscribeRequest>(
                 "filters { endpoints: 'bindbee' } include_payload: true "
                 "position: START_POSITION_EARLIEST"));
  Deliver(1, 3, "endpoint: 'bindbee'");
  Deliver(4, 5, "endpoint: 'other'");
  EXPECT_EQ(stream->ReadSequences(3), Range(1, 3));
  v1::ListSubscribersResponse list;
  // What did not match is passed by.
  WaitFor([&] {
    list = Subscribers();
    return list.subscribers_size() == 1 && list.subscribers(0).position() == 5;
  });
  EXPECT_EQ(list.total(), 1u);
  const v1::Subscriber& subscriber = list.subscribers(0);
  EXPECT_EQ(subscriber.stream_id().size(), 36u);
  EXPECT_EQ(subscriber.principal(), "anonymous");
  EXPECT_EQ(subscriber.remote_address(), "127.0.0.1");
  EXPECT_EQ(subscriber.filters(0).endpoints(0), "bindbee");
  EXPECT_TRUE(subscriber.include_payload());
  EXPECT_EQ(subscriber.delivered(), 3u);
  EXPECT_EQ(subscriber.lag_events(), 0u);
  stream.reset();
  WaitFor([&] { return Subscribers().total() == 0; });
}

// The story of a sync, from its webhook to its consumers.
TEST_F(DeliveryServiceTest, TheStoryOfASyncEndsAtTheStreamsThatWereHandedIt) {
  Start();
  TestStream stream(*stub, {});
  v1::SubscribeResponse first;
  ASSERT_TRUE(stream.Read(first));
  Deliver(1, 1, "sync { id: 's' }");
  EXPECT_EQ(stream.ReadSequences(1), Range(1, 1));
  const std::string stream_id = Subscribers().subscribers(0).stream_id();
  clock.Advance(absl::Seconds(1));
  v1::CheckDeliveryResponse story;
  WaitFor([&] {
    story = Check("sync_id: 's'");
    return story.events_size() == 1 && story.events(0).handovers_size() == 1 &&
           story.events(0).handovers(0).has_handed_over_at();
  });
  EXPECT_EQ(story.events(0).event().id(), EventId(1));
  EXPECT_EQ(story.events(0).deliveries_size(), 1);
  EXPECT_EQ(story.events(0).handovers(0).stream_id(), stream_id);
  EXPECT_EQ(story.events(0).handovers(0).principal(), "anonymous");
}

// gRPC has not taken it: a stream whose client does not read was not handed it.
TEST_F(DeliveryServiceTest, WhatIsOnlyAskedForIsNotHandedOver) {
  Start();
  AppendNumbered(store, 1, 100, /*payload_size=*/100'000);
  v1::SubscribeRequest flood = FromEarliest();
  flood.set_include_payload(true);
  TestStream stuck(*stub, flood);
  v1::SubscribeResponse first;
  ASSERT_TRUE(stuck.Read(first));
  // Of the stream's connection the window is full.
  gateway_stub = v1::GatewayService::NewStub(NewChannel());
  v1::ListSubscribersResponse list = Subscribers();
  ASSERT_EQ(list.subscribers_size(), 1);
  EXPECT_EQ(list.subscribers(0).delivered(), 0u);
  EXPECT_EQ(list.subscribers(0).position(), 0u);
  EXPECT_EQ(list.subscribers(0).lag_events(), 100u);
  EXPECT_EQ(stuck.ReadSequences(100), Range(1, 100));
  WaitFor([&] {
    list = Subscribers();
    return list.subscribers_size() == 1 &&
           list.subscribers(0).delivered() == 100;
  });
  EXPECT_EQ(list.subscribers(0).position(), 100u);
}

TEST_F(DeliveryServiceTest, DrainingRecordsHowTheLastStreamsEnded) {
  Start();
  TestStream stream(*stub, {});
  v1::SubscribeResponse first;
  ASSERT_TRUE(stream.Read(first));
  Deliver(1, 1);
  std::thread drainer([&] { server->Drain(absl::Seconds(60)); });
  stream.Finish();
  drainer.join();
  WaitFor([&] {
    const auto handovers = memory.Handovers(Sequence(1), absl::InfinitePast(),
                                            absl::InfiniteFuture(), 10);
    return handovers->size() == 1 && !handovers->front().stream.open() &&
           handovers->front().handed_over_at != absl::InfiniteFuture();
  });
}

// --- Live. ---

TEST_F(DeliveryServiceTest, TheFirstResponseOfAWatchComesAtOnce) {
  Start();
  Deliver(1, 3);
  TestWatch watch(*delivery_stub);
  v1::WatchDeliveriesResponse response;
  ASSERT_TRUE(watch.Read(response));
  EXPECT_THAT(response.deliveries(), IsEmpty());
  Deliver(4, 6);
  EXPECT_EQ(watch.ReadIdsThrough(6), Range(4, 6));
}

TEST_F(DeliveryServiceTest, AWatchTellsWhatMatches) {
  Start();
  TestWatch watch(*delivery_stub, "connector_ids: 'mine'");
  v1::WatchDeliveriesResponse response;
  ASSERT_TRUE(watch.Read(response));
  Deliver(1, 2, "connector { id: 'other' }");
  Deliver(3, 3, "connector { id: 'mine' }");
  EXPECT_THAT(watch.ReadIdsThrough(3), ElementsAre(3));
}

TEST_F(DeliveryServiceTest, AWatchOfThePastIsRefused) {
  Start();
  const RichStatus status(
      TestWatch(*delivery_stub,
                "since {} until {} outcomes: DELIVERY_OUTCOME_UNSPECIFIED")
          .Finish());
  EXPECT_EQ(status.reason(), "INVALID_ARGUMENT");
  EXPECT_THAT(status.Fields(), ElementsAre("filter.outcomes[0]", "filter.since",
                                           "filter.until"));
}

TEST_F(DeliveryServiceTest, AfterAnIdTheLogComesFirst) {
  Start();
  Deliver(1, 1200);
  TestWatch watch(*delivery_stub, "after_id: 100");
  EXPECT_EQ(watch.ReadIdsThrough(1200), Range(201, 1200));
  EXPECT_EQ(watch.skipped(), 0u);
  Deliver(1201, 1203);
  EXPECT_EQ(watch.ReadIdsThrough(1203), Range(1201, 1203));
}

TEST_F(DeliveryServiceTest, WatchesThatBeginWhileDeliveriesComeMissNone) {
  Start();
  constexpr uint64_t kCount = 1500;
  std::atomic<uint64_t> delivered = 0;
  std::thread producer([&] {
    for (uint64_t n = 1; n <= kCount; ++n) {
      Deliver(n, n);
      delivered = n;
    }
  });
  WaitFor([&] { return delivered > 0; });
  do {
    const uint64_t after = delivered;
    TestWatch watch(*delivery_stub, absl::StrCat("after_id: ", after));
    const uint64_t until = std::min(kCount, after + 50);
    const std::vector<uint64_t> ids =
        until > after ? watch.ReadIdsThrough(until) : std::vector<uint64_t>();
    for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], after + 1 + i);
  } while (delivered < kCount);
  producer.join();
}

TEST_F(DeliveryServiceTest, AWatchThatReadsSlowlyIsToldWhatItMissed) {
  Start();
  TestWatch watch(*delivery_stub);
  v1::WatchDeliveriesResponse response;
  ASSERT_TRUE(watch.Read(response));
  // More than the transport and the buffer take.
  constexpr uint64_t kCount = 12'000;
  const std::string large(1000, 'c');
  for (uint64_t n = 1; n <= kCount; ++n) {
    v1::Event event;
    event.mutable_connector()->set_id(large);
    Append(store, DeliveredEvent(n, clock.Now(), event));
  }
  const std::vector<uint64_t> ids = watch.ReadIdsThrough(kCount);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_GT(watch.skipped(), 0u);
  EXPECT_EQ(ids.size() + watch.skipped(), kCount);
}

TEST_F(DeliveryServiceTest, DrainingTellsWhatCameThenEndsTheWatch) {
  Start();
  TestWatch watch(*delivery_stub);
  v1::WatchDeliveriesResponse response;
  ASSERT_TRUE(watch.Read(response));
  Deliver(1, 3);
  std::thread drainer([&] { server->Drain(absl::Seconds(60)); });
  EXPECT_EQ(watch.ReadIdsThrough(3), Range(1, 3));
  ExpectRotated(RichStatus(watch.Finish()));
  drainer.join();
}

TEST_F(DeliveryServiceTest, AWatchIsRotatedAtItsAge) {
  GrpcOptions options;
  options.max_stream_age = absl::Seconds(1);
  Start(options);
  ExpectRotated(RichStatus(TestWatch(*delivery_stub).Finish()));
}

TEST_F(DeliveryServiceTest, WatchesCountAsStreams) {
  GrpcOptions options;
  options.streams.per_principal = 2;
  Start(options);
  TestStream stream(*stub, {});
  TestWatch watch(*delivery_stub);
  v1::SubscribeResponse first;
  v1::WatchDeliveriesResponse response;
  ASSERT_TRUE(stream.Read(first));
  ASSERT_TRUE(watch.Read(response));
  const RichStatus status(TestWatch(*delivery_stub).Finish());
  EXPECT_EQ(status.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.reason(), "TOO_MANY_STREAMS");
}

TEST_F(DeliveryServiceTest, ThereAreOnlySoManyWatches) {
  Start();
  std::vector<std::unique_ptr<TestWatch>> watches;
  v1::WatchDeliveriesResponse response;
  for (size_t i = 0; i < DeliveryBroadcast::kMaxWatches; ++i) {
    watches.push_back(std::make_unique<TestWatch>(*delivery_stub));
    ASSERT_TRUE(watches.back()->Read(response));
  }
  EXPECT_EQ(RichStatus(TestWatch(*delivery_stub).Finish()).reason(),
            "TOO_MANY_STREAMS");
  watches.pop_back();
  WaitFor([&] { return TestWatch(*delivery_stub).Read(response); });
}

}  // namespace
}  // namespace waggle::rpc
