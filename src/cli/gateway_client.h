// A connection to a gateway for calls that have one answer: shows who is
// calling, gives up in time, and can be cut short.
//
//   auto client = GatewayClient::Dial(flags);
//   const auto stub = v1::GatewayService::NewStub((*client)->channel());
//   StreamEnd end = (*client)->Call(*stub, &Stub::GetGateway, request,
//                                   &response);
#ifndef WAGGLE_CLI_GATEWAY_CLIENT_H_
#define WAGGLE_CLI_GATEWAY_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "cli/dial.h"
#include "cli/gateway_access.h"
#include "cli/stream_end.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace waggle {

// Call is for one thread.
class GatewayClient {
 public:
  // INVALID_ARGUMENT names the flag; else a file cannot be read. Does not wait
  // for a connection.
  static absl::StatusOr<std::unique_ptr<GatewayClient>> Dial(
      const GatewayAccessFlags& flags);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Another connection, for a stream of its own.
  std::shared_ptr<grpc::Channel> NewChannel() const {
    return DialGateway(address_, options_);
  }
  const BearerTokenSource& bearer_token() const { return bearer_token_; }

  // Calls the method of a stub's interface. Blocks, up to `timeout`.
  template <typename Stub, typename Request, typename Response>
  StreamEnd Call(Stub& stub,
                 grpc::Status (Stub::*method)(grpc::ClientContext*,
                                              const Request&, Response*),
                 const Request& request, Response* response,
                 absl::Duration timeout = absl::Seconds(30)) {
    return Run(timeout, [&](grpc::ClientContext* context) {
      return (stub.*method)(context, request, response);
    });
  }

  // Ends the call under way soon, and every later one. From any thread;
  // idempotent.
  void Stop();

 private:
  GatewayClient(std::string address, DialOptions options,
                BearerTokenSource bearer_token)
      : address_(std::move(address)),
        options_(std::move(options)),
        channel_(NewChannel()),
        bearer_token_(std::move(bearer_token)) {}

  StreamEnd Run(absl::Duration timeout,
                const std::function<grpc::Status(grpc::ClientContext*)>& call);

  const std::string address_;
  const DialOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const BearerTokenSource bearer_token_;

  Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  // The call under way, for Stop() to cancel.
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace waggle

#endif  // WAGGLE_CLI_GATEWAY_CLIENT_H_
