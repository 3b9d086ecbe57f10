#include "rpc/subscribe_stream.h"

#include <string>
#include <utility>

#include "grpcpp/support/slice.h"
#include "rpc/grpc_call.h"

namespace waggle::rpc {
namespace {

// The message's bytes, shared with every other stream that sends them.
grpc::ByteBuffer ShareBytes(BatchPtr batch) {
  auto* owner = new BatchPtr(std::move(batch));
  const std::string& bytes = (*owner)->message;
  grpc::Slice slice(
      const_cast<char*>(bytes.data()), bytes.size(),
      [](void* p) { delete static_cast<BatchPtr*>(p); }, owner);
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

std::shared_ptr<SubscribeStream> SubscribeStream::Create(
    const StreamBackends& backends, grpc::CallbackServerContext& context) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<SubscribeStream> stream(
      new SubscribeStream(backends, context));
  stream->self_ = stream;
  return stream;
}

void SubscribeStream::OnDone() {
  const std::shared_ptr<SubscribeStream> self = std::move(self_);
  OnTransportDone();
}

void SubscribeStream::SendBatch(BatchPtr batch) {
  message_ = ShareBytes(std::move(batch));
  StartWrite(&message_);
}

void SubscribeStream::SendEnd(const absl::Status& status) {
  Finish(ToGrpc(status));
}

}  // namespace waggle::rpc
