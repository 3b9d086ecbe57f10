// One Subscribe call: a stream of events by a reactor of gRPC's.
#ifndef WAGGLE_RPC_SUBSCRIBE_STREAM_H_
#define WAGGLE_RPC_SUBSCRIBE_STREAM_H_

#include <memory>

#include "api/event_stream.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"

namespace waggle::rpc {

// `context` is used before Finish only: gRPC lets go of it any time after.
//
// Lifetime: the stream holds itself from Create() to OnDone().
class SubscribeStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                              public EventStream {
 public:
  // gRPC keeps `context`.
  static std::shared_ptr<SubscribeStream> Create(
      const StreamBackends& backends, grpc::CallbackServerContext& context);

  void OnWriteDone(bool ok) override { OnSent(ok); }
  void OnCancel() override { OnClientGone(); }
  void OnDone() override;

 private:
  SubscribeStream(const StreamBackends& backends,
                  grpc::CallbackServerContext& context)
      : EventStream(backends, kSubscribeMethod), context_(context) {}

  void SendBatch(BatchPtr batch) override;
  void ReleaseBatch() override { message_.Clear(); }
  void SendEnd(const absl::Status& status) override;
  void Cut() override { context_.TryCancel(); }

  grpc::CallbackServerContext& context_;
  std::shared_ptr<SubscribeStream> self_;
  // Must live until OnWriteDone, and holds its batch no longer. Under the lock
  // of EventStream.
  grpc::ByteBuffer message_;
};

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_SUBSCRIBE_STREAM_H_
