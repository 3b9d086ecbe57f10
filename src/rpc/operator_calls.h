// Calls that OperatorApi answers, with its errors as those of the gRPC
// contract.
//
//   return calls_.Run(*context, kGetDeliveryMethod, *request, *response,
//                     &OperatorApi::GetDelivery);
#ifndef WAGGLE_RPC_OPERATOR_CALLS_H_
#define WAGGLE_RPC_OPERATOR_CALLS_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/gate.h"
#include "base/thread_pool.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "grpcpp/support/status.h"
#include "ops/operator_api.h"
#include "rpc/unary_calls.h"

namespace waggle::rpc {

// Thread-safe.
class OperatorCalls {
 public:
  // `threads` runs what blocks. All must outlive the calls.
  OperatorCalls(Gate& gate, ThreadPool& threads, OperatorApi& api)
      : gate_(gate), api_(api), calls_(gate, threads) {}

  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Run(
      grpc::CallbackServerContext& context, std::string_view method,
      const grpc::ByteBuffer& request, grpc::ByteBuffer& response,
      absl::StatusOr<Response> (OperatorApi::*query)(const Request&,
                                                     const Caller&)) {
    return calls_.Run<Request, Response>(
        context, method, request, response,
        [this, method, query](const Request& typed, const Admission& admission,
                              Response& answer) {
          absl::StatusOr<Response> result =
              (api_.*query)(typed, admission.caller);
          if (!result.ok()) return ErrorOf(result.status(), method, admission);
          answer = *std::move(result);
          return absl::OkStatus();
        });
  }

 private:
  absl::Status ErrorOf(const absl::Status& status, std::string_view method,
                       const Admission& admission);

  Gate& gate_;
  OperatorApi& api_;
  UnaryCalls calls_;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_OPERATOR_CALLS_H_
