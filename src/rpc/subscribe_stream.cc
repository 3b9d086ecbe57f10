#include "rpc/subscribe_stream.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "grpcpp/support/slice.h"
#include "rpc/errors.h"
#include "rpc/stream_timing.h"
#include "stream/batch.h"

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
    EventHub& hub, StreamRegistry& registry, SubscriberJournal& journal,
    Gate& gate, grpc::CallbackServerContext& context) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<SubscribeStream> stream(
      new SubscribeStream(hub, registry, journal, gate, context));
  MutexLock lock(stream->mu_);
  stream->self_ = stream;
  return stream;
}

SubscribeStream::SubscribeStream(EventHub& hub, StreamRegistry& registry,
                                 SubscriberJournal& journal, Gate& gate,
                                 grpc::CallbackServerContext& context)
    : hub_(hub),
      registry_(registry),
      journal_(journal),
      gate_(gate),
      access_(gate.access()),
      context_(context) {}

void SubscribeStream::Begin(const StreamOptions& options) {
  MutexLock lock(mu_);
  options_ = options;
  opened_at_ = SteadyNow();
  rotate_at_ = opened_at_ + options.max_age;
  subscription_ =
      hub_.Subscribe(options.subscription, [weak = weak_from_this()] {
        if (auto stream = weak.lock()) stream->Wake();
      });
  settled_ = handed_through_ = options.subscription.after;
  stream_id_ = journal_.Open(
      {.principal = options.caller.principal->name,
       .remote_address = options.address,
       .filters = options.filters,
       .effective_filters = options.effective_filters,
       .include_payload = options.subscription.parts.payload,
       .stops_when_caught_up = options.subscription.stop_at.has_value(),
       .after = options.subscription.after},
      shared_from_this());
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

SubscriberReport SubscribeStream::Report() {
  MutexLock lock(mu_);
  SubscriberReport report;
  report.position = writing_ || lost_ ? settled_ : subscription_->position();
  report.handed_through = handed_through_;
  report.handed_over_at = handed_over_at_;
  report.delivered = delivered_;
  report.times = std::exchange(times_, {});
  return report;
}

void SubscribeStream::OnWriteDone(bool ok) {
  MutexLock lock(mu_);
  writing_ = false;
  lost_ = !ok;
  message_.Clear();
  if (ok && events_in_message_ > 0) NoteHandover();
  if (!ok || cancelled_) {
    FinishOnce(grpc::Status::CANCELLED);
    return;
  }
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
  std::string stream_id;
  {
    MutexLock lock(mu_);
    self = std::move(self_);
    subscription = subscription_;
    stream_id = stream_id_;
  }
  if (subscription != nullptr) subscription->Cancel();
  if (!stream_id.empty()) journal_.Close(stream_id);
  registry_.Remove(this);
}

void SubscribeStream::NoteHandover() {
  journal_.CountDelivered(events_in_message_);
  delivered_ += events_in_message_;
  handed_through_ = told_;
  handed_over_at_ = journal_.clock().Now();
  if (oldest_received_at_ == absl::InfiniteFuture()) {
    live_ = false;
  } else if (live_) {
    times_.Add(handed_over_at_ - oldest_received_at_);
  }
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
  settled_ = subscription_->position();
  BatchPtr batch;
  switch (subscription_->Next(batch)) {
    case Progress::kBatch:
      Write(std::move(batch));
      return;
    case Progress::kWait:
      if (!live_) live_ = subscription_->caught_up();
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
  oldest_received_at_ = batch->oldest_received_at;
  message_ = ShareBytes(std::move(batch));
  StartWrite(&message_);
}

void SubscribeStream::WriteHeartbeat() {
  settled_ = subscription_->position();
  const Cursor cursor{hub_.store_id(), settled_};
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
  gate_.CountEnd(kSubscribeMethod, status.error_code());
  Finish(status);
}

grpc::Status SubscribeStream::FailureStatus() const {
  const absl::Status& status = subscription_->status();
  return absl::IsOutOfRange(status)
             ? CursorExpired(hub_.store_id(), hub_.store_bounds())
             : StoreUnavailable(status);
}

}  // namespace waggle::rpc
