// The gRPC server's listening socket. gRPC's own has no bound on connections,
// and that of 1.51 takes none any more once descriptors have run out
// (CVE-2023-4785). So connections are accepted here, as for the other doors,
// and handed to gRPC, up to a number in all and of each address; those beyond
// are closed.
//
//   ConnectionAcceptor acceptor(limits, on_failed, metrics);
//   acceptor.AddTo(builder, credentials);
//   auto server = builder.BuildAndStart();
//   WAGGLE_RETURN_IF_ERROR(acceptor.Listen("0.0.0.0", 50051));
//   ...
//   acceptor.Stop();
//   server->Shutdown();
#ifndef WAGGLE_RPC_CONNECTION_ACCEPTOR_H_
#define WAGGLE_RPC_CONNECTION_ACCEPTOR_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "net/connection_limits.h"
#include "net/listener.h"

namespace waggle::rpc {

struct ConnectionQuota {
  // Open at once: over all, and of one address.
  size_t all = 8192;
  size_t per_address = 2048;
};

// AddTo(), Listen() and Stop() are for one thread, in this order; the rest is
// thread-safe.
class ConnectionAcceptor {
 public:
  // `on_failed` is called, on the listener's thread, if listening ends without
  // Stop(). `metrics` must outlive the acceptor.
  ConnectionAcceptor(const ConnectionQuota& quota,
                     std::function<void()> on_failed, Metrics& metrics);
  ~ConnectionAcceptor();

  // Connections will be the server's that `builder` makes.
  void AddTo(grpc::ServerBuilder& builder,
             std::shared_ptr<grpc::ServerCredentials> credentials);

  // See Listener. The server must have started.
  absl::Status Listen(const std::string& host, int port) {
    return listener_.Listen(host, port);
  }
  int port() const { return listener_.port(); }

  // Connections are not accepted any more. Idempotent.
  void Stop() { listener_.Stop(); }

  // Brings the gauge of open connections up to date.
  void UpdateMetrics();

 private:
  // A connection that gRPC has, by its descriptor. gRPC does not tell when it
  // closes one, but the system does: the descriptor is gone then, or stands for
  // something with another inode.
  struct Held {
    ino_t inode;
    // Whom it counts for.
    std::string address;
  };

  void Accept(int fd);
  bool Admit(int fd, const std::string& address);
  // Forgets the connections that gRPC has closed.
  void Sweep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Refuse(int fd, const std::string& remote_address);

  ConnectionLimits limits_;
  prometheus::Gauge& open_;
  prometheus::Counter& refused_;
  // Of lines in the log.
  RateLimiter lines_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> grpc_;

  Mutex mu_;
  absl::flat_hash_map<int, Held> held_ ABSL_GUARDED_BY(mu_);
  std::chrono::steady_clock::time_point swept_at_ ABSL_GUARDED_BY(mu_);

  // Last, so that its thread ends before what it uses.
  Listener listener_;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_CONNECTION_ACCEPTOR_H_
