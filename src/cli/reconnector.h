// What every client of a stream needs that goes on for ever: running one stream
// after the other, noticing connections that died in silence, waiting longer
// and longer in between, and stopping at any moment.
//
//   while (!reconnector.stopped()) {
//     const StreamEnd end =
//         reconnector.RunStream<Response>(start, on_response);
//     if (reconnector.stopped() || !end.IsTransient()) break;
//     reconnector.Pause(reconnector.NextPause(end));
//   }
#ifndef WAGGLE_CLI_RECONNECTOR_H_
#define WAGGLE_CLI_RECONNECTOR_H_

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "cli/dial.h"
#include "cli/stream_end.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/status.h"

namespace waggle {

struct ReconnectOptions {
  // Null: no token is shown.
  BearerTokenSource bearer_token = nullptr;
  // The pause doubles from the first to the second as attempts fail, less up to
  // half by chance. RetryInfo can ask for more.
  absl::Duration min_pause = absl::Milliseconds(100);
  absl::Duration max_pause = absl::Seconds(10);
  // A stream that has brought nothing, not even a heartbeat, for so long is
  // given up.
  absl::Duration silence_timeout = absl::Seconds(90);
};

// For one thread, but Stop() and stopped().
class Reconnector {
 public:
  using Sleep = std::function<void(absl::Duration)>;
  // A stub's PrepareAsync method with its request.
  template <typename Response>
  using Start =
      std::function<std::unique_ptr<grpc::ClientAsyncReaderInterface<Response>>(
          grpc::ClientContext*, grpc::CompletionQueue*)>;

  // `sleep` replaces the waiting between attempts, for tests; by default Stop()
  // cuts it short.
  explicit Reconnector(ReconnectOptions options, Sleep sleep = nullptr);

  // Runs one stream, from its start to its status. `on_response` ends it by
  // false.
  template <typename Response>
  StreamEnd RunStream(const Start<Response>& start,
                      const std::function<bool(const Response&)>& on_response);

  // How long to wait after `end` before the next attempt.
  absl::Duration NextPause(const StreamEnd& end);
  void Pause(absl::Duration pause);

  // Ends what runs soon. From any thread, also from within `on_response`;
  // idempotent.
  void Stop();
  bool stopped();

 private:
  // A call under way, whose operations are each awaited before the next.
  class Call {
   public:
    explicit Call(Reconnector& owner);
    ~Call();

    // Why it cannot start.
    const absl::Status& status() const { return status_; }
    grpc::ClientContext& context() { return context_; }
    grpc::CompletionQueue& queue() { return queue_; }
    // Whether the operation under way succeeded. One that takes too long makes
    // the call fail, and so succeeds or fails soon after.
    bool Await();
    StreamEnd EndOf(const grpc::Status& status) const;

   private:
    Reconnector& owner_;
    grpc::ClientContext context_;
    grpc::CompletionQueue queue_;
    absl::Status status_;
    bool silent_ = false;
  };

  const ReconnectOptions options_;
  const Sleep sleep_;
  // Attempts without a response, up to now.
  int failures_ = 0;
  absl::BitGen random_;

  Mutex mu_;
  CondVar stop_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  // The call under way, for Stop() to cancel.
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;
};

template <typename Response>
StreamEnd Reconnector::RunStream(
    const Start<Response>& start,
    const std::function<bool(const Response&)>& on_response) {
  Call call(*this);
  if (!call.status().ok()) {
    // As good as no connection: whoever exchanges the token may be at it.
    return StreamEnd::Unavailable(std::string(call.status().message()));
  }
  const auto reader = start(&call.context(), &call.queue());
  reader->StartCall(nullptr);
  if (call.Await()) {
    Response response;
    while (!stopped()) {
      reader->Read(&response, nullptr);
      if (!call.Await()) break;
      failures_ = 0;
      if (!on_response(response)) {
        call.context().TryCancel();
        break;
      }
    }
  }
  grpc::Status status;
  reader->Finish(&status, nullptr);
  call.Await();
  return call.EndOf(status);
}

}  // namespace waggle

#endif  // WAGGLE_CLI_RECONNECTOR_H_
