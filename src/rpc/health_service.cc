#include "rpc/health_service.h"

#include <chrono>
#include <utility>

#include "api/errors.h"
#include "rpc/grpc_call.h"

namespace waggle::rpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One Watch. Deletes itself when gRPC is done with it.
class HealthService::Watcher final
    : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService& service, const grpc::CallbackServerContext& context,
          std::string watched)
      : service_(service), watched_(std::move(watched)) {
    Admission admission;
    absl::Status status = service_.gate_.AdmitAnybody(
        AnonymousCallOf(context), kHealthWatchMethod, admission);
    address_ = admission.address;
    if (status.ok()) {
      status = service_.Add(this, address_);
      if (!status.ok()) {
        status = service_.gate_.Refuse(admission, kHealthWatchMethod, status);
      }
    }
    MutexLock lock(service_.mu_);
    if (status.ok()) {
      Advance();
    } else {
      End(status);
    }
  }

  // To be called by the service under its lock, which clang cannot tell to be
  // the one that is meant here.
  void AssertLocked() ABSL_ASSERT_EXCLUSIVE_LOCK(service_.mu_) {}

  // Does what is due, if no write is under way.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(service_.mu_) {
    if (writing_ || finished_) return;
    const Status status = service_.StatusOf(watched_);
    if (!cancelled_ && status != told_) {
      told_ = status;
      message_.set_status(status);
      writing_ = true;
      StartWrite(&message_);
    } else if (cancelled_ || service_.shut_down_) {
      End(cancelled_ ? absl::CancelledError("")
                     : absl::UnavailableError("the gateway is draining"));
    }
  }

 private:
  void End(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(service_.mu_) {
    finished_ = true;
    service_.gate_.CountEnd(kHealthWatchMethod, status.code());
    Finish(ToGrpc(status));
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(service_.mu_);
    writing_ = false;
    cancelled_ = cancelled_ || !ok;
    Advance();
  }
  void OnCancel() override {
    MutexLock lock(service_.mu_);
    cancelled_ = true;
    Advance();
  }
  void OnDone() override {
    service_.Remove(this, address_);
    delete this;
  }

  HealthService& service_;
  const std::string watched_;
  std::string address_;
  // Must live until OnWriteDone.
  HealthCheckResponse message_ ABSL_GUARDED_BY(service_.mu_);
  // No watcher is told that it is unknown what the status is.
  Status told_ ABSL_GUARDED_BY(service_.mu_) = HealthCheckResponse::UNKNOWN;
  bool writing_ ABSL_GUARDED_BY(service_.mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(service_.mu_) = false;
  bool finished_ ABSL_GUARDED_BY(service_.mu_) = false;
};

HealthService::~HealthService() {
  MutexLock lock(mu_);
  while (!watchers_.empty()) removed_.Wait(mu_);
}

void HealthService::SetServing(bool serving) {
  MutexLock lock(mu_);
  if (shut_down_ || serving_ == serving) return;
  serving_ = serving;
  for (Watcher* watcher : watchers_) {
    watcher->AssertLocked();
    watcher->Advance();
  }
}

void HealthService::Shutdown() {
  MutexLock lock(mu_);
  serving_ = false;
  shut_down_ = true;
  for (Watcher* watcher : watchers_) {
    watcher->AssertLocked();
    watcher->Advance();
  }
}

grpc::ServerUnaryReactor* HealthService::Check(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request,
    HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto begin = std::chrono::steady_clock::now();
  Admission admission;
  absl::Status status = gate_.AdmitAnybody(AnonymousCallOf(*context),
                                           kHealthCheckMethod, admission);
  if (status.ok() && services_.count(request->service()) == 0) {
    status = absl::NotFoundError("there is no such service");
  }
  if (status.ok()) {
    MutexLock lock(mu_);
    response->set_status(StatusOf(request->service()));
  }
  gate_.CountEnd(kHealthCheckMethod, status.code(),
                 absl::FromChrono(std::chrono::steady_clock::now() - begin));
  reactor->Finish(ToGrpc(status));
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request) {
  return new Watcher(*this, *context, request->service());
}

absl::Status HealthService::Add(Watcher* watcher, const std::string& address) {
  MutexLock lock(mu_);
  if (static_cast<int>(watchers_.size()) >= quota_.all) {
    return TooMany("watches of health", quota_.all);
  }
  int& of_address = by_address_[address];
  if (of_address >= quota_.per_address) {
    return TooMany("watches of health of one address", quota_.per_address);
  }
  ++of_address;
  watchers_.insert(watcher);
  return absl::OkStatus();
}

void HealthService::Remove(Watcher* watcher, const std::string& address) {
  MutexLock lock(mu_);
  if (watchers_.erase(watcher) == 0) return;
  const auto found = by_address_.find(address);
  if (--found->second == 0) by_address_.erase(found);
  removed_.SignalAll();
}

HealthService::Status HealthService::StatusOf(
    const std::string& service) const {
  if (services_.count(service) == 0) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  return serving_ ? HealthCheckResponse::SERVING
                  : HealthCheckResponse::NOT_SERVING;
}

}  // namespace waggle::rpc
