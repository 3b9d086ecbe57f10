// waggle.v1.EventService over a hub and a store: opens streams, reads pages.
// The contract is in proto/waggle/v1/event_service.proto.
#ifndef WAGGLE_RPC_EVENT_SERVICE_H_
#define WAGGLE_RPC_EVENT_SERVICE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/event_streams.h"
#include "api/gate.h"
#include "base/thread_pool.h"
#include "event/sequence.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "ops/operator_api.h"
#include "rpc/operator_calls.h"
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
  // `readers` runs whatever blocks on the store. All must outlive the service.
  EventService(EventStore& store, EventHub& hub, ThreadPool& readers,
               OperatorApi& operators, EventStreams& streams, Gate& gate);

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
  absl::Status ListPage(const v1::ListEventsRequest& request,
                        const Admission& admission,
                        v1::ListEventsResponse& response);
  // Where a request for the first page starts.
  absl::StatusOr<Sequence> StartOf(const v1::ListEventsRequest& request);

  EventStore& store_;
  EventHub& hub_;
  EventStreams& streams_;
  Gate& gate_;
  UnaryCalls calls_;
  OperatorCalls operator_calls_;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_EVENT_SERVICE_H_
