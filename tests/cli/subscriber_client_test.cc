#include "cli/subscriber_client.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/fake_event_service.h"
#include "tests/fakes/wake_flag.h"

namespace waggle {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

using Gateway = FakeEventService;

const grpc::Status kBroken(grpc::StatusCode::UNAVAILABLE, "broken");

class Recorder final : public Subscriber {
 public:
  // Called after each response; false ends the subscription.
  std::function<bool()> after_response = [] { return true; };

  std::vector<uint64_t> sequences;
  std::vector<StreamEnd> interruptions;
  std::vector<absl::Duration> pauses;

  bool OnResponse(const v1::SubscribeResponse& response) override {
    for (const v1::Event& event : response.events()) {
      sequences.push_back(event.sequence());
    }
    return after_response();
  }
  void OnInterrupted(const StreamEnd& end, absl::Duration pause) override {
    interruptions.push_back(end);
    pauses.push_back(pause);
  }
};

class SubscriberClientTest : public ::testing::Test {
 protected:
  static SubscriberClient::Connect Connect(Gateway& gateway) {
    return [&gateway] {
      return v1::EventService::NewStub(DialGateway(gateway.address()));
    };
  }

  // Runs the client against the gateway, without waiting between attempts.
  StreamEnd Run(Gateway& gateway, SubscriberOptions options = {}) {
    SubscriberClient client(Connect(gateway), std::move(options),
                            [this](absl::Duration pause) {
                              slept_.push_back(pause);
                              on_sleep_();
                            });
    return client.Run(recorder_);
  }

