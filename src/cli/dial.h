// A connection to a gateway, and what a call shows of its caller.
#ifndef WAGGLE_CLI_DIAL_H_
#define WAGGLE_CLI_DIAL_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/secret.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"

namespace waggle {

// Gives the token to authenticate with, anew for each attempt, since tokens
// expire and are exchanged.
using BearerTokenSource = std::function<absl::StatusOr<Secret>()>;

struct DialOptions {
  // Null: plain text.
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  // The name that the server's certificate must be for, if it is not the
  // address's host.
  std::string tls_server_name;
};

// A channel, with a connection of its own and the settings that suit long
// streams: it probes silent connections (no more often than the gateway
// allows), tries again quickly, and takes responses of any size that the
// gateway sends.
std::shared_ptr<grpc::Channel> DialGateway(const std::string& address,
                                           const DialOptions& options = {});

// Has the call show the token, if there is a source; its error.
absl::Status ShowBearerToken(const BearerTokenSource& source,
                             grpc::ClientContext& context);

}  // namespace waggle

#endif  // WAGGLE_CLI_DIAL_H_
