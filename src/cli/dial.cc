#include "cli/dial.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace waggle {
namespace {

// Enough for the largest event with its payload.
constexpr int kMaxResponseBytes = 64 << 20;

}  // namespace

std::shared_ptr<grpc::Channel> DialGateway(const std::string& address,
                                           const DialOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The client's own pauses rule; the channel's must not add to them.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // How long a connection may take to come about.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  // Otherwise channels to one address share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  if (!options.tls_server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls_server_name);
  }
  return grpc::CreateCustomChannel(address,
                                   options.credentials != nullptr
                                       ? options.credentials
                                       : grpc::InsecureChannelCredentials(),
                                   arguments);
}

absl::Status ShowBearerToken(const BearerTokenSource& source,
                             grpc::ClientContext& context) {
  if (source == nullptr) return absl::OkStatus();
  WAGGLE_ASSIGN_OR_RETURN(const Secret token, source());
  // Not call credentials: gRPC refuses those over plain text, as on loopback.
  context.AddMetadata("authorization",
                      absl::StrCat("Bearer ", AsAbsl(token.Reveal())));
  return absl::OkStatus();
}

}  // namespace waggle
