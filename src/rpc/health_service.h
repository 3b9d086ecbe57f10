// grpc.health.v1 for everybody, within bounds: gRPC's own implementation opens
// as many Watch streams as strangers ask for.
//
//   HealthService health(gate, quota, {"", "waggle.v1.EventService"});
//   builder.RegisterService(&health);
//   health.SetServing(true);
//   ...
//   health.Shutdown();
#ifndef WAGGLE_RPC_HEALTH_SERVICE_H_
#define WAGGLE_RPC_HEALTH_SERVICE_H_

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "api/gate.h"
#include "base/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace waggle::rpc {

inline constexpr std::string_view kHealthCheckMethod =
    "/grpc.health.v1.Health/Check";
inline constexpr std::string_view kHealthWatchMethod =
    "/grpc.health.v1.Health/Watch";

struct HealthWatchQuota {
  // Watches at once: over all, and of one address.
  int all = 1024;
  int per_address = 64;
};

// Thread-safe. Begins as not serving. All services that it knows have one
// status.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // `gate` must outlive the service.
  HealthService(Gate& gate, const HealthWatchQuota& quota,
                std::set<std::string, std::less<>> services)
      : gate_(gate), quota_(quota), services_(std::move(services)) {}
  // The server has ended by now; waits until its last watch is gone.
  ~HealthService() override;

  // Tells all who watch, if it changes. Of no effect after Shutdown().
  void SetServing(bool serving);

  // Not serving, for good; watches are told and ended, UNAVAILABLE.
  void Shutdown();

  grpc::ServerUnaryReactor* Check(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request,
      grpc::health::v1::HealthCheckResponse* response) override;

  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;
  class Watcher;

  // Counts the watcher, or says which limit is in the way.
  absl::Status Add(Watcher* watcher, const std::string& address);
  void Remove(Watcher* watcher, const std::string& address);
  Status StatusOf(const std::string& service) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Gate& gate_;
  const HealthWatchQuota quota_;
  const std::set<std::string, std::less<>> services_;

  // Also of all that the watchers hold; gRPC's operations are started under it,
  // which never call back on the same stack.
  Mutex mu_;
  CondVar removed_;
  bool serving_ ABSL_GUARDED_BY(mu_) = false;
  bool shut_down_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_set<Watcher*> watchers_ ABSL_GUARDED_BY(mu_);
  // How many each address has; none has 0.
  absl::flat_hash_map<std::string, int> by_address_ ABSL_GUARDED_BY(mu_);
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_HEALTH_SERVICE_H_