  Recorder recorder_;
  std::vector<absl::Duration> slept_;
  std::function<void()> on_sleep_ = [] {};
};

SubscriberOptions BoundedRead() {
  SubscriberOptions options;
  options.request.set_stop_when_caught_up(true);
  return options;
}

TEST_F(SubscriberClientTest, BoundedReadEndsWithTheStream) {
  Gateway gateway({Gateway::Sends({ResponseOf({1, 2}), ResponseOf({5})},
                                  grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, BoundedRead()).ok());
  EXPECT_THAT(recorder_.sequences, ElementsAre(1, 2, 5));
  EXPECT_THAT(slept_, IsEmpty());
}

TEST_F(SubscriberClientTest, ResumesAfterTheLastResponseWhenAStreamBreaks) {
  SubscriberOptions options = BoundedRead();
  options.request.set_position(v1::START_POSITION_EARLIEST);
  options.request.add_filters()->add_endpoints("bindbee");
  Gateway gateway(
      {Gateway::Sends({ResponseOf({1, 2}), ResponseOf({3})}, kBroken),
       Gateway::Sends({}, kBroken),
       Gateway::Sends({ResponseOf({4})}, grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, options).ok());
  EXPECT_THAT(recorder_.sequences, ElementsAre(1, 2, 3, 4));
  const auto requests = gateway.requests();
  ASSERT_THAT(requests, SizeIs(3));
  EXPECT_EQ(requests[0].position(), v1::START_POSITION_EARLIEST);
  EXPECT_EQ(requests[1].after_cursor(), "cursor-3");
  EXPECT_EQ(requests[2].after_cursor(), "cursor-3");
  EXPECT_EQ(requests[2].filters(0).endpoints(0), "bindbee");
}

TEST_F(SubscriberClientTest, HeartbeatsMoveTheCursor) {
  v1::SubscribeResponse heartbeat;
  heartbeat.set_cursor("cursor-9");
  Gateway gateway({Gateway::Sends({ResponseOf({1}), heartbeat}, kBroken),
                   Gateway::Sends({}, grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, BoundedRead()).ok());
  EXPECT_EQ(gateway.requests()[1].after_cursor(), "cursor-9");
}

TEST_F(SubscriberClientTest, KeepsItsStartUntilThereIsACursor) {
  SubscriberOptions options = BoundedRead();
  options.request.mutable_since()->set_seconds(17);
  Gateway gateway({Gateway::Fails(kBroken), Gateway::Fails(grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, options).ok());
  EXPECT_EQ(gateway.requests()[1].since().seconds(), 17);
}

TEST_F(SubscriberClientTest, GoesOnWhenTheGatewayEndsAnUnboundedStream) {
  Gateway gateway({Gateway::Sends({ResponseOf({1})}, grpc::Status::OK),
                   Gateway::Sends({ResponseOf({2})}, grpc::Status::OK)});
  // Ended by the end of the script.
  EXPECT_EQ(Run(gateway).code, grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(recorder_.sequences, ElementsAre(1, 2));
}

TEST_F(SubscriberClientTest, PausesDoubleUpToTheLimitLessUpToHalfByChance) {
  std::vector<Gateway::Act> acts(9, Gateway::Fails(kBroken));
  acts.push_back(Gateway::Fails(grpc::Status::OK));
  Gateway gateway(acts);
  EXPECT_TRUE(Run(gateway, BoundedRead()).ok());
  ASSERT_THAT(slept_, SizeIs(9));
  EXPECT_EQ(slept_, recorder_.pauses);
  absl::Duration full = absl::Milliseconds(100);
  for (const absl::Duration pause : slept_) {
    EXPECT_THAT(pause, AllOf(Ge(full / 2), Le(full)));
    full = std::min(full * 2, absl::Seconds(10));
  }
}

TEST_F(SubscriberClientTest, PausesAreShortAgainAfterAResponse) {
  std::vector<Gateway::Act> acts(6, Gateway::Fails(kBroken));
  acts.push_back(Gateway::Sends({ResponseOf({1})}, kBroken));
  acts.push_back(Gateway::Fails(grpc::Status::OK));
  Gateway gateway(acts);
  EXPECT_TRUE(Run(gateway, BoundedRead()).ok());
  ASSERT_THAT(slept_, SizeIs(7));
  EXPECT_GT(slept_[5], absl::Seconds(1));
  EXPECT_LE(slept_[6], absl::Milliseconds(100));
}

TEST_F(SubscriberClientTest, WaitsAtLeastAsLongAsRetryInfoSays) {
  const FakeError rotated{
      grpc::StatusCode::UNAVAILABLE, "STREAM_ROTATED", absl::Seconds(7), {}};
  const FakeError quota{grpc::StatusCode::RESOURCE_EXHAUSTED,
                        "TOO_MANY_STREAMS",
                        absl::Hours(1000),
                        {}};
  Gateway gateway({Gateway::Sends({ResponseOf({1})}, rotated.ToStatus()),
                   Gateway::Fails(quota.ToStatus()),
                   Gateway::Fails(grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, BoundedRead()).ok());
  ASSERT_THAT(slept_, SizeIs(2));
  EXPECT_THAT(slept_[0], AllOf(Ge(absl::Seconds(7)), Le(absl::Seconds(8.4))));
  // A delay that nobody can mean is cut.
  EXPECT_THAT(slept_[1], AllOf(Ge(absl::Minutes(5)), Le(absl::Minutes(6))));
  EXPECT_EQ(recorder_.interruptions[0].reason, "STREAM_ROTATED");
}

// A slow machine makes for more attempts, and for the same events.
TEST_F(SubscriberClientTest, GivesUpAStreamThatFallsSilent) {
  SubscriberOptions options = BoundedRead();
  options.reconnect.silence_timeout = absl::Milliseconds(200);
  const Gateway::Act by_cursor = [](grpc::ServerContext& context,
                                    const v1::SubscribeRequest& request,
                                    const Gateway::Send& send) -> grpc::Status {
    if (request.after_cursor().empty()) {
      return Gateway::FallsSilentAfter({ResponseOf({1})})(context, request,
                                                          send);
    }
    if (request.after_cursor() == "cursor-1") send(ResponseOf({2}));
    return grpc::Status::OK;
  };
  std::vector<Gateway::Act> acts(1000, by_cursor);
  acts.front() = Gateway::FallsSilentAfter({});
  Gateway gateway(acts);
  EXPECT_TRUE(Run(gateway, options).ok());
  EXPECT_THAT(recorder_.sequences, ElementsAre(1, 2));
  ASSERT_THAT(recorder_.interruptions, SizeIs(Ge(2)));
  EXPECT_THAT(recorder_.interruptions[0].ToString(),
              HasSubstr("nothing came for 200ms"));
}

TEST_F(SubscriberClientTest, SurvivesARestartOfTheGateway) {
  Gateway gateway({Gateway::Sends({ResponseOf({1})}, kBroken),
                   Gateway::Sends({ResponseOf({2})}, grpc::Status::OK)});
  int sleeps = 0;
  on_sleep_ = [&] {
    if (++sleeps == 1) gateway.Stop();
    // Nobody listened in between.
    if (sleeps == 3) gateway.Restart();
  };
  EXPECT_TRUE(Run(gateway, BoundedRead()).ok());
  EXPECT_GE(sleeps, 3);
  EXPECT_THAT(recorder_.sequences, ElementsAre(1, 2));
  EXPECT_EQ(gateway.requests()[1].after_cursor(), "cursor-1");
}

class FinalErrorTest : public SubscriberClientTest,
                       public ::testing::WithParamInterface<grpc::StatusCode> {
};

TEST_P(FinalErrorTest, EndsTheLoopAtOnce) {
  Gateway gateway({Gateway::Fails({GetParam(), "because"}),
                   Gateway::Fails(grpc::Status::OK)});
  const StreamEnd end = Run(gateway, BoundedRead());
  EXPECT_EQ(end.code, GetParam());
  EXPECT_THAT(end.ToString(), HasSubstr("because"));
  EXPECT_THAT(slept_, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Codes, FinalErrorTest,
                         ::testing::Values(grpc::StatusCode::INVALID_ARGUMENT,
                                           grpc::StatusCode::UNAUTHENTICATED,
                                           grpc::StatusCode::PERMISSION_DENIED,
                                           grpc::StatusCode::UNIMPLEMENTED,
                                           grpc::StatusCode::NOT_FOUND));

class TransientErrorTest
    : public SubscriberClientTest,
      public ::testing::WithParamInterface<grpc::StatusCode> {};

TEST_P(TransientErrorTest, IsTriedAgain) {
  Gateway gateway({Gateway::Fails({GetParam(), "for now"}),
                   Gateway::Fails(grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, BoundedRead()).ok());
  EXPECT_THAT(slept_, SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(
    Codes, TransientErrorTest,
    ::testing::Values(grpc::StatusCode::UNAVAILABLE,
                      grpc::StatusCode::RESOURCE_EXHAUSTED,
                      grpc::StatusCode::CANCELLED, grpc::StatusCode::INTERNAL,
                      grpc::StatusCode::UNKNOWN,
                      grpc::StatusCode::DEADLINE_EXCEEDED));

class GapTest : public SubscriberClientTest,
                public ::testing::WithParamInterface<FakeError> {
 protected:
  static SubscriberOptions Resuming(OnGap on_gap) {
    SubscriberOptions options = BoundedRead();
    options.request.set_after_cursor("cursor-1");
    options.on_gap = on_gap;
    return options;
  }
};

TEST_P(GapTest, EndsTheLoopUnlessToldOtherwise) {
  Gateway gateway({Gateway::Fails(GetParam().ToStatus())});
  const StreamEnd end = Run(gateway, Resuming(OnGap::kFail));
  EXPECT_TRUE(end.IsGap());
  EXPECT_EQ(end.reason, GetParam().reason);
  EXPECT_EQ(end.metadata, GetParam().metadata);
  EXPECT_THAT(slept_, IsEmpty());
}

TEST_P(GapTest, GoesOnAtTheEarliestEvent) {
  Gateway gateway({Gateway::Fails(GetParam().ToStatus()),
                   Gateway::Sends({ResponseOf({7})}, kBroken),
                   Gateway::Sends({ResponseOf({8})}, grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, Resuming(OnGap::kEarliest)).ok());
  EXPECT_THAT(recorder_.sequences, ElementsAre(7, 8));
  const auto requests = gateway.requests();
  EXPECT_EQ(requests[1].position(), v1::START_POSITION_EARLIEST);
  EXPECT_EQ(requests[2].after_cursor(), "cursor-7");
  EXPECT_TRUE(recorder_.interruptions[0].IsGap());
}

TEST_P(GapTest, GoesOnWithNewEventsOnly) {
  Gateway gateway({Gateway::Fails(GetParam().ToStatus()),
                   Gateway::Fails(grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, Resuming(OnGap::kLatest)).ok());
  EXPECT_EQ(gateway.requests()[1].position(), v1::START_POSITION_LATEST);
}

INSTANTIATE_TEST_SUITE_P(
    Reasons, GapTest,
    ::testing::Values(FakeError{grpc::StatusCode::OUT_OF_RANGE,
                                "CURSOR_EXPIRED",
                                std::nullopt,
                                {{"earliest_cursor", "c"},
                                 {"earliest_time", "2025-01-31T08:00:00Z"}}},
                      FakeError{grpc::StatusCode::FAILED_PRECONDITION,
                                "CURSOR_STORE_MISMATCH",
                                std::nullopt,
                                {}}),
    [](const auto& info) { return info.param.reason; });

TEST_F(SubscriberClientTest, EndsWhenTheSubscriberHasEnough) {
  Gateway gateway({Gateway::FallsSilentAfter(
      {ResponseOf({1}), ResponseOf({2}), ResponseOf({3})})});
  recorder_.after_response = [this] { return recorder_.sequences.size() < 2; };
  EXPECT_TRUE(Run(gateway).ok());
  EXPECT_THAT(recorder_.sequences, ElementsAre(1, 2));
}

TEST_F(SubscriberClientTest, StopEndsAStreamThatIsSilent) {
  Gateway gateway({Gateway::FallsSilentAfter({ResponseOf({1})})});
  SubscriberClient client(Connect(gateway), {});
  WakeFlag received;
  recorder_.after_response = [&] {
    received.Set();
    return true;
  };
  std::thread stopper([&] {
    EXPECT_TRUE(received.Wait());
    client.Stop();
  });
  EXPECT_TRUE(client.Run(recorder_).ok());
  stopper.join();
  EXPECT_THAT(recorder_.interruptions, IsEmpty());
}

TEST_F(SubscriberClientTest, StopEndsAPause) {
  const FakeError busy{grpc::StatusCode::RESOURCE_EXHAUSTED,
                       "TOO_MANY_STREAMS",
                       absl::Minutes(5),
                       {}};
  Gateway gateway({Gateway::Fails(busy.ToStatus())});
  SubscriberClient client(Connect(gateway), {});

  // Says that the pause begins.
  class Impatient final : public Subscriber {
   public:
    WakeFlag interrupted;
    bool OnResponse(const v1::SubscribeResponse&) override { return true; }
    void OnInterrupted(const StreamEnd&, absl::Duration) override {
      interrupted.Set();
    }
  } subscriber;
  std::thread stopper([&] {
    EXPECT_TRUE(subscriber.interrupted.Wait());
    client.Stop();
  });
  EXPECT_TRUE(client.Run(subscriber).ok());
  stopper.join();
  EXPECT_THAT(gateway.requests(), SizeIs(1));
}

TEST_F(SubscriberClientTest, StopBeforeRunMeansNoAttempt) {
  Gateway gateway({});
  SubscriberClient client(Connect(gateway), {});
  client.Stop();
  EXPECT_TRUE(client.Run(recorder_).ok());
  EXPECT_THAT(gateway.requests(), IsEmpty());
}

// gRPC's own limit is 4 MiB.
TEST_F(SubscriberClientTest, TakesLargeResponses) {
  v1::SubscribeResponse large = ResponseOf({1});
  large.mutable_events(0)->set_payload(std::string(8 << 20, 'x'));
  Gateway gateway({Gateway::Sends({large}, grpc::Status::OK)});
  EXPECT_TRUE(Run(gateway, BoundedRead()).ok());
  EXPECT_THAT(recorder_.sequences, ElementsAre(1));
}

TEST(StreamEndTest, TellsWhatIsWrongWithTheRequest) {
  google::rpc::Status status;
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field("filters[0].types[1]");
  violation->set_description("unknown");
  status.add_details()->PackFrom(bad_request);
  const StreamEnd end = StreamEnd::FromStatus(
      {grpc::StatusCode::INVALID_ARGUMENT, "no", status.SerializeAsString()});
  EXPECT_EQ(end.ToString(),
            "invalid argument: no\n  filters[0].types[1]: unknown");
}

TEST(StreamEndTest, IgnoresReasonsOfOtherDomains) {
  google::rpc::Status status;
  google::rpc::ErrorInfo info;
  info.set_reason("CURSOR_EXPIRED");
  info.set_domain("example.com");
  status.add_details()->PackFrom(info);
  EXPECT_FALSE(StreamEnd::FromStatus({grpc::StatusCode::UNAVAILABLE, "",
                                      status.SerializeAsString()})
                   .IsGap());
}

TEST(StreamEndTest, UnderstandsErrorsWithoutDetails) {
  const StreamEnd end =
      StreamEnd::FromStatus({grpc::StatusCode::UNAVAILABLE, "x", "\xff junk"});
  EXPECT_EQ(end.ToString(), "unavailable: x");
  EXPECT_FALSE(end.retry_delay.has_value());
}

}  // namespace
}  // namespace waggle
