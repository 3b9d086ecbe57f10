#include "rpc/delivery_stream.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "api/errors.h"
#include "api/stream_timing.h"
#include "base/clock.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "rpc/grpc_call.h"
#include "waggle/v1/delivery_service.pb.h"

namespace waggle::rpc {
namespace {

constexpr absl::Duration kHeartbeat = absl::Seconds(30);
constexpr size_t kMaxInMessage = 256;

}  // namespace

std::shared_ptr<DeliveryStream> DeliveryStream::Create(
    StreamRegistry& registry, Gate& gate,
    grpc::CallbackServerContext& context) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<DeliveryStream> stream(
      new DeliveryStream(registry, gate, context));
  MutexLock lock(stream->mu_);
  stream->self_ = stream;
  return stream;
}

DeliveryStream::DeliveryStream(StreamRegistry& registry, Gate& gate,
                               grpc::CallbackServerContext& context)
    : registry_(registry), gate_(gate), context_(context) {}

void DeliveryStream::Begin(const DeliveryStreamOptions& options,
                           std::shared_ptr<DeliveryWatch> watch) {
  MutexLock lock(mu_);
  options_ = options;
  rotate_at_ = SteadyNow() + options.max_age;
  watch_ = std::move(watch);
  if (cancelled_) {
    FinishOnce(absl::CancelledError(""));
    return;
  }
  Write(watch_->Take(kMaxInMessage));
}

void DeliveryStream::Refuse(const absl::Status& status) {
  MutexLock lock(mu_);
  FinishOnce(status);
}

bool DeliveryStream::IsCancelled() {
  MutexLock lock(mu_);
  return cancelled_;
}

void DeliveryStream::Wake() {
  MutexLock lock(mu_);
  Advance();
}

void DeliveryStream::Tick() {
  MutexLock lock(mu_);
  if (finished_ || watch_ == nullptr) return;
  const absl::Time now = SteadyNow();
  if (revoked_.ok()) revoked_ = CheckRights();
  if (!revoked_.ok()) cut_at_ = std::min(cut_at_, now + kRevokeGrace);
  if (now >= rotate_at_) cut_at_ = std::min(cut_at_, now + kRotateGrace);
  if (cut_at_ != absl::InfiniteFuture()) {
    if (writing_ && now >= cut_at_) context_.TryCancel();
    Advance();
  } else if (!writing_ && now >= written_at_ + kHeartbeat) {
    Write({});
  }
}

absl::Status DeliveryStream::CheckRights() {
  const uint64_t generation = gate_.generation();
  if (generation == options_.access_generation) return absl::OkStatus();
  options_.access_generation = generation;
  const auto principal = gate_.Find(options_.caller.identity);
  if (principal == nullptr) {
    return CredentialsInvalid(
        "what this stream was opened with is no longer valid");
  }
  if (principal->rights.Has(Capability::kDeliveries)) return absl::OkStatus();
  return RightMissing(principal->name,
                      CapabilityMissing(Capability::kDeliveries));
}

void DeliveryStream::Drain() {
  MutexLock lock(mu_);
  draining_ = true;
  Advance();
}

void DeliveryStream::Abort() {
  MutexLock lock(mu_);
  if (finished_) return;
  if (writing_ || watch_ == nullptr) {
    context_.TryCancel();  // and OnWriteDone() or Begin() finishes
  } else {
    FinishOnce(StreamRotated("the gateway is stopping", kRotateRetry));
  }
}

void DeliveryStream::OnWriteDone(bool ok) {
  MutexLock lock(mu_);
  writing_ = false;
  message_.Clear();
  if (!ok || cancelled_) {
    FinishOnce(absl::CancelledError(""));
    return;
  }
  Advance();
}

void DeliveryStream::OnCancel() {
  MutexLock lock(mu_);
  cancelled_ = true;
  // With a write under way, its OnWriteDone finishes; before Begin(), Begin().
  if (!writing_ && watch_ != nullptr) FinishOnce(absl::CancelledError(""));
}

void DeliveryStream::OnDone() {
  std::shared_ptr<DeliveryStream> self;
  std::shared_ptr<DeliveryWatch> watch;
  {
    MutexLock lock(mu_);
    self = std::move(self_);
    watch = watch_;
  }
  if (watch != nullptr) watch->Cancel();
  registry_.Remove(this);
}

void DeliveryStream::Advance() {
  if (writing_ || finished_ || watch_ == nullptr) return;
  if (!revoked_.ok()) {
    FinishOnce(revoked_);
    return;
  }
  if (SteadyNow() >= rotate_at_) {
    FinishOnce(StreamRotated("the stream reached its age", kRotateRetry));
    return;
  }
  const DeliveryNews news = watch_->Take(kMaxInMessage);
  if (!news.empty()) {
    Write(news);
  } else if (draining_) {
    FinishOnce(StreamRotated("the gateway is draining", kRotateRetry));
  }
}

void DeliveryStream::Write(const DeliveryNews& news) {
  v1::WatchDeliveriesResponse response;
  for (const auto& delivery : news.deliveries) {
    *response.add_deliveries() = *delivery;
  }
  response.set_skipped(news.skipped);
  writing_ = true;
  written_at_ = SteadyNow();
  bool own_buffer;
  grpc::SerializationTraits<v1::WatchDeliveriesResponse>::Serialize(
      response, &message_, &own_buffer);
  StartWrite(&message_);
}

void DeliveryStream::FinishOnce(const absl::Status& status) {
  if (finished_) return;
  finished_ = true;
  gate_.CountEnd(kWatchDeliveriesMethod, status.code());
  Finish(ToGrpc(status));
}

}  // namespace waggle::rpc
