#include "api/event_stream.h"

#include <algorithm>
#include <utility>

#include "api/errors.h"
#include "api/stream_timing.h"
#include "base/clock.h"
#include "event/cursor.h"

namespace waggle {

EventStream::EventStream(const StreamBackends& backends,
                         std::string_view method)
    : hub_(backends.hub),
      registry_(backends.registry),
      journal_(backends.journal),
      gate_(backends.gate),
      method_(method) {}

void EventStream::Begin(const StreamOptions& options) {
  MutexLock lock(mu_);
  options_ = options;
  rotate_at_ = SteadyNow() + options.max_age;
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
    FinishOnce(absl::CancelledError(""));
    return;
  }
  WriteHeartbeat();
}

void EventStream::Refuse(const absl::Status& status) {
  MutexLock lock(mu_);
  FinishOnce(status);
}

void EventStream::Wake() {
  MutexLock lock(mu_);
  Advance();
}

void EventStream::Tick() {
  MutexLock lock(mu_);
  if (finished_ || subscription_ == nullptr) return;
  const absl::Time now = SteadyNow();
  if (revoked_.ok()) revoked_ = CheckRights();
  if (!revoked_.ok()) cut_at_ = std::min(cut_at_, now + kRevokeGrace);
  if (now >= rotate_at_) cut_at_ = std::min(cut_at_, now + kRotateGrace);
  if (cut_at_ != absl::InfiniteFuture()) {
    if (writing_ && now >= cut_at_) Cut();
    Advance();
  } else if (!writing_ && now >= written_at_ + options_.heartbeat_interval) {
    WriteHeartbeat();
  }
}

absl::Status EventStream::CheckRights() {
  const uint64_t generation = gate_.generation();
  if (generation == options_.access_generation) return absl::OkStatus();
  options_.access_generation = generation;
  const Caller& caller = options_.caller;
  const auto principal = gate_.Find(caller.identity);
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
             : absl::OkStatus();
}

void EventStream::Drain() {
  MutexLock lock(mu_);
  draining_ = true;
  Advance();
}

void EventStream::Abort() {
  MutexLock lock(mu_);
  if (closed_) return;
  if (finished_ || writing_ || subscription_ == nullptr) {
    Cut();  // and OnSent() or Begin() finishes, if it has not
  } else {
    FinishOnce(StreamRotated("the gateway is stopping", kRotateRetry));
  }
}

SubscriberReport EventStream::Report() {
  MutexLock lock(mu_);
  SubscriberReport report;
  report.position = writing_ || lost_ ? settled_ : subscription_->position();
  report.handed_through = handed_through_;
  report.handed_over_at = handed_over_at_;
  report.delivered = delivered_;
  report.times = std::exchange(times_, {});
  return report;
}

void EventStream::OnSent(bool ok) {
  MutexLock lock(mu_);
  ReleaseBatch();
  if (finished_) return;
  writing_ = false;
  lost_ = !ok;
  if (ok && events_in_message_ > 0) NoteHandover();
  if (!ok || cancelled_) {
    FinishOnce(absl::CancelledError(""));
    return;
  }
  Advance();
}

void EventStream::OnClientGone() {
  MutexLock lock(mu_);
  cancelled_ = true;
  // With a message under way, OnSent() finishes; before Begin(), Begin().
  if (!writing_ && subscription_ != nullptr) {
    FinishOnce(absl::CancelledError(""));
  }
}

void EventStream::OnTransportDone() {
  std::shared_ptr<Subscription> subscription;
  std::string stream_id;
  {
    MutexLock lock(mu_);
    closed_ = true;
    if (!finished_) {
      lost_ = writing_;
      FinishOnce(absl::CancelledError(""));
    }
    subscription = subscription_;
    stream_id = stream_id_;
  }
  if (subscription != nullptr) subscription->Cancel();
  if (!stream_id.empty()) journal_.Close(stream_id);
  registry_.Remove(this);
}

void EventStream::NoteHandover() {
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

void EventStream::Advance() {
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
      End(absl::OkStatus());
      return;
    case Progress::kFailed:
      FinishOnce(Failure());
      return;
  }
}

void EventStream::Write(BatchPtr batch) {
  writing_ = true;
  written_at_ = SteadyNow();
  told_ = batch->through;
  events_in_message_ = batch->events;
  oldest_received_at_ = batch->oldest_received_at;
  SendBatch(std::move(batch));
}

void EventStream::WriteHeartbeat() {
  settled_ = subscription_->position();
  const Cursor cursor{hub_.store_id(), settled_};
  Write(BatchBuilder(EventParts(), /*max_events=*/1)
            .Finish(cursor, subscription_->caught_up()));
}

void EventStream::End(const absl::Status& status) {
  if (subscription_->position() > told_) {
    WriteHeartbeat();  // and Advance() comes back here
    return;
  }
  FinishOnce(status);
}

void EventStream::FinishOnce(const absl::Status& status) {
  if (finished_) return;
  finished_ = true;
  gate_.CountEnd(method_, status.code());
  SendEnd(status);
}

absl::Status EventStream::Failure() const {
  const absl::Status& status = subscription_->status();
  return absl::IsOutOfRange(status)
             ? CursorExpired(hub_.store_id(), hub_.store_bounds())
             : StoreUnavailable(status);
}

}  // namespace waggle
