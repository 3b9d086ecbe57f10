// How the server and its streams come and go: health, reflection, draining,
// rotation, and a thousand at once.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/fakes/wait_for.h"
#include "tests/rpc/rpc_fixture.h"

namespace waggle::rpc {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Le;

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kReflection[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
// HealthCheckRequest { service: "waggle.v1.EventService" }
constexpr char kOfEventService[] = "\x0a\x16waggle.v1.EventService";
// HealthCheckResponse { status: SERVING }, and NOT_SERVING
constexpr char kServing[] = "\x08\x01";
constexpr char kNotServing[] = "\x08\x02";
// ServerReflectionRequest { list_services: "*" }
constexpr char kListServices[] = "\x3a\x01*";

class LifecycleTest : public RpcTest {
 protected:
  void ExpectRotated(const grpc::Status& status) {
    const RichStatus rich(status);
    EXPECT_EQ(rich.code, grpc::StatusCode::UNAVAILABLE) << rich.message;
    EXPECT_EQ(rich.reason(), "STREAM_ROTATED") << rich.message;
    EXPECT_GT(rich.RetryDelay(), 0);
  }
};

TEST_F(LifecycleTest, HealthIsWhatItIsToldToBe) {
  Start();
  for (const char* service : {"", kOfEventService}) {
    EXPECT_THAT(RawCall(kHealthCheck, service).messages,
                ElementsAre(kNotServing));
    server->SetServing(true);
    EXPECT_THAT(RawCall(kHealthCheck, service).messages, ElementsAre(kServing));
    server->SetServing(false);
  }
  EXPECT_EQ(RawCall(kHealthCheck, "\x0a\x05other").status.error_code(),
            grpc::StatusCode::NOT_FOUND);
}

// A watch of health.
class Watch {
 public:
  Watch(grpc::health::v1::Health::Stub& stub, const std::string& service) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    reader_ = stub.Watch(&context_, request);
  }
  // The next status; UNKNOWN at the end.
  grpc::health::v1::HealthCheckResponse::ServingStatus Read() {
    grpc::health::v1::HealthCheckResponse response;
    reader_->Read(&response);
    return response.status();
  }
  grpc::Status Finish() { return reader_->Finish(); }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<grpc::health::v1::HealthCheckResponse>>
      reader_;
};

TEST_F(LifecycleTest, WatchesOfHealthAreToldOfEachChangeAndOfTheEnd) {
  using Response = grpc::health::v1::HealthCheckResponse;
  Start();
  const auto health = grpc::health::v1::Health::NewStub(channel);
  Watch all(*health, "");
  Watch events(*health, "waggle.v1.EventService");
  Watch other(*health, "other");
  EXPECT_EQ(other.Read(), Response::SERVICE_UNKNOWN);
  EXPECT_EQ(all.Read(), Response::NOT_SERVING);
  EXPECT_EQ(events.Read(), Response::NOT_SERVING);
  server->SetServing(true);
  EXPECT_EQ(all.Read(), Response::SERVING);
  EXPECT_EQ(events.Read(), Response::SERVING);
  std::thread drainer([&] { server->Drain(absl::Seconds(60)); });
  for (Watch* watch : {&all, &events}) {
    EXPECT_EQ(watch->Read(), Response::NOT_SERVING);
    EXPECT_EQ(watch->Read(), Response::UNKNOWN);
    EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  EXPECT_EQ(other.Read(), Response::UNKNOWN);
  drainer.join();
}

TEST_F(LifecycleTest, WatchesOfHealthAreBounded) {
  using Response = grpc::health::v1::HealthCheckResponse;
  const HealthWatchQuota quotas[] = {{.all = 3, .per_address = 9},
                                     {.all = 9, .per_address = 3}};
  for (const HealthWatchQuota& quota : quotas) {
    GrpcOptions options;
    options.health_watches = quota;
    Start(options);
    const auto health = grpc::health::v1::Health::NewStub(channel);
    std::vector<std::unique_ptr<Watch>> watches;
    for (int i = 0; i < 3; ++i) {
      watches.push_back(std::make_unique<Watch>(*health, ""));
      EXPECT_EQ(watches.back()->Read(), Response::NOT_SERVING);
    }
    Watch beyond(*health, "");
    EXPECT_EQ(beyond.Read(), Response::UNKNOWN);
    const RichStatus refused(beyond.Finish());
    EXPECT_EQ(refused.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(refused.reason(), "TOO_MANY_STREAMS");
    EXPECT_THAT(
        metrics.Serialize(),
        HasSubstr("waggle_grpc_refused_total{reason=\"too_many_streams\"}"));
    watches[0]->Cancel();
    // There is room once the server has noticed.
    testing::WaitFor([&] {
      Watch again(*health, "");
      const bool told = again.Read() == Response::NOT_SERVING;
      again.Cancel();
      return told;
    });
    for (const auto& watch : watches) watch->Cancel();
    server.reset();
  }
}

TEST_F(LifecycleTest, HealthSettingIsHarmlessAfterDraining) {
  Start();
  server->Drain(absl::Seconds(1));
  server->SetServing(true);
  server->UpdateMetrics();
  server->Drain(absl::Seconds(1));
}

TEST_F(LifecycleTest, ReflectionListsTheServicesIfOn) {
  Start();
  EXPECT_THAT(RawCall(kReflection, kListServices).messages,
              Contains(HasSubstr("waggle.v1.EventService")));
}

TEST_F(LifecycleTest, ReflectionIsUnknownIfOff) {
  GrpcOptions options;
  options.reflection = false;
  Start(options);
  EXPECT_EQ(RawCall(kReflection, kListServices).status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(LifecycleTest, APortThatIsTakenIsRefused) {
  Start();
  GrpcOptions options;
  options.port = server->port();
  const auto second = GrpcServer::Start(options, Backends());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(LifecycleTest, DrainingSendsWhatIsCommittedThenEndsTheStream) {
  Start({}, NoTail());
  AppendNumbered(store, 1, 3000);
  TestStream behind(*stub, FromEarliest());
  TestStream live(*stub, {});
  v1::SubscribeResponse response;
  ASSERT_TRUE(behind.Read(response));
  ASSERT_TRUE(live.Read(response));
  std::thread drainer([&] { server->Drain(absl::Seconds(60)); });
  ExpectRotated(live.Finish());
  EXPECT_EQ(behind.ReadSequences(3000), Range(1, 3000));
  EXPECT_EQ(behind.cursor(), CursorAt(3000));
  ExpectRotated(behind.Finish());
  drainer.join();
}

TEST_F(LifecycleTest, DrainingTellsHowFarAStreamLooked) {
  Start();
  TestStream stream(
      *stub, FromText<v1::SubscribeRequest>("filters { models: 'none' }"));
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream.Read(response));
  AppendNumbered(store, 1, 30);
  server->Drain(absl::Seconds(60));
  while (stream.Read(response)) {
  }
  EXPECT_EQ(response.cursor(), CursorAt(30));
  ExpectRotated(stream.Finish());
}

TEST_F(LifecycleTest, WhatComesWhileDrainingIsToldToGoElsewhere) {
  Start();
  AppendNumbered(store, 1, 100, /*payload_size=*/100'000);
  v1::SubscribeRequest flood = FromEarliest();
  flood.set_include_payload(true);
  TestStream stuck(*stub, flood);  // keeps the server draining
  v1::SubscribeResponse response;
  ASSERT_TRUE(stuck.Read(response));
  std::thread drainer([&] { server->Drain(absl::Seconds(60)); });
  v1::SubscribeRequest request;
  request.set_stop_when_caught_up(true);
  grpc::Status status;
  do {
    status = Subscribe(request);
  } while (status.ok());
  ExpectRotated(status);
  EXPECT_EQ(stuck.ReadSequences(100), Range(1, 100));
  ExpectRotated(stuck.Finish());
  drainer.join();
}

TEST_F(LifecycleTest, DrainingEndsInTimeThoughAClientDoesNotRead) {
  Start();
  AppendNumbered(store, 1, 200, /*payload_size=*/100'000);
  v1::SubscribeRequest flood = FromEarliest();
  flood.set_include_payload(true);
  TestStream stuck(*stub, flood);
  v1::SubscribeResponse response;
  ASSERT_TRUE(stuck.Read(response));
  const absl::Time start = absl::Now();
  server->Drain(absl::Milliseconds(200));
  EXPECT_THAT(absl::Now() - start, Le(absl::Seconds(15)));
  EXPECT_FALSE(stuck.Finish().ok());
}

TEST_F(LifecycleTest, DrainingEndsStreamsThatHaveNotBegun) {
  Start();
  store.HoldReads();
  TestStream stream(*stub,
                    FromText<v1::SubscribeRequest>("since { seconds: 1 }"));
  store.WaitForReads(1);
  std::thread drainer([&] { server->Drain(absl::Milliseconds(50)); });
  EXPECT_FALSE(stream.Finish().ok());
  store.ReleaseReads();
  drainer.join();
}

TEST_F(LifecycleTest, StreamsEndAtTheirAgeAndResume) {
  GrpcOptions options;
  options.max_stream_age = absl::Seconds(1);
  Start(options);
  AppendNumbered(store, 1, 5);
  const absl::Time start = absl::Now();
  TestStream stream(*stub, FromEarliest());
  EXPECT_EQ(stream.ReadSequences(6), Range(1, 5));
  const absl::Duration age = absl::Now() - start;
  EXPECT_GE(age, absl::Milliseconds(800)) << "jitter takes at most a fifth";
  const std::string cursor = stream.cursor();
  ExpectRotated(stream.Finish());

  AppendNumbered(store, 6, 7);
  v1::SubscribeRequest request;
  request.set_after_cursor(cursor);
  EXPECT_EQ(TestStream(*stub, request).ReadSequences(2), Range(6, 7));
}

// What many readers have received.
class Tally {
 public:
  void Add(int responses, int events) {
    MutexLock lock(mu_);
    responses_ += responses;
    events_ += events;
    changed_.SignalAll();
  }
  bool WaitForResponses(int count) { return WaitFor(responses_, count); }
  bool WaitForEvents(int count) { return WaitFor(events_, count); }

 private:
  bool WaitFor(const int& value, int count) {
    MutexLock lock(mu_);
    while (value < count) {
      if (!changed_.WaitFor(mu_, absl::Seconds(60)) && value < count) {
        ADD_FAILURE() << value << " of " << count;
        return false;
      }
    }
    return true;
  }

  Mutex mu_;
  CondVar changed_;
  int responses_ = 0;
  int events_ = 0;
};

// Reads all that comes, or nothing.
class AsyncReader final
    : public grpc::ClientReadReactor<v1::SubscribeResponse> {
 public:
  AsyncReader(v1::EventService::Stub& stub, const v1::SubscribeRequest& request,
              bool reads, Tally& tally)
      : request_(request), tally_(tally), reads_(reads) {
    stub.async()->Subscribe(&context_, &request_, this);
    AddHold();
    if (reads_) StartRead(&response_);
    StartCall();
  }
  // After the end of the call.
  ~AsyncReader() override {
    context_.TryCancel();
    RemoveHold();
    done_.Wait();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    // gRPC orders the reactions, which ThreadSanitizer does not see.
    MutexLock lock(mu_);
    for (const v1::Event& event : response_.events()) {
      if (event.sequence() != ++last_) ADD_FAILURE() << event.sequence();
    }
    tally_.Add(1, response_.events_size());
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override { done_.Set(); }

 private:
  grpc::ClientContext context_;
  const v1::SubscribeRequest request_;
  v1::SubscribeResponse response_;
  Tally& tally_;
  const bool reads_;
  Mutex mu_;
  uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;
  WakeFlag done_;
};

TEST_F(LifecycleTest, AThousandSubscribersGetEverythingThoughOneNeverReads) {
  constexpr int kSubscribers = 1000;
  constexpr int kChannels = 5;
  constexpr int kEvents = 60;
  Start();
  std::vector<std::unique_ptr<v1::EventService::Stub>> stubs;
  for (int i = 0; i < kChannels; ++i) {
    stubs.push_back(v1::EventService::NewStub(NewChannel()));
  }
  Tally tally;
  Tally of_stuck;
  v1::SubscribeRequest flood;
  flood.set_include_payload(true);
  // Shares a connection with two hundred others.
  AsyncReader stuck(*stubs[0], flood, /*reads=*/false, of_stuck);
  std::vector<std::unique_ptr<AsyncReader>> readers;
  for (int i = 0; i < kSubscribers; ++i) {
    readers.push_back(std::make_unique<AsyncReader>(
        *stubs[i % kChannels], v1::SubscribeRequest(), /*reads=*/true, tally));
  }
  ASSERT_TRUE(tally.WaitForResponses(kSubscribers));
  for (int n = 1; n <= kEvents; n += 10) {
    AppendNumbered(store, n, n + 9, /*payload_size=*/100'000);
  }
  EXPECT_TRUE(tally.WaitForEvents(kSubscribers * kEvents));
}

}  // namespace
}  // namespace waggle::rpc
