// DeliveryService: pages and single records over OperatorApi, and live streams
// over DeliveryBroadcast.
#ifndef WAGGLE_RPC_DELIVERY_SERVICE_H_
#define WAGGLE_RPC_DELIVERY_SERVICE_H_

#include <memory>

#include "absl/time/time.h"
#include "api/gate.h"
#include "api/stream_registry.h"
#include "base/thread_pool.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "ops/delivery_broadcast.h"
#include "ops/operator_api.h"
#include "rpc/delivery_stream.h"
#include "rpc/operator_calls.h"
#include "waggle/v1/delivery_service.grpc.pb.h"

namespace waggle::rpc {

// Raw: no request is parsed before the gate has let its caller in.
using DeliveryServiceBase =
    v1::DeliveryService::WithRawCallbackMethod_ListDeliveries<
        v1::DeliveryService::WithRawCallbackMethod_GetDelivery<
            v1::DeliveryService::WithRawCallbackMethod_WatchDeliveries<
                v1::DeliveryService::WithRawCallbackMethod_CheckDelivery<
                    v1::DeliveryService::Service>>>>;

// Thread-safe.
class DeliveryService final : public DeliveryServiceBase {
 public:
  // `threads` runs what blocks. All must outlive the service.
  DeliveryService(Gate& gate, ThreadPool& threads, OperatorApi& operators,
                  DeliveryBroadcast& deliveries, StreamRegistry& registry,
                  absl::Duration max_stream_age);

  grpc::ServerUnaryReactor* ListDeliveries(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* request,
                                           grpc::ByteBuffer* response) override;

  grpc::ServerUnaryReactor* GetDelivery(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;

  grpc::ServerUnaryReactor* CheckDelivery(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;

  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchDeliveries(
      grpc::CallbackServerContext* context,
      const grpc::ByteBuffer* request) override;

 private:
  absl::Status OpenStream(const v1::DeliveryFilter& filter,
                          const Admission& admission,
                          const std::shared_ptr<DeliveryStream>& stream);

  Gate& gate_;
  ThreadPool& threads_;
  DeliveryBroadcast& deliveries_;
  StreamRegistry& registry_;
  const absl::Duration max_stream_age_;
  OperatorCalls calls_;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_DELIVERY_SERVICE_H_
