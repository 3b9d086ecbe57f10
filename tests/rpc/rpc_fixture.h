// A gRPC server in this process over a store in memory, and clients of it.
#ifndef WAGGLE_TESTS_RPC_RPC_FIXTURE_H_
#define WAGGLE_TESTS_RPC_RPC_FIXTURE_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/metrics.h"
#include "base/thread_pool.h"
#include "event/cursor.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "ops/delivery_broadcast.h"
#include "ops/operator_queries.h"
#include "ops/subscriber_journal.h"
#include "rpc/grpc_server.h"
#include "security/access_control.h"
#include "store/memory/memory_event_store.h"
#include "stream/event_hub.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/from_text.h"
#include "tests/fakes/intercepted_store.h"
#include "tests/fakes/test_events.h"
#include "waggle/v1/delivery_service.grpc.pb.h"
#include "waggle/v1/event_service.grpc.pb.h"
#include "waggle/v1/gateway_service.grpc.pb.h"

namespace waggle::rpc {

// Calls that take longer are stuck.
inline std::chrono::system_clock::time_point CallDeadline() {
  return std::chrono::system_clock::now() + std::chrono::seconds(60);
}

// A status with its google.rpc details.
struct RichStatus {
  explicit RichStatus(const grpc::Status& status)
      : code(status.error_code()), message(status.error_message()) {
    google::rpc::Status proto;
    if (!proto.ParseFromString(status.error_details())) return;
    EXPECT_EQ(proto.code(), static_cast<int>(code));
    EXPECT_EQ(proto.message(), message);
    for (const google::protobuf::Any& detail : proto.details()) {
      Unpack(detail, info) || Unpack(detail, bad_request) ||
          Unpack(detail, quota) || Unpack(detail, retry);
    }
  }

  std::string reason() const {
    return info.has_value() && info->domain() == "waggle.dev" ? info->reason()
                                                              : "";
  }
  std::string Metadata(const std::string& key) const {
    return info.has_value() && info->metadata().count(key) > 0
               ? info->metadata().at(key)
               : "";
  }
  std::vector<std::string> Fields() const {
    std::vector<std::string> fields;
    if (!bad_request.has_value()) return fields;
    for (const auto& violation : bad_request->field_violations()) {
      EXPECT_NE(violation.description(), "");
      fields.push_back(violation.field());
    }
    return fields;
  }
  // In milliseconds; 0 if the status says nothing.
  int64_t RetryDelay() const {
    return retry.has_value() ? retry->retry_delay().seconds() * 1000 +
                                   retry->retry_delay().nanos() / 1'000'000
                             : 0;
  }

  grpc::StatusCode code;
  std::string message;
  std::optional<google::rpc::ErrorInfo> info;
  std::optional<google::rpc::BadRequest> bad_request;
  std::optional<google::rpc::QuotaFailure> quota;
  std::optional<google::rpc::RetryInfo> retry;

 private:
  template <typename Detail>
  static bool Unpack(const google::protobuf::Any& any,
                     std::optional<Detail>& detail) {
    Detail proto;
    if (!any.UnpackTo(&proto)) return false;
    EXPECT_FALSE(detail.has_value()) << "twice: " << any.type_url();
    detail = std::move(proto);
    return true;
  }
};

// A Subscribe call, read by the caller's thread. Cancelled when it goes.
class TestStream {
 public:
  TestStream(v1::EventService::Stub& stub, const v1::SubscribeRequest& request,
             const std::string& authorization = "") {
    context_.set_deadline(CallDeadline());
    if (!authorization.empty()) {
      context_.AddMetadata("authorization", authorization);
    }
    reader_ = stub.Subscribe(&context_, request);
  }
  ~TestStream() {
    if (finished_) return;
    context_.TryCancel();
    Finish();
  }
  TestStream(const TestStream&) = delete;
  TestStream& operator=(const TestStream&) = delete;

  bool Read(v1::SubscribeResponse& response) {
    return reader_->Read(&response);
  }

