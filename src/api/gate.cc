#include "api/gate.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "base/log.h"

namespace waggle {
namespace {

constexpr double kLoggedPerSecond = 20;

struct MethodRule {
  std::string_view method;
  // What it takes besides the right to read what it gives.
  std::optional<Capability> capability;
};

constexpr MethodRule kRules[] = {
    {kSubscribeMethod, std::nullopt},
    {kListEventsMethod, std::nullopt},
    {kGetEventMethod, std::nullopt},
    {kListDeliveriesMethod, Capability::kDeliveries},
    {kGetDeliveryMethod, Capability::kDeliveries},
    {kWatchDeliveriesMethod, Capability::kDeliveries},
    {kCheckDeliveryMethod, Capability::kDeliveries},
    {kGetGatewayMethod, Capability::kDeliveries},
    {kListSubscribersMethod, Capability::kDeliveries},
    {kEventsPath, std::nullopt},
};

const MethodRule* FindRule(std::string_view method) {
  const auto* const rule =
      std::find_if(std::begin(kRules), std::end(kRules),
                   [&](const MethodRule& r) { return r.method == method; });
  return rule == std::end(kRules) ? nullptr : rule;
}

// "waggle.v1.EventService/GetEvent".
std::string LabelOf(std::string_view method) {
  return std::string(method.substr(1));
}

}  // namespace

Gate::Gate(const AccessControl& access, CallCounts& counts, Metrics& metrics,
           std::shared_ptr<const Principal> local)
    : access_(access),
      counts_(counts),
      metrics_(metrics),
      local_(std::move(local)),
      lines_({.per_second = kLoggedPerSecond, .burst = kLoggedPerSecond}) {}

absl::Status Gate::Admit(const Call& call, std::string_view method,
                         Admission& admission) {
  absl::Status status = Decide(call, method, admission);
  if (!status.ok()) Note(status, method, admission);
  return status;
}

absl::Status Gate::AdmitAnybody(const Call& call, std::string_view method,
                                Admission& admission) {
  absl::Status status = CountAddress(call, admission);
  if (!status.ok()) Note(status, method, admission);
  return status;
}

std::shared_ptr<const Principal> Gate::Find(std::string_view identity) const {
  return local_ != nullptr && identity == local_->name ? local_
                                                       : access_.Find(identity);
}

absl::StatusOr<Caller> Gate::Authenticate(
    const Credentials& credentials) const {
  if (local_ != nullptr && credentials.empty()) {
    return Caller{.principal = local_, .identity = local_->name};
  }
  return access_.Authenticate(credentials);
}

absl::Status Gate::CountAddress(const Call& call, Admission& admission) {
  admission.connection = call.connection;
  admission.address = AddressKey(call.address);
  if (counts_.addresses.Take(admission.address)) return absl::OkStatus();
  return TooManyRequests(
      "address",
      static_cast<int>(counts_.limits.requests_per_second_per_address));
}

absl::Status Gate::Decide(const Call& call, std::string_view method,
                          Admission& admission) {
  // Before anybody is recognised, so that guessing is bounded.
  absl::Status counted = CountAddress(call, admission);
  if (!counted.ok()) return counted;
  const MethodRule* rule = FindRule(method);
  if (rule == nullptr) return MethodNotAllowed();

  if (call.several_authorizations) {
    return CredentialsInvalid("show one authorization only");
  }
  admission.generation = access_.generation();
  absl::StatusOr<Caller> caller = Authenticate(call.credentials);
  if (!caller.ok()) {
    if (absl::IsPermissionDenied(caller.status())) {
      return PrincipalUnknown(caller.status().message());
    }
    return call.credentials.empty()
               ? CredentialsMissing()
               : CredentialsInvalid(caller.status().message());
  }
  admission.caller = *std::move(caller);
  const Principal& principal = *admission.caller.principal;
  if (!counts_.principals.Take(principal.name)) {
    return TooManyRequests(
        "principal",
        static_cast<int>(counts_.limits.requests_per_second_per_principal));
  }
  if (rule->capability.has_value() &&
      !principal.rights.Has(*rule->capability)) {
    return RightMissing(principal.name, CapabilityMissing(*rule->capability));
  }
  return absl::OkStatus();
}

absl::Status Gate::Refuse(const Admission& admission, std::string_view method,
                          absl::Status status) {
  Note(status, method, admission);
  return status;
}

void Gate::Note(const absl::Status& status, std::string_view method,
                const Admission& admission) {
  const std::string reason = absl::AsciiStrToLower(ReasonOf(status));
  metrics_
      .Counter("waggle_grpc_refused_total",
               "Calls that were refused for who made them or how often, by "
               "the reason.",
               {{"reason", reason}})
      .Increment();
  if (!lines_.Take("")) return;
  const Principal* principal = admission.caller.principal.get();
  Log(LogLevel::kInfo, "call_refused",
      {{"method", method},
       {"remote", admission.address},
       {"principal",
        principal == nullptr ? std::string_view() : principal->name},
       {"reason", reason}});
}

void Gate::CountEnd(std::string_view method, absl::StatusCode code) {
  metrics_
      .Counter("waggle_grpc_requests_total",
               "Calls that ended, by method and code; streams, too.",
               {{"method", LabelOf(method)},
                {"code", absl::StatusCodeToString(code)}})
      .Increment();
}

void Gate::CountEnd(std::string_view method, absl::StatusCode code,
                    absl::Duration duration) {
  CountEnd(method, code);
  metrics_
      .Histogram("waggle_grpc_request_seconds",
                 "Time to answer a call with one response, refused ones "
                 "included.",
                 Metrics::LatencyBuckets(), {{"method", LabelOf(method)}})
      .Observe(absl::ToDoubleSeconds(duration));
}

}  // namespace waggle
