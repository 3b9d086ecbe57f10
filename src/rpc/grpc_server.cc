#include "rpc/grpc_server.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/rate_limiter.h"
#include "base/status_macros.h"
#include "grpc/support/log.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "rpc/tls_credentials.h"

namespace waggle::rpc {
namespace {

constexpr absl::Duration kHandshakeTimeout = absl::Seconds(5);
// A connection without calls is let go, so that idle clients cost nothing.
constexpr absl::Duration kConnectionIdle = absl::Minutes(5);
// A connection outlives the streams on it: they end first, each by itself.
constexpr absl::Duration kConnectionGrace = absl::Minutes(1);
constexpr size_t kOperatorThreads = 2;
constexpr absl::Duration kAbortTimeout = absl::Seconds(2);

int Milliseconds(absl::Duration d) {
  return static_cast<int>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(d), 1, INT_MAX));
}

// Linking the reflection library turns it on for every server; this turns it
// off again for one.
class NoReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments* args) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>*
                         plugins) override {
    plugins->erase(std::remove_if(plugins->begin(), plugins->end(),
                                  [](const auto& plugin) {
                                    return plugin->name() ==
                                           "proto_server_reflection";
                                  }),
                   plugins->end());
  }
};

// gRPC writes what strangers send into its own log, as it is and as often as
// they like: here it becomes a field of a line of ours, cut and limited.
void LogFromGrpc(gpr_log_func_args* args) {
  constexpr size_t kMaxMessage = 200;
  constexpr double kLinesPerSecond = 5;
  static RateLimiter lines(
      {.per_second = kLinesPerSecond, .burst = kLinesPerSecond});
  if (!lines.Take("")) return;
  Log(args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarn
                                               : LogLevel::kInfo,
      "grpc",
      {{"message", std::string_view(args->message).substr(0, kMaxMessage)}});
}

void Configure(const GrpcOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
  const auto set = [&builder](const char* name, int value) {
    builder.AddChannelArgument(name, value);
  };
  set(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.streams.per_connection);
  set(GRPC_ARG_MAX_METADATA_SIZE, options.max_metadata_bytes);
  set(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kHandshakeTimeout));
  set(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time));
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // The default of 2 would stop probing streams on which nothing is sent.
  set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      Milliseconds(options.min_ping_interval));
  set(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Milliseconds(kConnectionIdle));
  if (options.max_stream_age != absl::InfiniteDuration()) {
    set(GRPC_ARG_MAX_CONNECTION_AGE_MS, Milliseconds(options.max_stream_age));
    set(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
        Milliseconds(options.max_stream_age + kConnectionGrace));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const GrpcOptions& options, const GrpcBackends& backends) {
  gpr_set_log_function(LogFromGrpc);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  // Not make_unique: the constructor is private.
  std::unique_ptr<GrpcServer> server(new GrpcServer(options, backends));
  grpc::ServerBuilder builder;
  Configure(options, builder);
  if (!options.reflection) builder.SetOption(std::make_unique<NoReflection>());
  server->credentials_ =
      options.tls == nullptr
          ? grpc::InsecureServerCredentials()
          : TlsServerCredentials(*options.tls, options.client_certificates);
  server->acceptor_.AddTo(builder, server->credentials_);
  builder.RegisterService(&server->events_);
  builder.RegisterService(&server->deliveries_);
  builder.RegisterService(&server->gateway_);
  builder.RegisterService(&server->health_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) {
    return absl::InternalError("gRPC did not start; its log lines say why");
  }
  WAGGLE_RETURN_IF_ERROR(server->acceptor_.Listen(options.host, options.port));
  return server;
}

GrpcServer::GrpcServer(const GrpcOptions& options, const GrpcBackends& backends)
    : subscribers_(backends.subscribers),
      calls_(options.requests),
      gate_(backends.access, calls_, backends.metrics),
      registry_(options.streams, [this] { subscribers_.Tick(); }),
      streams_(backends.store, backends.hub, backends.readers, registry_,
               subscribers_, {options.max_stream_age, options.filters}),
      operator_threads_(kOperatorThreads),
      events_(backends.store, backends.hub, backends.readers,
              backends.operators, streams_, gate_),
      deliveries_(gate_, operator_threads_, backends.operators,
                  backends.deliveries, registry_, options.max_stream_age),
      gateway_(gate_, operator_threads_, backends.operators),
      health_(gate_, options.health_watches,
              {"", v1::EventService::service_full_name(),
               v1::DeliveryService::service_full_name(),
               v1::GatewayService::service_full_name()}),
      acceptor_(options.connections, options.on_listener_failed,
                backends.metrics) {}

GrpcServer::~GrpcServer() { Drain(absl::ZeroDuration()); }

void GrpcServer::UpdateMetrics() {
  subscribers_.UpdateMetrics();
  acceptor_.UpdateMetrics();
}

void GrpcServer::Drain(absl::Duration timeout) {
  if (server_ == nullptr || drained_) return;
  drained_ = true;
  health_.Shutdown();
  registry_.Drain();
  if (!registry_.WaitUntilEmpty(timeout)) {
    registry_.Abort();
    registry_.WaitUntilEmpty(kAbortTimeout);
  }
  // How the last streams ended.
  subscribers_.Record();
  // gRPC must be there for what was accepted.
  acceptor_.Stop();
  server_->Shutdown(std::chrono::system_clock::now() +
                    absl::ToChronoMilliseconds(kAbortTimeout));
}

}  // namespace waggle::rpc
