// What the gate wants to know of a call, from gRPC.
#ifndef WAGGLE_RPC_GRPC_CALL_H_
#define WAGGLE_RPC_GRPC_CALL_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "api/gate.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace waggle::rpc {

// Views into `context`.
Call CallOf(const grpc::CallbackServerContext& context);
// The same of a call whose caller is not going to be recognised.
Call AnonymousCallOf(const grpc::CallbackServerContext& context);

// An error as gRPC tells it: with a google.rpc.Status as its details, of which
// the ErrorInfo is the first.
grpc::Status ToGrpc(const absl::Status& error);

// The address in what grpc::ServerContext::peer() gives, such as
// "ipv6:%5B::1%5D:5000"; what is no address stands for itself.
std::string PeerAddress(std::string_view peer);

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_GRPC_CALL_H_
