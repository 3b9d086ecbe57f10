#include "cli/subscriber_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "grpc/support/time.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/channel_arguments.h"

namespace waggle {
namespace {

// More than a gateway asks for; keeps a mistaken RetryInfo from being the end.
constexpr absl::Duration kMaxRetryDelay = absl::Minutes(5);
// Enough for the largest event with its payload.
constexpr int kMaxResponseBytes = 64 << 20;

gpr_timespec Deadline(absl::Duration timeout) {
  return gpr_time_add(
      gpr_now(GPR_CLOCK_MONOTONIC),
      gpr_time_from_millis(absl::ToInt64Milliseconds(timeout), GPR_TIMESPAN));
}

// The operations of one call, each awaited before the next.
class Call {
 public:
  Call(v1::EventService::StubInterface& stub,
       const v1::SubscribeRequest& request, grpc::ClientContext& context,
       absl::Duration timeout)
      : context_(context),
        timeout_(timeout),
        reader_(stub.PrepareAsyncSubscribe(&context, request, &queue_)) {}

  ~Call() {
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  bool Start() {
    reader_->StartCall(nullptr);
    return Await();
  }

  bool Read(v1::SubscribeResponse* response) {
    reader_->Read(response, nullptr);
    return Await();
  }

  // Must be called once, after the last of the others.
  StreamEnd Finish() {
    grpc::Status status;
    reader_->Finish(&status, nullptr);
    Await();
    if (!silent_) return StreamEnd::FromStatus(status);
    StreamEnd end;
    end.code = grpc::StatusCode::UNAVAILABLE;
    end.message =
        absl::StrCat("nothing came for ", absl::FormatDuration(timeout_),
                     ", not even a heartbeat");
    return end;
  }

 private:
  // Whether the operation under way succeeded. One that takes too long makes
  // the call fail, and so succeeds or fails soon after.
  bool Await() {
    void* tag;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, Deadline(timeout_)) ==
        grpc::CompletionQueue::TIMEOUT) {
      silent_ = true;
      context_.TryCancel();
      queue_.Next(&tag, &ok);
    }
    return ok;
  }

  grpc::ClientContext& context_;
  const absl::Duration timeout_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReaderInterface<v1::SubscribeResponse>>
      reader_;
  bool silent_ = false;
};

}  // namespace

std::shared_ptr<grpc::Channel> DialGateway(const std::string& address,
                                           const DialOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The client's own pauses rule; the channel's must not add to them.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // How long a connection may take to come about.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  if (!options.tls_server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls_server_name);
  }
  return grpc::CreateCustomChannel(address,
                                   options.credentials != nullptr
                                       ? options.credentials
                                       : grpc::InsecureChannelCredentials(),
                                   arguments);
}

SubscriberClient::SubscriberClient(v1::EventService::StubInterface& stub,
                                   SubscriberOptions options, Sleep sleep)
    : stub_(stub),
      options_(std::move(options)),
      sleep_(std::move(sleep)),
      request_(options_.request) {}

StreamEnd SubscriberClient::Run(Subscriber& subscriber) {
  while (!stopped()) {
    StreamEnd end = RunStream(subscriber);
    if (stopped()) break;
    if (end.ok() && request_.stop_when_caught_up()) break;
    if (end.IsGap()) {
      if (!CrossGap(end)) return end;
    } else if (!end.ok() && !end.IsTransient()) {
      return end;
    }
    const absl::Duration pause = NextPause(end);
    subscriber.OnInterrupted(end, pause);
    Pause(pause);
  }
  return {};
}

void SubscriberClient::Stop() {
  MutexLock lock(mu_);
  stopped_ = true;
  if (call_ != nullptr) call_->TryCancel();
  stop_.SignalAll();
}

StreamEnd SubscriberClient::RunStream(Subscriber& subscriber) {
  grpc::ClientContext context;
  if (options_.bearer_token != nullptr) {
    const absl::StatusOr<Secret> token = options_.bearer_token();
    if (!token.ok()) {
      // As good as no connection: whoever exchanges the token may be at it.
      StreamEnd end;
      end.code = grpc::StatusCode::UNAVAILABLE;
      end.message = std::string(token.status().message());
      return end;
    }
    // Not call credentials: gRPC refuses those over plain text, as on loopback.
    context.AddMetadata("authorization",
                        absl::StrCat("Bearer ", AsAbsl(token->Reveal())));
  }
  {
    MutexLock lock(mu_);
    call_ = &context;
    // Cancelling before the start works too.
    if (stopped_) context.TryCancel();
  }
  StreamEnd end;
  {
    Call call(stub_, request_, context, options_.silence_timeout);
    v1::SubscribeResponse response;
    if (call.Start()) {
      while (!stopped() && call.Read(&response)) {
        failures_ = 0;
        if (!subscriber.OnResponse(response)) Stop();
        request_.set_after_cursor(response.cursor());
      }
    }
    end = call.Finish();
  }
  MutexLock lock(mu_);
  call_ = nullptr;
  return end;
}

bool SubscriberClient::CrossGap(const StreamEnd& end) {
  switch (options_.on_gap) {
    case OnGap::kFail:
      return false;
    case OnGap::kEarliest:
      request_.set_position(v1::START_POSITION_EARLIEST);
      return true;
    case OnGap::kLatest:
      request_.set_position(v1::START_POSITION_LATEST);
      return true;
  }
  return false;
}

absl::Duration SubscriberClient::NextPause(const StreamEnd& end) {
  absl::Duration pause = options_.min_pause;
  for (int i = 0; i < failures_ && pause < options_.max_pause; ++i) pause *= 2;
  ++failures_;
  pause = std::min(pause, options_.max_pause) *
          absl::Uniform(absl::IntervalClosed, random_, 0.5, 1.0);
  if (!end.retry_delay.has_value()) return pause;
  // Never sooner than asked, and not all subscribers at once.
  const absl::Duration asked = std::min(*end.retry_delay, kMaxRetryDelay);
  return std::max(
      pause, asked * absl::Uniform(absl::IntervalClosed, random_, 1.0, 1.2));
}

void SubscriberClient::Pause(absl::Duration pause) {
  if (sleep_ != nullptr) {
    sleep_(pause);
    return;
  }
  MutexLock lock(mu_);
  // Waking up without a cause only makes the pause shorter.
  if (!stopped_) stop_.WaitFor(mu_, pause);
}

bool SubscriberClient::stopped() {
  MutexLock lock(mu_);
  return stopped_;
}

}  // namespace waggle