  // Reads until so many events came, or the stream ended.
  std::vector<uint64_t> ReadSequences(size_t count) {
    std::vector<uint64_t> sequences;
    v1::SubscribeResponse response;
    while (sequences.size() < count && Read(response)) {
      for (const v1::Event& event : response.events()) {
        sequences.push_back(event.sequence());
      }
      cursor_ = response.cursor();
    }
    return sequences;
  }

  // Of the last response that ReadSequences() read.
  const std::string& cursor() const { return cursor_; }

  void Cancel() { context_.TryCancel(); }

  // Drops what comes, and waits for the end.
  grpc::Status Finish() {
    finished_ = true;
    v1::SubscribeResponse response;
    while (Read(response)) {
    }
    return reader_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> reader_;
  std::string cursor_;
  bool finished_ = false;
};

// A WatchDeliveries call, read by the caller's thread. Cancelled when it goes.
class TestWatch {
 public:
  TestWatch(v1::DeliveryService::Stub& stub, const std::string& filter = "",
            const std::string& authorization = "") {
    context_.set_deadline(CallDeadline());
    if (!authorization.empty()) {
      context_.AddMetadata("authorization", authorization);
    }
    v1::WatchDeliveriesRequest request;
    *request.mutable_filter() = FromText<v1::DeliveryFilter>(filter);
    reader_ = stub.WatchDeliveries(&context_, request);
  }
  ~TestWatch() {
    if (finished_) return;
    context_.TryCancel();
    Finish();
  }
  TestWatch(const TestWatch&) = delete;
  TestWatch& operator=(const TestWatch&) = delete;

  bool Read(v1::WatchDeliveriesResponse& response) {
    return reader_->Read(&response);
  }

  // Reads until it has told of this delivery, or ended. Returns all ids.
  std::vector<uint64_t> ReadIdsThrough(uint64_t last) {
    std::vector<uint64_t> ids;
    v1::WatchDeliveriesResponse response;
    while ((ids.empty() || ids.back() < last) && Read(response)) {
      skipped_ += response.skipped();
      for (const v1::Delivery& delivery : response.deliveries()) {
        ids.push_back(delivery.id());
      }
    }
    return ids;
  }
  // In all that ReadIdsThrough() read.
  uint64_t skipped() const { return skipped_; }

  // Drops what comes, and waits for the end.
  grpc::Status Finish() {
    finished_ = true;
    v1::WatchDeliveriesResponse response;
    while (Read(response)) {
    }
    return reader_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchDeliveriesResponse>> reader_;
  uint64_t skipped_ = 0;
  bool finished_ = false;
};

class RpcTest : public ::testing::Test {
 protected:
  ~RpcTest() override {
    store.ReleaseReads();
    server.reset();
    store.Close();
    deliveries.reset();
  }

  void Start(const GrpcOptions& options = {},
             const HubOptions& hub_options = {}) {
    if (access == nullptr) access = AccessControl::Open(clock);
    hub = std::make_unique<EventHub>(store, readers, hub_options);
    hub->Start();
    subscribers = std::make_unique<SubscriberJournal>(memory, *hub, memory,
                                                      *access, clock, metrics);
    operators = std::make_unique<OperatorQueries>(
        store, memory, *subscribers, clock,
        GatewaySources{.version = "1.2.3",
                       .started_at = clock.Now(),
                       .retention = {},
                       .readiness = [] { return absl::OkStatus(); },
                       .endpoints = [] { return Endpoints(); },
                       .rates = [] { return Rates(); }});
    deliveries = std::make_unique<DeliveryBroadcast>(memory);
    deliveries->Start();
    auto started = GrpcServer::Start(options, Backends());
    ASSERT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
    channel = NewChannel();
    stub = v1::EventService::NewStub(channel);
    delivery_stub = v1::DeliveryService::NewStub(channel);
    gateway_stub = v1::GatewayService::NewStub(channel);
  }

  GrpcBackends Backends() {
    return {.store = store,
            .hub = *hub,
            .readers = readers,
            .access = *access,
            .subscribers = *subscribers,
            .operators = *operators,
            .deliveries = *deliveries,
            .metrics = metrics};
  }

