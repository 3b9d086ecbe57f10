#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "tests/fakes/wait_for.h"
#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using waggle::testing::WaitFor;

class SubscribeTest : public RpcTest {};

TEST_F(SubscribeTest, TheFirstResponseComesAtOnceAndTellsThePosition) {
  Start();
  AppendNumbered(store, 1, 3);
  v1::SubscribeResponse response;
  TestStream latest(*stub, {});
  ASSERT_TRUE(latest.Read(response));
  EXPECT_THAT(response.events(), IsEmpty());
  EXPECT_EQ(response.cursor(), CursorAt(3));
  EXPECT_TRUE(response.caught_up());

  TestStream earliest(*stub, FromEarliest());
  ASSERT_TRUE(earliest.Read(response));
  EXPECT_THAT(response.events(), IsEmpty());
  EXPECT_EQ(response.cursor(), CursorAt(0));
  EXPECT_FALSE(response.caught_up());
}

TEST_F(SubscribeTest, LatestGetsWhatIsStoredFromNowOn) {
  Start();
  AppendNumbered(store, 1, 3);
  TestStream stream(*stub, {});
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream.Read(response));
  AppendNumbered(store, 4, 4);
  ASSERT_TRUE(stream.Read(response));
  ASSERT_EQ(response.events_size(), 1);
  EXPECT_EQ(response.events(0).id(), EventId(4));
  EXPECT_EQ(response.events(0).sequence(), 4u);
  EXPECT_EQ(response.cursor(), CursorAt(4));
}

TEST_F(SubscribeTest, EarliestStartsAtWhatIsRetained) {
  Start();
  AppendNumbered(store, 1, 3);
  TrimAll();
  AppendNumbered(store, 4, 6);
  EXPECT_EQ(TestStream(*stub, FromEarliest()).ReadSequences(3), Range(4, 6));
}

TEST_F(SubscribeTest, SinceStartsAtTheFirstEventStoredThen) {
  Start();
  AppendNumbered(store, 1, 3);
  clock.Advance(absl::Seconds(10));
  v1::SubscribeRequest request;
  request.mutable_since()->set_seconds(absl::ToUnixSeconds(clock.Now()));
  AppendNumbered(store, 4, 6);
  EXPECT_EQ(TestStream(*stub, request).ReadSequences(3), Range(4, 6));
}

TEST_F(SubscribeTest, SinceTheFutureIsLatest) {
  Start();
  AppendNumbered(store, 1, 3);
  v1::SubscribeRequest request;
  request.mutable_since()->set_seconds(
      absl::ToUnixSeconds(clock.Now() + absl::Hours(1)));
  TestStream stream(*stub, request);
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream.Read(response));
  EXPECT_EQ(response.cursor(), CursorAt(3));
  AppendNumbered(store, 4, 4);
  EXPECT_EQ(stream.ReadSequences(1), Range(4, 4));
}

TEST_F(SubscribeTest, ResumesByTheCursorOfAnyResponse) {
  Start();
  AppendNumbered(store, 1, 100);
  v1::SubscribeRequest request = FromEarliest();
  request.set_max_batch_size(7);
  std::vector<uint64_t> sequences;
  while (sequences.size() < 100) {
    TestStream stream(*stub, request);
    for (uint64_t s : stream.ReadSequences(1)) sequences.push_back(s);
    request.set_after_cursor(stream.cursor());
  }
  EXPECT_EQ(sequences, Range(1, 100));
}

