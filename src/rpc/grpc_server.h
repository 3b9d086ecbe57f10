// The gRPC listener: its settings, the services, health and reflection, and how
// it stops.
//
//   auto server = GrpcServer::Start(options, {.store = store, ...});
//   (*server)->SetServing(true);
//   ...
//   (*server)->Drain(absl::Seconds(10));
#ifndef WAGGLE_RPC_GRPC_SERVER_H_
#define WAGGLE_RPC_GRPC_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/gate.h"
#include "api/stream_registry.h"
#include "base/client_certificates.h"
#include "base/metrics.h"
#include "base/thread_pool.h"
#include "event/filter.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "ops/delivery_broadcast.h"
#include "ops/operator_api.h"
#include "ops/subscriber_journal.h"
#include "rpc/connection_acceptor.h"
#include "rpc/delivery_service.h"
#include "rpc/event_service.h"
#include "rpc/gateway_service.h"
#include "rpc/health_service.h"
#include "security/access_control.h"
#include "security/tls_material.h"
#include "store/event_store.h"
#include "stream/event_hub.h"

namespace waggle::rpc {

struct GrpcOptions {
  std::string host = "127.0.0.1";
  // 0 lets the system choose.
  int port = 0;
  ConnectionQuota connections;
  StreamLimits streams;
  HealthWatchQuota health_watches;
  GateLimits requests;
  FilterLimits filters;
  // Of a call, in bytes.
  int max_metadata_bytes = 8 << 10;
  int max_request_bytes = 64 << 10;
  // Null: plain text. Must outlive the server.
  const TlsSource* tls = nullptr;
  ClientCertificates client_certificates = ClientCertificates::kOff;
  // InfiniteDuration is never.
  absl::Duration max_stream_age = absl::Minutes(30);
  // A silent connection is probed after this time, also when no data flows: a
  // Service's connection tracking forgets idle connections within minutes, and
  // then nobody would learn that the other side is gone.
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  // Clients that ping more often are told to go (GOAWAY, too_many_pings).
  absl::Duration min_ping_interval = absl::Seconds(20);
  bool reflection = true;
  // Connections are not accepted any more, without Drain(). Called on a thread
  // of the server's.
  std::function<void()> on_listener_failed = [] {};
};

// What the services answer from. All must outlive the server.
struct GrpcBackends {
  EventStore& store;
  EventHub& hub;
  // Runs what subscribers have read from the store.
  ThreadPool& readers;
  const AccessControl& access;
  SubscriberJournal& subscribers;
  OperatorApi& operators;
  DeliveryBroadcast& deliveries;
  Metrics& metrics;
};

// Start() and Drain() are for one thread; the rest is thread-safe.
class GrpcServer {
 public:
  // Listens, with health NOT_SERVING. Errors of Listener::Listen if the address
  // cannot be had.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const GrpcOptions& options, const GrpcBackends& backends);
  ~GrpcServer();

  int port() const { return acceptor_.port(); }

  // What grpc.health.v1 says, for "" and for each service.
  void SetServing(bool serving) { health_.SetServing(serving); }

  // Refreshes the gauges that are only known at the moment of asking.
  void UpdateMetrics();

  // Ends every stream with UNAVAILABLE once it was sent what is committed, and
  // after `timeout` in any case; then stops. Idempotent.
  void Drain(absl::Duration timeout);

  // What other doors are to open streams by and to count calls with, so that
  // the limits hold over all of them.
  EventStreams& event_streams() { return streams_; }
  CallCounts& call_counts() { return calls_; }

 private:
  GrpcServer(const GrpcOptions& options, const GrpcBackends& backends);

  SubscriberJournal& subscribers_;
  CallCounts calls_;
  Gate gate_;
  StreamRegistry registry_;
  EventStreams streams_;
  // What operators ask can take long: nobody's stream waits for it.
  ThreadPool operator_threads_;
  EventService events_;
  DeliveryService deliveries_;
  GatewayService gateway_;
  HealthService health_;
  // Used by the server's handshakes to its end.
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::unique_ptr<grpc::Server> server_;
  ConnectionAcceptor acceptor_;
  bool drained_ = false;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_GRPC_SERVER_H_
