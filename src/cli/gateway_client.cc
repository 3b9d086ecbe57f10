#include "cli/gateway_client.h"

#include <string>

#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace waggle {

absl::StatusOr<std::unique_ptr<GatewayClient>> GatewayClient::Dial(
    const GatewayAccessFlags& flags) {
  WAGGLE_ASSIGN_OR_RETURN(const DialOptions options, ToDialOptions(flags));
  WAGGLE_ASSIGN_OR_RETURN(BearerTokenSource token, ToTokenSource(flags));
  return std::unique_ptr<GatewayClient>(
      new GatewayClient(flags.address, options, std::move(token)));
}

StreamEnd GatewayClient::Run(
    absl::Duration timeout,
    const std::function<grpc::Status(grpc::ClientContext*)>& call) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  if (const absl::Status status = ShowBearerToken(bearer_token_, context);
      !status.ok()) {
    return StreamEnd::Unavailable(std::string(status.message()));
  }
  {
    MutexLock lock(mu_);
    call_ = &context;
    if (stopped_) context.TryCancel();
  }
  const grpc::Status status = call(&context);
  MutexLock lock(mu_);
  call_ = nullptr;
  return StreamEnd::FromStatus(status);
}

void GatewayClient::Stop() {
  MutexLock lock(mu_);
  stopped_ = true;
  if (call_ != nullptr) call_->TryCancel();
}

}  // namespace waggle
