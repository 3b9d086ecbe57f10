#include "rpc/subscribe_stream.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "grpcpp/support/slice.h"
#include "rpc/errors.h"
#include "stream/batch.h"

namespace waggle::rpc {
namespace {

// How long a rotated client should wait, so that it finds the replica that a
// load balancer has meanwhile chosen.
constexpr absl::Duration kRotateRetry = absl::Milliseconds(500);

// A stream whose client does not read cannot be ended in order; it is cut so
// long after its time.
constexpr absl::Duration kRotateGrace = absl::Seconds(30);
// The same for one whose rights ended.
constexpr absl::Duration kRevokeGrace = absl::Seconds(2);

// Intervals must not depend on the wall clock being set.
absl::Time SteadyNow() {
  return absl::UnixEpoch() +
         absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

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
    EventHub& hub, StreamRegistry& registry, const AccessControl& access,
    grpc::CallbackServerContext& context) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<SubscribeStream> stream(
      new SubscribeStream(hub, registry, access, context));
  MutexLock lock(stream->mu_);
  stream->self_ = stream;
  return stream;
}

SubscribeStream::SubscribeStream(EventHub& hub, StreamRegistry& registry,
                                 const AccessControl& access,
                                 grpc::CallbackServerContext& context)
    : hub_(hub), registry_(registry), access_(access), context_(context) {}

void SubscribeStream::Begin(const StreamOptions& options) {
  MutexLock lock(mu_);
  options_ = options;
  opened_at_ = SteadyNow();
  rotate_at_ = opened_at_ + options.max_age;
  subscription_ =
      hub_.Subscribe(options.subscription, [weak = weak_from_this()] {
        if (auto stream = weak.lock()) stream->Wake();
      });
  if (cancelled_) {
    FinishOnce(grpc::Status::CANCELLED);
    return;
  }
  WriteHeartbeat();
}

void SubscribeStream::Refuse(const grpc::Status& status) {
  MutexLock lock(mu_);
  FinishOnce(status);
}

void SubscribeStream::Wake() {
  MutexLock lock(mu_);
  Advance();
}

void SubscribeStream::Tick() {
  MutexLock lock(mu_);
  if (finished_ || subscription_ == nullptr) return;
  const absl::Time now = SteadyNow();
  if (revoked_.ok()) revoked_ = CheckRights();
  if (!revoked_.ok()) cut_at_ = std::min(cut_at_, now + kRevokeGrace);
  if (now >= rotate_at_) cut_at_ = std::min(cut_at_, now + kRotateGrace);
  if (cut_at_ != absl::InfiniteFuture()) {
    if (writing_ && now >= cut_at_) context_.TryCancel();
    Advance();
  } else if (!writing_ && now >= written_at_ + options_.heartbeat_interval) {
    WriteHeartbeat();
  }
}

grpc::Status SubscribeStream::CheckRights() {
  const uint64_t generation = access_.generation();
  if (generation == options_.access_generation) return grpc::Status::OK;
  options_.access_generation = generation;
  const Caller& caller = options_.caller;
  const auto principal = access_.Find(caller.identity);
  if (principal == nullptr) {
    return CredentialsInvalid(
        "what this stream was opened with is no longer valid");
  }
  const SubscriptionOptions& subscription = options_.subscription;
  if (const auto missing = principal->rights.MissingFor(
          options_.filters, subscription.parts.payload)) {
    return RightMissing(principal->name, *missing);
  }
  // A request without filters asks for whatever its caller may see.
  Rights given;
  given.allow = caller.principal->rights.allow;
  const bool sees_too_much =
      (options_.filters.empty() && !principal->rights.Cover(given)) ||
      (subscription.parts.personal_data && !principal->rights.personal_data);
  return sees_too_much
             ? StreamRotated("the rights of the caller changed", kRotateRetry)
             : grpc::Status::OK;
}

void SubscribeStream::Drain() {
  MutexLock lock(mu_);
  draining_ = true;
  Advance();
}

void SubscribeStream::Abort() {
  MutexLock lock(mu_);
  if (finished_) return;
  if (writing_ || subscription_ == nullptr) {
    context_.TryCancel();  // and OnWriteDone() or Begin() finishes
  } else {
    FinishOnce(StreamRotated("the gateway is stopping", kRotateRetry));
  }
}

Sequence SubscribeStream::Position() {
  MutexLock lock(mu_);
  return subscription_ == nullptr ? Sequence(UINT64_MAX)
                                  : subscription_->position();
}

void SubscribeStream::OnWriteDone(bool ok) {
  MutexLock lock(mu_);
  writing_ = false;
  message_.Clear();
  if (!ok || cancelled_) {
    FinishOnce(grpc::Status::CANCELLED);
    return;
  }
  registry_.delivered().Increment(static_cast<double>(events_in_message_));
  Advance();
}

void SubscribeStream::OnCancel() {
  MutexLock lock(mu_);
  cancelled_ = true;
  // With a write under way, its OnWriteDone finishes; before Begin(), Begin().
  if (!writing_ && subscription_ != nullptr) {
    FinishOnce(grpc::Status::CANCELLED);
  }
}

void SubscribeStream::OnDone() {
  std::shared_ptr<SubscribeStream> self;
  std::shared_ptr<Subscription> subscription;
  {
    MutexLock lock(mu_);
    self = std::move(self_);
    subscription = subscription_;
  }
  if (subscription != nullptr) subscription->Cancel();
  registry_.Remove(this);
}

void SubscribeStream::Advance() {
  if (writing_ || finished_ || subscription_ == nullptr) return;
  if (!revoked_.ok()) {
    FinishOnce(revoked_);
    return;
  }
  if (SteadyNow() >= rotate_at_) {
    End(StreamRotated("the stream reached its age", kRotateRetry));
    return;
  }
  BatchPtr batch;
  switch (subscription_->Next(batch)) {
    case Progress::kBatch:
      Write(std::move(batch));
      return;
    case Progress::kWait:
      if (draining_ && subscription_->caught_up()) {
        End(StreamRotated("the gateway is draining", kRotateRetry));
      }
      return;
    case Progress::kEnd:
      End(grpc::Status::OK);
      return;
    case Progress::kFailed:
      FinishOnce(FailureStatus());
      return;
  }
}

void SubscribeStream::Write(BatchPtr batch) {
  writing_ = true;
  written_at_ = SteadyNow();
  told_ = batch->through;
  events_in_message_ = batch->events;
  message_ = ShareBytes(std::move(batch));
  StartWrite(&message_);
}

void SubscribeStream::WriteHeartbeat() {
  const Cursor cursor{hub_.store_id(), subscription_->position()};
  Write(BatchBuilder(EventParts(), /*max_events=*/1)
            .Finish(cursor, subscription_->caught_up()));
}

void SubscribeStream::End(const grpc::Status& status) {
  if (subscription_->position() > told_) {
    WriteHeartbeat();  // and Advance() comes back here
    return;
  }
  FinishOnce(status);
}

void SubscribeStream::FinishOnce(const grpc::Status& status) {
  if (finished_) return;
  finished_ = true;
  Finish(status);
}

grpc::Status SubscribeStream::FailureStatus() const {
  const absl::Status& status = subscription_->status();
  return absl::IsOutOfRange(status)
             ? CursorExpired(hub_.store_id(), hub_.store_bounds())
             : StoreUnavailable(status);
}

}  // namespace waggle::rpc
