// GatewayService over OperatorApi.
#ifndef WAGGLE_RPC_GATEWAY_SERVICE_H_
#define WAGGLE_RPC_GATEWAY_SERVICE_H_

#include "api/gate.h"
#include "base/thread_pool.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "ops/operator_api.h"
#include "rpc/operator_calls.h"
#include "waggle/v1/gateway_service.grpc.pb.h"

namespace waggle::rpc {

// Raw: no request is parsed before the gate has let its caller in.
using GatewayServiceBase = v1::GatewayService::WithRawCallbackMethod_GetGateway<
    v1::GatewayService::WithRawCallbackMethod_ListSubscribers<
        v1::GatewayService::Service>>;

// Thread-safe.
class GatewayService final : public GatewayServiceBase {
 public:
  // `threads` runs what blocks. All must outlive the service.
  GatewayService(Gate& gate, ThreadPool& threads, OperatorApi& operators)
      : calls_(gate, threads, operators) {}

  grpc::ServerUnaryReactor* GetGateway(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override {
    return calls_.Run(*context, kGetGatewayMethod, *request, *response,
                      &OperatorApi::GetGateway);
  }

  grpc::ServerUnaryReactor* ListSubscribers(
      grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
      grpc::ByteBuffer* response) override {
    return calls_.Run(*context, kListSubscribersMethod, *request, *response,
                      &OperatorApi::ListSubscribers);
  }

 private:
  OperatorCalls calls_;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_GATEWAY_SERVICE_H_