TEST_F(SubscribeTest, StopsOnceCaughtUpWithWhatWasStoredThen) {
  Start({}, NoTail());
  AppendNumbered(store, 1, 500);
  v1::SubscribeRequest request = FromEarliest();
  request.set_stop_when_caught_up(true);
  TestStream stream(*stub, request);
  EXPECT_EQ(stream.ReadSequences(500), Range(1, 500));
  EXPECT_EQ(stream.cursor(), CursorAt(500));
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(SubscribeTest, ABoundedReadTellsHowFarItLookedWhateverMatched) {
  Start();
  AppendNumbered(store, 1, 500);
  auto request = FromText<v1::SubscribeRequest>(
      "filters { models: 'none' } position: START_POSITION_EARLIEST "
      "stop_when_caught_up: true");
  TestStream stream(*stub, request);
  EXPECT_THAT(stream.ReadSequences(1), IsEmpty());
  EXPECT_EQ(stream.cursor(), CursorAt(500));
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(SubscribeTest, ABoundedReadOfNothingEndsAtOnce) {
  Start();
  v1::SubscribeRequest request;
  request.set_stop_when_caught_up(true);
  EXPECT_TRUE(Subscribe(request).ok());
}

TEST_F(SubscribeTest, PayloadsComeIfAskedFor) {
  Start();
  Append(store, NumberedEvent(1, EventOfConnector("c"), "raw"));
  for (const bool include : {false, true}) {
    v1::SubscribeRequest request = FromEarliest();
    request.set_include_payload(include);
    TestStream stream(*stub, request);
    v1::SubscribeResponse response;
    while (response.events().empty()) ASSERT_TRUE(stream.Read(response));
    EXPECT_EQ(response.events(0).payload(), include ? "raw" : "");
    EXPECT_EQ(response.events(0).connector().id(), "c");
  }
}

TEST_F(SubscribeTest, ResponsesHoldAtMostWhatWasAskedFor) {
  Start();
  AppendNumbered(store, 1, 600);
  struct Case {
    uint32_t asked;
    int most;
  };
  for (const Case& c : {Case{0, 64}, Case{1, 1}, Case{9, 9}, Case{256, 256}}) {
    v1::SubscribeRequest request = FromEarliest();
    request.set_max_batch_size(c.asked);
    request.set_stop_when_caught_up(true);
    TestStream stream(*stub, request);
    v1::SubscribeResponse response;
    int events = 0;
    int largest = 0;
    while (stream.Read(response)) {
      events += response.events_size();
      largest = std::max(largest, response.events_size());
    }
    EXPECT_EQ(events, 600);
    EXPECT_EQ(largest, c.most);
  }
}

TEST_F(SubscribeTest, AnyOfTheFiltersIsEnough) {
  Start();
  Append(store, NumberedEvent(1, EventOfConnector("a")));
  Append(store, NumberedEvent(2, EventOfConnector("b")));
  Append(store, NumberedEvent(3, EventOfConnector("c")));
  auto request = FromText<v1::SubscribeRequest>(
      "filters { connector_ids: 'a' } filters { connector_ids: 'c' } "
      "position: START_POSITION_EARLIEST");
  const std::vector<uint64_t> expected = {1, 3};
  EXPECT_EQ(TestStream(*stub, request).ReadSequences(2), expected);
}

TEST_F(SubscribeTest, HeartbeatsMoveTheCursorPastWhatDoesNotMatch) {
  Start();
  auto request = FromText<v1::SubscribeRequest>(
      "filters { models: 'none' } heartbeat_interval { seconds: 1 }");
  TestStream stream(*stub, request);
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream.Read(response));
  EXPECT_EQ(response.cursor(), CursorAt(0));
  AppendNumbered(store, 1, 20);
  while (response.cursor() != CursorAt(20)) {
    ASSERT_TRUE(stream.Read(response));
    EXPECT_THAT(response.events(), IsEmpty());
  }
  EXPECT_TRUE(response.caught_up());
  // And they go on when nothing happens.
  ASSERT_TRUE(stream.Read(response));
  EXPECT_EQ(response.cursor(), CursorAt(20));
}

TEST_F(SubscribeTest, MetricsCountSubscribersEventsAndLag) {
  Start();
  AppendNumbered(store, 1, 10);
  TestStream stream(*stub, FromEarliest());
  EXPECT_EQ(stream.ReadSequences(10), Range(1, 10));
  EXPECT_THAT(metrics.Serialize(), HasSubstr("\nwaggle_subscribers 1\n"));
  // Once gRPC has told that it took the last of them.
  WaitFor([&] {
    server->UpdateMetrics();
    return metrics.Serialize().find("\nwaggle_subscriber_max_lag_events 0\n") !=
           std::string::npos;
  });
  // Of the stream before, counted once its end is known.
  stream.Cancel();
  stream.Finish();
  while (metrics.Serialize().find("\nwaggle_subscribers 0\n") ==
         std::string::npos) {
    std::this_thread::yield();
  }
  EXPECT_THAT(metrics.Serialize(),
              HasSubstr("\nwaggle_events_delivered_total 10\n"));
}

TEST_F(SubscribeTest, TheLagIsThatOfTheStreamFurthestBehind) {
  Start({}, NoTail());
  AppendNumbered(store, 1, 10);
  store.HoldReads();
  TestStream behind(*stub, FromEarliest());
  TestStream live(*stub, {});
  v1::SubscribeResponse response;
  ASSERT_TRUE(behind.Read(response));
  ASSERT_TRUE(live.Read(response));
  server->UpdateMetrics();
  EXPECT_THAT(metrics.Serialize(),
              HasSubstr("\nwaggle_subscriber_max_lag_events 10\n"));
}

// A webhook's way to a live stream is timed; what is caught up with is not.
TEST_F(SubscribeTest, TheWayToLiveStreamsIsTimed) {
  Start();
  const auto append = [this](uint64_t n) {
    v1::Event event;
    event.mutable_received_at()->set_seconds(absl::ToUnixSeconds(clock.Now()) -
                                             2);
    Append(store, NumberedEvent(n, event));
  };
  append(1);
  TestStream stream(*stub, FromEarliest());
  EXPECT_EQ(stream.ReadSequences(1), Range(1, 1));
  // The number of events that were timed, and their sum, at one moment.
  const auto timed = [this] {
    server->UpdateMetrics();
    const std::string text = metrics.Serialize();
    const auto value = [&text](const std::string& name) {
      const size_t at = text.find("\n" + name + " ");
      return at == std::string::npos
                 ? 0.0
                 : std::stod(text.substr(at + name.size() + 2));
    };
    return std::pair(value("waggle_event_delivery_seconds_count"),
                     value("waggle_event_delivery_seconds_sum"));
  };
  // What comes before the stream is live is caught up with, too.
  uint64_t n = 1;
  while (timed().first == 0) {
    append(++n);
    EXPECT_EQ(stream.ReadSequences(1), Range(n, n));
  }
  const auto [count, sum] = timed();
  EXPECT_LT(count, n);
  EXPECT_EQ(sum, 2 * count);
}

TEST_F(SubscribeTest, CallsAreCountedByMethodAndCode) {
  Start();
  const auto count = [this](const std::string& series) {
    return metrics.Serialize().find("\n" + series + "\n") != std::string::npos;
  };
  v1::SubscribeRequest bounded;
  bounded.set_stop_when_caught_up(true);
  EXPECT_TRUE(Subscribe(bounded).ok());
  Subscribe(FromText<v1::SubscribeRequest>("filters { models: '' }"));
  v1::ListEventsResponse page;
  EXPECT_TRUE(List({}, page).ok());
  v1::GetEventResponse got;
  Get({}, got);
  for (
      const char* series :
      {R"(code="OK",method="waggle.v1.EventService/Subscribe"} 1)",
       R"(code="INVALID_ARGUMENT",method="waggle.v1.EventService/Subscribe"} 1)",
       R"(code="OK",method="waggle.v1.EventService/ListEvents"} 1)",
       R"(code="INVALID_ARGUMENT",method="waggle.v1.EventService/GetEvent"} 1)"}) {
    EXPECT_TRUE(count(std::string("waggle_grpc_requests_total{") + series))
        << series << metrics.Serialize();
  }
  EXPECT_TRUE(
      count("waggle_grpc_request_seconds_count{"
            "method=\"waggle.v1.EventService/GetEvent\"} 1"));
  EXPECT_THAT(
      metrics.Serialize(),
      ::testing::Not(HasSubstr("waggle_grpc_request_seconds_count{"
                               "method=\"waggle.v1.EventService/Subscribe")));
}

}  // namespace
}  // namespace waggle::rpc
