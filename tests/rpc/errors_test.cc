// Every row of the table of errors, as a client sees it.
#include <string>
#include <vector>

#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ErrorsTest : public RpcTest {
 protected:
  // The same start gives the same error from Subscribe and from ListEvents.
  void ExpectBoth(const std::string& start, grpc::StatusCode code,
                  const std::string& reason) {
    const RichStatus subscribe(
        Subscribe(FromText<v1::SubscribeRequest>(start)));
    EXPECT_EQ(subscribe.code, code) << start;
    EXPECT_EQ(subscribe.reason(), reason) << start;
    EXPECT_THAT(subscribe.message, Not(IsEmpty()));
    v1::ListEventsResponse response;
    const RichStatus list(
        List(FromText<v1::ListEventsRequest>(start), response));
    EXPECT_EQ(list.code, code) << start;
    EXPECT_EQ(list.reason(), reason) << start;
  }
};

TEST_F(ErrorsTest, TextThatIsNotACursorIsMalformed) {
  Start();
  for (const std::string& text :
       {std::string(), std::string("garbage"), CursorAt(0) + "=",
        CursorAt(0).substr(1), std::string(10'000, 'A')}) {
    ExpectBoth(absl::StrCat("after_cursor: '", text, "'"),
               grpc::StatusCode::INVALID_ARGUMENT, "CURSOR_MALFORMED");
  }
}

TEST_F(ErrorsTest, ACursorOfAnotherStoreIsAMismatch) {
  Start();
  StoreId other = store.id();
  other[3] ^= 1;
  ExpectBoth(
      absl::StrCat("after_cursor: '", Cursor{other, Sequence(0)}.Encode(), "'"),
      grpc::StatusCode::FAILED_PRECONDITION, "CURSOR_STORE_MISMATCH");
}

TEST_F(ErrorsTest, ACursorBeyondTheStoresEndIsAMismatch) {
  Start();
  AppendNumbered(store, 1, 3);
  ExpectBoth(absl::StrCat("after_cursor: '", CursorAt(4), "'"),
             grpc::StatusCode::FAILED_PRECONDITION, "CURSOR_STORE_MISMATCH");
}

TEST_F(ErrorsTest, ACursorBeforeRetentionIsExpiredAndTellsWhereToGoOn) {
  Start();
  AppendNumbered(store, 1, 3);
  TrimAll();
  AppendNumbered(store, 4, 5);
  ExpectBoth(absl::StrCat("after_cursor: '", CursorAt(2), "'"),
             grpc::StatusCode::OUT_OF_RANGE, "CURSOR_EXPIRED");

  v1::SubscribeRequest request;
  request.set_after_cursor(CursorAt(2));
  const RichStatus status(Subscribe(request));
  EXPECT_EQ(status.Metadata("earliest_cursor"), CursorAt(3));
  absl::Time earliest;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(
      absl::RFC3339_full, status.Metadata("earliest_time"), &earliest, &error))
      << error;
  EXPECT_EQ(earliest, clock.Now());

  request.set_after_cursor(status.Metadata("earliest_cursor"));
  EXPECT_EQ(TestStream(*stub, request).ReadSequences(2), Range(4, 5));
}

TEST_F(ErrorsTest, ExpiryOfAnEmptyStoreNamesNoTime) {
  Start();
  AppendNumbered(store, 1, 3);
  TrimAll();
  v1::SubscribeRequest request;
  request.set_after_cursor(CursorAt(1));
  const RichStatus status(Subscribe(request));
  EXPECT_EQ(status.reason(), "CURSOR_EXPIRED");
  EXPECT_EQ(status.Metadata("earliest_cursor"), CursorAt(3));
  EXPECT_EQ(status.info->metadata().count("earliest_time"), 0u);
}

TEST_F(ErrorsTest, AStreamThatRetentionOvertakesIsExpired) {
  Start({}, NoTail());
  AppendNumbered(store, 1, 3);
  store.HoldReads();
  TestStream stream(*stub, FromEarliest());
  store.WaitForReads(1);
  TrimAll();
  store.ReleaseReads();
  const RichStatus status(stream.Finish());
  EXPECT_EQ(status.code, grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(status.reason(), "CURSOR_EXPIRED");
  EXPECT_EQ(status.Metadata("earliest_cursor"), CursorAt(3));
}

struct InvalidRequest {
  std::string name;
  std::string request;
  std::vector<std::string> fields;
};

class InvalidSubscribeTest
    : public RpcTest,
      public ::testing::WithParamInterface<InvalidRequest> {};

TEST_P(InvalidSubscribeTest, IsRefusedWithTheFieldsPaths) {
  Start();
  const RichStatus status(
      Subscribe(FromText<v1::SubscribeRequest>(GetParam().request)));
  EXPECT_EQ(status.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.reason(), "INVALID_ARGUMENT");
  EXPECT_EQ(status.Fields(), GetParam().fields);
  EXPECT_THAT(status.message, HasSubstr(GetParam().fields.front()));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, InvalidSubscribeTest,
    ::testing::Values(
        InvalidRequest{"Filter",
                       "filters { types: [0, 99] models: '' }",
                       {"filters[0].types[0]", "filters[0].types[1]",
                        "filters[0].models[0]"}},
        InvalidRequest{"Position", "position: 7", {"position"}},
        InvalidRequest{
            "MaxBatchSize", "max_batch_size: 257", {"max_batch_size"}},
        InvalidRequest{"HeartbeatTooShort",
                       "heartbeat_interval { nanos: 999999999 }",
                       {"heartbeat_interval"}},
        InvalidRequest{
            "HeartbeatZero", "heartbeat_interval {}", {"heartbeat_interval"}},
        InvalidRequest{"HeartbeatTooLong",
                       "heartbeat_interval { seconds: 601 }",
                       {"heartbeat_interval"}},
        InvalidRequest{"HeartbeatNegative",
                       "heartbeat_interval { seconds: -5 }",
                       {"heartbeat_interval"}},
        InvalidRequest{"HeartbeatNotADuration",
                       "heartbeat_interval { seconds: 5 nanos: 2000000000 }",
                       {"heartbeat_interval"}},
        InvalidRequest{"SinceNegativeNanos", "since { nanos: -1 }", {"since"}},
        InvalidRequest{"SinceBeyondYear9999",
                       "since { seconds: 253402300800 }",
                       {"since"}},
        InvalidRequest{"SinceBeforeYear1",
                       "since { seconds: -9223372036854775808 }",
                       {"since"}},
        InvalidRequest{"Several",
                       "filters { endpoints: '' } max_batch_size: 1000 "
                       "heartbeat_interval { seconds: 0 }",
                       {"filters[0].endpoints[0]", "max_batch_size",
                        "heartbeat_interval"}}),
    [](const auto& info) { return info.param.name; });

TEST_F(ErrorsTest, BoundsOfOptionsAreAccepted) {
  Start();
  for (const char* text :
       {"max_batch_size: 256", "max_batch_size: 1",
        "heartbeat_interval { seconds: 1 }",
        "heartbeat_interval { seconds: 600 }", "position: 0", "since {}",
        "since { seconds: 253402300799 nanos: 999999999 }"}) {
    auto request = FromText<v1::SubscribeRequest>(text);
    request.set_stop_when_caught_up(true);
    EXPECT_TRUE(Subscribe(request).ok()) << text;
  }
}

TEST_F(ErrorsTest, AThousandViolationsStillFitIntoAnError) {
  Start();
  v1::SubscribeRequest request;
  for (int i = 0; i < 1000; ++i) request.add_filters()->add_models("");
  request.mutable_filters()->DeleteSubrange(0, 901);
  for (int i = 0; i < 900; ++i) request.mutable_filters(98)->add_models("");
  const RichStatus status(Subscribe(request));
  EXPECT_EQ(status.code, grpc::StatusCode::INVALID_ARGUMENT) << status.message;
  EXPECT_EQ(status.reason(), "INVALID_ARGUMENT");
  EXPECT_THAT(status.Fields(), Not(IsEmpty()));
}

TEST_F(ErrorsTest, LimitsOfFiltersCanBeSet) {
  GrpcOptions options;
  options.filters = {.max_filters = 1, .max_values = 2};
  Start(options);
  for (const char* text :
       {"filters {} filters {}", "filters { models: ['a', 'b', 'c'] }"}) {
    EXPECT_THAT(
        RichStatus(Subscribe(FromText<v1::SubscribeRequest>(text))).Fields(),
        ElementsAre("filters"))
        << text;
    v1::ListEventsResponse page;
    EXPECT_THAT(
        RichStatus(List(FromText<v1::ListEventsRequest>(text), page)).Fields(),
        ElementsAre("filters"))
        << text;
  }
  v1::ListEventsResponse page;
  EXPECT_TRUE(
      List(FromText<v1::ListEventsRequest>("filters { models: ['a', 'b'] }"),
           page)
          .ok());
}

TEST_F(ErrorsTest, RequestsOverTheLimitSetAreRefused) {
  GrpcOptions options;
  options.max_request_bytes = 4096;
  Start(options);
  EXPECT_EQ(
      RawCall("/waggle.v1.EventService/ListEvents", std::string(5000, '\x0a'))
          .status.error_code(),
      grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ErrorsTest, MetadataOverTheLimitSetIsRefused) {
  GrpcOptions options;
  options.max_metadata_bytes = 2048;
  Start(options);
  for (const auto& [size, code] :
       {std::pair{500, grpc::StatusCode::OK},
        std::pair{4000, grpc::StatusCode::RESOURCE_EXHAUSTED}}) {
    grpc::ClientContext context;
    context.set_deadline(CallDeadline());
    context.AddMetadata("filler", std::string(size, 'x'));
    v1::ListEventsResponse page;
    EXPECT_EQ(stub->ListEvents(&context, {}, &page).error_code(), code) << size;
  }
}

TEST_F(ErrorsTest, BytesThatAreNoRequestAreInvalid) {
  Start();
  const RawAnswer answer =
      RawCall("/waggle.v1.EventService/Subscribe", "\x0a\xff garbage");
  const RichStatus status(answer.status);
  EXPECT_EQ(status.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.reason(), "INVALID_ARGUMENT");
  EXPECT_THAT(answer.messages, IsEmpty());
}

TEST_F(ErrorsTest, InvalidListRequestsAreRefusedWithTheFieldsPaths) {
  Start();
  v1::ListEventsResponse response;
  const RichStatus status(
      List(FromText<v1::ListEventsRequest>(
               "filters {} filters { sync_types: [9] } since { nanos: -1 }"),
           response));
  EXPECT_EQ(status.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.reason(), "INVALID_ARGUMENT");
  EXPECT_THAT(status.Fields(),
              ElementsAre("filters[1].sync_types[0]", "since"));
}

TEST_F(ErrorsTest, UnknownAndImpossibleIds) {
  Start();
  v1::GetEventRequest request;
  v1::GetEventResponse response;
  for (const std::string& id : {EventId(77), std::string("no-uuid")}) {
    request.set_id(id);
    const RichStatus status(Get(request, response));
    EXPECT_EQ(status.code, grpc::StatusCode::NOT_FOUND) << id;
    EXPECT_EQ(status.reason(), "EVENT_NOT_FOUND") << id;
  }
  for (const std::string& id : {std::string(), std::string(65, 'a')}) {
    request.set_id(id);
    const RichStatus status(Get(request, response));
    EXPECT_EQ(status.code, grpc::StatusCode::INVALID_ARGUMENT) << id;
    EXPECT_THAT(status.Fields(), ElementsAre("id"));
  }
}

TEST_F(ErrorsTest, TooManyStreamsAreRefusedUntilOneEnds) {
  GrpcOptions options;
  options.streams.all = 2;
  Start(options);
  v1::SubscribeResponse response;
  TestStream first(*stub, {});
  auto second = std::make_unique<TestStream>(*stub, v1::SubscribeRequest());
  ASSERT_TRUE(first.Read(response));
  ASSERT_TRUE(second->Read(response));

  const RichStatus status(Subscribe({}));
  EXPECT_EQ(status.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.reason(), "TOO_MANY_STREAMS");
  ASSERT_TRUE(status.quota.has_value());
  EXPECT_THAT(status.quota->violations(), SizeIs(1));
  EXPECT_GT(status.RetryDelay(), 0);

  second.reset();
  // The server learns of the cancellation in its own time.
  grpc::StatusCode code;
  do {
    v1::SubscribeRequest request;
    request.set_stop_when_caught_up(true);
    code = Subscribe(request).error_code();
  } while (code == grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(code, grpc::StatusCode::OK);
}

TEST_F(ErrorsTest, AStoreThatCannotBeReadIsUnavailable) {
  Start({}, NoTail());
  AppendNumbered(store, 1, 3);
  store.FailReadsWith(absl::UnavailableError("busy"));
  const auto expect_unavailable = [](const grpc::Status& status) {
    const RichStatus rich(status);
    EXPECT_EQ(rich.code, grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(rich.reason(), "STORE_UNAVAILABLE");
    EXPECT_GT(rich.RetryDelay(), 0);
  };
  expect_unavailable(Subscribe(FromEarliest()));
  expect_unavailable(
      Subscribe(FromText<v1::SubscribeRequest>("since { seconds: 1 }")));
  v1::ListEventsResponse list;
  expect_unavailable(List({}, list));
  v1::GetEventRequest get;
  get.set_id(EventId(1));
  v1::GetEventResponse got;
  expect_unavailable(Get(get, got));
}

}  // namespace
}  // namespace waggle::rpc
