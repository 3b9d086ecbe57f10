// A gateway that follows a script: every Subscribe call takes the next act, and
// what it asked for is kept. Listens on a port of loopback.
#ifndef WAGGLE_TESTS_CLI_FAKE_EVENT_SERVICE_H_
#define WAGGLE_TESTS_CLI_FAKE_EVENT_SERVICE_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "tests/fakes/wake_flag.h"
#include "waggle/v1/event_service.grpc.pb.h"

namespace waggle {

// A response with the events of these sequences; its cursor is "cursor-" and
// the last one.
inline v1::SubscribeResponse ResponseOf(std::vector<uint64_t> sequences) {
  v1::SubscribeResponse response;
  for (const uint64_t sequence : sequences) {
    response.add_events()->set_sequence(sequence);
  }
  response.set_cursor(
      absl::StrCat("cursor-", sequences.empty() ? 0 : sequences.back()));
  return response;
}

// Errors as the gateway makes them.
struct FakeError {
  grpc::StatusCode code;
  std::string reason;
  std::optional<absl::Duration> retry_delay;
  std::map<std::string, std::string> metadata;

  grpc::Status ToStatus() const {
    google::rpc::Status status;
    status.set_code(code);
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    info.set_domain("waggle.dev");
    for (const auto& [key, value] : metadata) {
      (*info.mutable_metadata())[key] = value;
    }
    status.add_details()->PackFrom(info);
    if (retry_delay.has_value()) {
      google::rpc::RetryInfo retry;
      retry.mutable_retry_delay()->set_seconds(
          absl::ToInt64Seconds(*retry_delay));
      status.add_details()->PackFrom(retry);
    }
    return grpc::Status(code, "for the test", status.SerializeAsString());
  }
};

class FakeEventService final : public v1::EventService::Service {
 public:
  // What a call does: writes responses through the function, and ends.
  using Send = std::function<void(const v1::SubscribeResponse&)>;
  using Act = std::function<grpc::Status(
      grpc::ServerContext&, const v1::SubscribeRequest&, const Send&)>;

  explicit FakeEventService(std::vector<Act> acts)
      : acts_(acts.begin(), acts.end()) {
    Listen(0);
  }
  ~FakeEventService() override {
    if (server_ != nullptr) Stop();
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  void Stop() {
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  void Restart() { Listen(port_); }

  std::vector<v1::SubscribeRequest> requests() {
    MutexLock lock(mu_);
    return requests_;
  }

  // Ends right after it has sent these.
  static Act Sends(std::vector<v1::SubscribeResponse> responses,
                   grpc::Status status) {
    return [responses, status](grpc::ServerContext&,
                               const v1::SubscribeRequest&, const Send& send) {
      for (const auto& response : responses) send(response);
      return status;
    };
  }
  static Act Fails(grpc::Status status) { return Sends({}, status); }

  // Sends these, and then nothing until the client cancels.
  static Act FallsSilentAfter(std::vector<v1::SubscribeResponse> responses) {
    return [responses](grpc::ServerContext& context,
                       const v1::SubscribeRequest&, const Send& send) {
      for (const auto& response : responses) send(response);
      // The synchronous interface has no way to be woken by cancellation.
      WakeFlag never;
      while (!context.IsCancelled()) never.Wait(absl::Milliseconds(1));
      return grpc::Status::CANCELLED;
    };
  }

 private:
  grpc::Status Subscribe(
      grpc::ServerContext* context, const v1::SubscribeRequest* request,
      grpc::ServerWriter<v1::SubscribeResponse>* writer) override {
    Act act;
    {
      MutexLock lock(mu_);
      requests_.push_back(*request);
      if (acts_.empty()) {
        // Final, so that a loop that should have ended does.
        return {grpc::StatusCode::PERMISSION_DENIED, "the script is over"};
      }
      act = std::move(acts_.front());
      acts_.pop_front();
    }
    return act(*context, *request,
               [writer](const v1::SubscribeResponse& response) {
                 writer->Write(response);
               });
  }

  void Listen(int port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port),
                             grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    ASSERT_NE(port_, 0);
  }

  Mutex mu_;
  std::deque<Act> acts_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::SubscribeRequest> requests_ ABSL_GUARDED_BY(mu_);
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace waggle

#endif  // WAGGLE_TESTS_CLI_FAKE_EVENT_SERVICE_H_
