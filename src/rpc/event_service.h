// waggle.v1.EventService over a hub and a store: checks requests, opens
// streams, reads pages. The contract is in proto/waggle/v1/event_service.proto.
#ifndef WAGGLE_RPC_EVENT_SERVICE_H_
#define WAGGLE_RPC_EVENT_SERVICE_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/thread_pool.h"
#include "event/filter.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "ops/operator_api.h"
#include "ops/subscriber_journal.h"
#include "rpc/gate.h"
#include "rpc/operator_calls.h"
#include "rpc/stream_registry.h"
#include "rpc/subscribe_stream.h"
#include "rpc/unary_calls.h"
#include "store/event_store.h"
#include "stream/event_hub.h"
#include "waggle/v1/event_service.grpc.pb.h"

namespace waggle::rpc {

// Raw: a stream's responses are bytes that many streams share, and no request
// is parsed before the gate has let its caller in.
using EventServiceBase = v1::EventService::WithRawCallbackMethod_Subscribe<
    v1::EventService::WithRawCallbackMethod_ListEvents<
        v1::EventService::WithRawCallbackMethod_GetEvent<
            v1::EventService::Service>>>;

// Thread-safe.
class EventService final : public EventServiceBase {
 public:
  struct Options {
    // InfiniteDuration is never.
    absl::Duration max_stream_age = absl::Minutes(30);
    FilterLimits filters;
  };

  // `readers` runs whatever blocks on the store. All must outlive the service.
  EventService(EventStore& store, EventHub& hub, ThreadPool& readers,
               OperatorApi& operators, StreamRegistry& registry,
               SubscriberJournal& journal, Gate& gate, const Options& options);

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Subscribe(
      grpc::CallbackServerContext* context,
      const grpc::ByteBuffer* request) override;

  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;

  grpc::ServerUnaryReactor* GetEvent(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;

 private:
  grpc::Status OpenStream(const v1::SubscribeRequest& request,
                          const Admission& admission,
                          std::shared_ptr<SubscribeStream> stream);
  grpc::Status ListPage(const v1::ListEventsRequest& request,
                        const Admission& admission,
                        v1::ListEventsResponse& response);

  // The position of a cursor of this store.
  grpc::Status ParseCursor(const std::string& text, Sequence& position) const;
  // The position before `since`; blocks on the store.
  grpc::Status PositionBefore(const google::protobuf::Timestamp& since,
                              Sequence& position);

  EventStore& store_;
  EventHub& hub_;
  ThreadPool& readers_;
  StreamRegistry& registry_;
  SubscriberJournal& journal_;
  Gate& gate_;
  const Options options_;
  UnaryCalls calls_;
  OperatorCalls operator_calls_;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_EVENT_SERVICE_H_