  // What the gateway says of itself.
  static std::vector<v1::EndpointState> Endpoints() {
    return {FromText<v1::EndpointState>("name: 'bindbee'")};
  }
  static std::vector<v1::RatePoint> Rates() {
    return {FromText<v1::RatePoint>("accepted: 7")};
  }

  // A connection of its own.
  std::shared_ptr<grpc::Channel> NewChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // A client that does not read takes little, and the same on every machine.
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server->port()),
                                     grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  std::string CursorAt(uint64_t sequence) const {
    return Cursor{store.id(), Sequence(sequence)}.Encode();
  }

  // Removes what was stored up to now.
  void TrimAll() {
    clock.Advance(absl::Hours(1));
    RetentionLimits limits;
    limits.max_age = absl::Minutes(1);
    ASSERT_TRUE(store.Trim(limits).ok());
  }

  grpc::Status Subscribe(const v1::SubscribeRequest& request) {
    return TestStream(*stub, request).Finish();
  }

  grpc::Status List(const v1::ListEventsRequest& request,
                    v1::ListEventsResponse& response) {
    grpc::ClientContext context;
    context.set_deadline(CallDeadline());
    return stub->ListEvents(&context, request, &response);
  }

  grpc::Status Get(const v1::GetEventRequest& request,
                   v1::GetEventResponse& response) {
    grpc::ClientContext context;
    context.set_deadline(CallDeadline());
    return stub->GetEvent(&context, request, &response);
  }

  // A call of any method with one request in bytes. Cancelled after
  // `max_messages`, for streams that do not end.
  struct RawAnswer {
    grpc::Status status;
    std::vector<std::string> messages;
  };
  RawAnswer RawCall(const std::string& method, const std::string& request,
                    const std::vector<std::string>& authorizations = {},
                    size_t max_messages = SIZE_MAX) {
    grpc::ClientContext context;
    context.set_deadline(CallDeadline());
    for (const std::string& authorization : authorizations) {
      context.AddMetadata("authorization", authorization);
    }
    grpc::CompletionQueue queue;
    grpc::GenericStub generic(channel);
    const auto call = generic.PrepareCall(&context, method, &queue);
    const auto wait = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    call->StartCall(nullptr);
    wait();
    const grpc::Slice slice(request);
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    wait();
    RawAnswer answer;
    while (true) {
      grpc::ByteBuffer message;
      call->Read(&message, nullptr);
      if (!wait()) break;
      grpc::Slice bytes;
      EXPECT_TRUE(message.DumpToSingleSlice(&bytes).ok());
      answer.messages.emplace_back(reinterpret_cast<const char*>(bytes.begin()),
                                   bytes.size());
      if (answer.messages.size() == max_messages) context.TryCancel();
    }
    call->Finish(&answer.status, nullptr);
    wait();
    queue.Shutdown();
    wait();
    return answer;
  }

  FakeClock clock;
  Metrics metrics;
  MemoryEventStore memory{clock};
  InterceptedStore store{memory};
  ThreadPool readers{2};
  std::unique_ptr<AccessControl> access;
  std::unique_ptr<EventHub> hub;
  std::unique_ptr<SubscriberJournal> subscribers;
  std::unique_ptr<OperatorQueries> operators;
  std::unique_ptr<DeliveryBroadcast> deliveries;
  std::unique_ptr<GrpcServer> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::EventService::Stub> stub;
  std::unique_ptr<v1::DeliveryService::Stub> delivery_stub;
  std::unique_ptr<v1::GatewayService::Stub> gateway_stub;
};

inline HubOptions NoTail() {
  HubOptions options;
  options.tail_bytes = 0;
  return options;
}

inline v1::SubscribeRequest FromEarliest() {
  v1::SubscribeRequest request;
  request.set_position(v1::START_POSITION_EARLIEST);
  return request;
}

inline std::vector<uint64_t> Range(uint64_t first, uint64_t last) {
  std::vector<uint64_t> range;
  for (uint64_t n = first; n <= last; ++n) range.push_back(n);
  return range;
}

}  // namespace waggle::rpc

#endif  // WAGGLE_TESTS_RPC_RPC_FIXTURE_H_
