// Calls of one request and one response whose answer is read from the store:
// the gate first, then the request's parsing, then the reading, on a thread
// that may block. Services take such methods raw, since gRPC would parse what
// strangers send before anybody has asked who they are.
//
//   return calls_.Run<v1::ListEventsRequest, v1::ListEventsResponse>(
//       *context, kListEventsMethod, *request, *response,
//       [this](const auto& typed, const Admission& admission, auto& page) {
//         return ListPage(typed, admission, page);
//       });
#ifndef WAGGLE_RPC_UNARY_CALLS_H_
#define WAGGLE_RPC_UNARY_CALLS_H_

#include <atomic>
#include <chrono>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "api/errors.h"
#include "api/gate.h"
#include "base/thread_pool.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "rpc/grpc_call.h"

namespace waggle::rpc {

// Thread-safe.
class UnaryCalls {
 public:
  // `readers` runs what blocks. Both must outlive the calls.
  UnaryCalls(Gate& gate, ThreadPool& readers)
      : gate_(gate), readers_(readers) {}

  // `method` is one of the gate's, and lives for ever. Has the gate look at the
  // call, then runs
  //   absl::Status read(const Request&, const Admission&, Response&)
  // on a reader's thread and finishes the call with what it returns. A call
  // that was cancelled meanwhile reads nothing.
  template <typename Request, typename Response, typename Read>
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext& context,
                                std::string_view method,
                                const grpc::ByteBuffer& request,
                                grpc::ByteBuffer& response, Read read) {
    grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
    const auto begin = SteadyClock::now();
    Admission admission;
    if (absl::Status status = gate_.Admit(CallOf(context), method, admission);
        !status.ok()) {
      Finish(*reactor, method, begin, status);
      return reactor;
    }
    if (under_way_.fetch_add(1) >= kMaxUnderWay) {
      --under_way_;
      Finish(*reactor, method, begin, TooMany("reads", kMaxUnderWay));
      return reactor;
    }
    // gRPC keeps the context until the call is finished.
    readers_.Submit([this, reactor, method, begin, &context, &request,
                     &response, read = std::move(read),
                     admission = std::move(admission)]() mutable {
      // Nobody waits for the answer: also not a server that drains.
      const absl::Status status =
          context.IsCancelled()
              ? absl::CancelledError("")
              : Answer<Request, Response>(request, response, admission, read);
      --under_way_;
      Finish(*reactor, method, begin, status);
    });
    return reactor;
  }

 private:
  using SteadyClock = std::chrono::steady_clock;

  static constexpr int kMaxUnderWay = 256;

  // Counts first: who has the answer may look at the metrics.
  void Finish(grpc::ServerUnaryReactor& reactor, std::string_view method,
              SteadyClock::time_point begin, const absl::Status& status) {
    gate_.CountEnd(method, status.code(),
                   absl::FromChrono(SteadyClock::now() - begin));
    reactor.Finish(ToGrpc(status));
  }

  template <typename Request, typename Response, typename Read>
  static absl::Status Answer(const grpc::ByteBuffer& request,
                             grpc::ByteBuffer& response,
                             const Admission& admission, Read& read) {
    Request typed_request;
    // Deserialising consumes its input, which is shared with nobody.
    grpc::ByteBuffer bytes = request;
    if (!grpc::SerializationTraits<Request>::Deserialize(&bytes, &typed_request)
             .ok()) {
      return NotARequest(Request::descriptor()->name());
    }
    Response typed_response;
    absl::Status status =
        read(std::as_const(typed_request), admission, typed_response);
    if (!status.ok()) return status;
    bool own_buffer;
    return grpc::SerializationTraits<Response>::Serialize(
               typed_response, &response, &own_buffer)
                   .ok()
               ? absl::OkStatus()
               : absl::InternalError("the response cannot be serialised");
  }

  Gate& gate_;
  ThreadPool& readers_;
  std::atomic<int> under_way_ = 0;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_UNARY_CALLS_H_
