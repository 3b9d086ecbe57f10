// One WatchDeliveries call: a reactor that writes what its watch has, one
// message at a time, with heartbeats between, until either side ends it.
#ifndef WAGGLE_RPC_DELIVERY_STREAM_H_
#define WAGGLE_RPC_DELIVERY_STREAM_H_

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "api/gate.h"
#include "api/stream_registry.h"
#include "base/mutex.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "ops/delivery_broadcast.h"
#include "security/access_control.h"

namespace waggle::rpc {

struct DeliveryStreamOptions {
  // Who opened it; what they were recognised by is looked up again whenever the
  // access policy changes.
  Caller caller;
  uint64_t access_generation = 0;
  // After it the stream is rotated; InfiniteDuration is never.
  absl::Duration max_age = absl::InfiniteDuration();
};

// All calls may come from any thread. mu_ orders them; it is taken before the
// broadcast's, and held while gRPC operations are started, which never call
// back on the same stack. `context` is used under it only, and only before
// Finish: gRPC lets go of it any time after.
//
// Lifetime: the stream holds itself from Create() to OnDone(); whoever wakes it
// holds it weakly.
class DeliveryStream final
    : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
      public Stream,
      public std::enable_shared_from_this<DeliveryStream> {
 public:
  // `registry` and `gate` must outlive the stream; gRPC keeps `context`.
  static std::shared_ptr<DeliveryStream> Create(
      StreamRegistry& registry, Gate& gate,
      grpc::CallbackServerContext& context);

  // Starts to stream, with a first response at once.
  void Begin(const DeliveryStreamOptions& options,
             std::shared_ptr<DeliveryWatch> watch);
  // Ends a stream that has not begun.
  void Refuse(const absl::Status& status);
  // Whether its client has gone, or it was aborted, before it began.
  bool IsCancelled();
  // Something came.
  void Wake();

  void Tick() override;
  void Drain() override;
  void Abort() override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  DeliveryStream(StreamRegistry& registry, Gate& gate,
                 grpc::CallbackServerContext& context);

  // Why the stream must end by the access policy of now; OK if it need not.
  absl::Status CheckRights() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Does what is due, if no write is under way.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Without news, a heartbeat.
  void Write(const DeliveryNews& news) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishOnce(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  StreamRegistry& registry_;
  Gate& gate_;
  grpc::CallbackServerContext& context_;

  Mutex mu_;
  std::shared_ptr<DeliveryStream> self_ ABSL_GUARDED_BY(mu_);
  // Null before Begin().
  std::shared_ptr<DeliveryWatch> watch_ ABSL_GUARDED_BY(mu_);
  DeliveryStreamOptions options_ ABSL_GUARDED_BY(mu_);
  // Why its rights end it; OK while they do not.
  absl::Status revoked_ ABSL_GUARDED_BY(mu_);
  // Of steady time: when it is rotated; when it is cut, if its client has not
  // read its end; when something was written.
  absl::Time rotate_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Time cut_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Time written_at_ ABSL_GUARDED_BY(mu_);
  // Must live until OnWriteDone.
  grpc::ByteBuffer message_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_DELIVERY_STREAM_H_
