#include "rpc/delivery_service.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "api/errors.h"
#include "api/stream_timing.h"
#include "event/delivery_filter.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "rpc/grpc_call.h"

namespace waggle::rpc {
namespace {

constexpr size_t kMaxFromLog = 1000;

std::vector<FieldViolation> Check(const v1::DeliveryFilter& filter) {
  std::vector<FieldViolation> violations = Validate(filter);
  constexpr char kLive[] = "must be absent: what is watched is yet to come";
  if (filter.has_since()) violations.push_back({"filter.since", kLive});
  if (filter.has_until()) violations.push_back({"filter.until", kLive});
  return violations;
}

}  // namespace

DeliveryService::DeliveryService(Gate& gate, ThreadPool& threads,
                                 OperatorApi& operators,
                                 DeliveryBroadcast& deliveries,
                                 StreamRegistry& registry,
                                 absl::Duration max_stream_age)
    : gate_(gate),
      threads_(threads),
      deliveries_(deliveries),
      registry_(registry),
      max_stream_age_(max_stream_age),
      calls_(gate, threads, operators) {}

grpc::ServerUnaryReactor* DeliveryService::ListDeliveries(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return calls_.Run(*context, kListDeliveriesMethod, *request, *response,
                    &OperatorApi::ListDeliveries);
}

grpc::ServerUnaryReactor* DeliveryService::GetDelivery(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return calls_.Run(*context, kGetDeliveryMethod, *request, *response,
                    &OperatorApi::GetDelivery);
}

grpc::ServerUnaryReactor* DeliveryService::CheckDelivery(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return calls_.Run(*context, kCheckDeliveryMethod, *request, *response,
                    &OperatorApi::CheckDelivery);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* DeliveryService::WatchDeliveries(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  auto stream = DeliveryStream::Create(registry_, gate_, *context);
  Admission admission;
  absl::Status status =
      gate_.Admit(CallOf(*context), kWatchDeliveriesMethod, admission);
  if (status.ok()) {
    v1::WatchDeliveriesRequest proto;
    // Deserialising consumes its input, which is shared with nobody.
    grpc::ByteBuffer bytes = *request;
    status = grpc::SerializationTraits<v1::WatchDeliveriesRequest>::Deserialize(
                 &bytes, &proto)
                     .ok()
                 ? OpenStream(proto.filter(), admission, stream)
                 : NotARequest("WatchDeliveriesRequest");
  }
  if (!status.ok()) stream->Refuse(status);
  return stream.get();
}

absl::Status DeliveryService::OpenStream(
    const v1::DeliveryFilter& filter, const Admission& admission,
    const std::shared_ptr<DeliveryStream>& stream) {
  const std::vector<FieldViolation> violations = Check(filter);
  if (!violations.empty()) return InvalidFields(violations);
  absl::Status entered =
      registry_.Enter(stream, admission, gate_, kWatchDeliveriesMethod);
  if (!entered.ok()) return entered;
  auto watch =
      deliveries_.Watch(filter, [weak = std::weak_ptr<DeliveryStream>(stream)] {
        if (auto alive = weak.lock()) alive->Wake();
      });
  if (watch == nullptr) {
    return gate_.Refuse(
        admission, kWatchDeliveriesMethod,
        TooMany("watches of deliveries",
                static_cast<int>(DeliveryBroadcast::kMaxWatches)));
  }
  DeliveryStreamOptions options;
  options.caller = admission.caller;
  options.access_generation = admission.generation;
  options.max_age = StreamAge(max_stream_age_, admission.caller.expires_at);
  if (filter.after_id() == 0) {
    stream->Begin(options, std::move(watch));
    return absl::OkStatus();
  }
  threads_.Submit([stream, options, watch = std::move(watch)] {
    const absl::Status read =
        watch->ReadLog(kMaxFromLog, [&] { return stream->IsCancelled(); });
    if (read.ok()) {
      stream->Begin(options, watch);
    } else {
      watch->Cancel();
      stream->Refuse(StoreUnavailable(read));
    }
  });
  return absl::OkStatus();
}

}  // namespace waggle::rpc
