#include "cli/reconnector.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/support/time.h"

namespace waggle {
namespace {

// More than a gateway asks for; keeps a mistaken RetryInfo from being the end.
constexpr absl::Duration kMaxRetryDelay = absl::Minutes(5);

gpr_timespec Deadline(absl::Duration timeout) {
  return gpr_time_add(
      gpr_now(GPR_CLOCK_MONOTONIC),
      gpr_time_from_millis(absl::ToInt64Milliseconds(timeout), GPR_TIMESPAN));
}

}  // namespace

Reconnector::Call::Call(Reconnector& owner) : owner_(owner) {
  status_ = ShowBearerToken(owner_.options_.bearer_token, context_);
  MutexLock lock(owner_.mu_);
  owner_.call_ = &context_;
  // Cancelling before the start works too.
  if (owner_.stopped_) context_.TryCancel();
}

Reconnector::Call::~Call() {
  {
    MutexLock lock(owner_.mu_);
    owner_.call_ = nullptr;
  }
  queue_.Shutdown();
  void* tag;
  bool ok;
  while (queue_.Next(&tag, &ok)) {
  }
}

bool Reconnector::Call::Await() {
  void* tag;
  bool ok = false;
  if (queue_.AsyncNext(&tag, &ok, Deadline(owner_.options_.silence_timeout)) ==
      grpc::CompletionQueue::TIMEOUT) {
    silent_ = true;
    context_.TryCancel();
    queue_.Next(&tag, &ok);
  }
  return ok;
}

StreamEnd Reconnector::Call::EndOf(const grpc::Status& status) const {
  if (!silent_) return StreamEnd::FromStatus(status);
  return StreamEnd::Unavailable(
      absl::StrCat("nothing came for ",
                   absl::FormatDuration(owner_.options_.silence_timeout),
                   ", not even a heartbeat"));
}

Reconnector::Reconnector(ReconnectOptions options, Sleep sleep)
    : options_(std::move(options)), sleep_(std::move(sleep)) {}

absl::Duration Reconnector::NextPause(const StreamEnd& end) {
  absl::Duration pause = options_.min_pause;
  for (int i = 0; i < failures_ && pause < options_.max_pause; ++i) pause *= 2;
  ++failures_;
  pause = std::min(pause, options_.max_pause) *
          absl::Uniform(absl::IntervalClosed, random_, 0.5, 1.0);
  if (!end.retry_delay.has_value()) return pause;
  // Never sooner than asked, and not all clients at once.
  const absl::Duration asked = std::min(*end.retry_delay, kMaxRetryDelay);
  return std::max(
      pause, asked * absl::Uniform(absl::IntervalClosed, random_, 1.0, 1.2));
}

void Reconnector::Pause(absl::Duration pause) {
  if (sleep_ != nullptr) {
    sleep_(pause);
    return;
  }
  MutexLock lock(mu_);
  // Waking up without a cause only makes the pause shorter.
  if (!stopped_) stop_.WaitFor(mu_, pause);
}

void Reconnector::Stop() {
  MutexLock lock(mu_);
  stopped_ = true;
  if (call_ != nullptr) call_->TryCancel();
  stop_.SignalAll();
}

bool Reconnector::stopped() {
  MutexLock lock(mu_);
  return stopped_;
}

}  // namespace waggle
