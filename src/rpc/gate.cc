#include "rpc/gate.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/log.h"
#include "base/strings.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/grpc_security_constants.h"
#include "rpc/errors.h"
#include "security/tls_material.h"

namespace waggle::rpc {
namespace {

constexpr double kLoggedPerSecond = 20;
constexpr char kAuthorization[] = "authorization";

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
};

const MethodRule* FindRule(std::string_view method) {
  const auto* const rule =
      std::find_if(std::begin(kRules), std::end(kRules),
                   [&](const MethodRule& r) { return r.method == method; });
  return rule == std::end(kRules) ? nullptr : rule;
}

std::vector<std::string> Values(const grpc::AuthContext& auth,
                                const char* property) {
  std::vector<std::string> values;
  for (const grpc::string_ref& value : auth.FindPropertyValues(property)) {
    values.emplace_back(value.data(), value.size());
  }
  return values;
}

// Of a verified certificate: the names of the first kind that it has, and its
// end.
void TakeCertificate(const grpc::AuthContext* auth, Credentials& credentials) {
  if (auth == nullptr || !auth->IsPeerAuthenticated()) return;
  std::vector<std::string>& names = credentials.tls_identities;
  // A URI of any kind, and several of them, are the certificate's name: no
  // lesser one counts then, and principals are known by SPIFFE's alone, of
  // which a certificate has one.
  names = Values(*auth, GRPC_PEER_URI_PROPERTY_NAME);
  if (names.size() > 1) names = {absl::StrJoin(names, " ")};
  if (names.empty()) {
    for (const std::string& name : Values(*auth, GRPC_PEER_DNS_PROPERTY_NAME)) {
      names.push_back("dns:" + name);
    }
  }
  if (names.empty()) {
    for (const std::string& name : Values(*auth, GRPC_X509_CN_PROPERTY_NAME)) {
      names.push_back("cn:" + name);
    }
  }
  const std::vector<std::string> pem =
      Values(*auth, GRPC_X509_PEM_CERT_PROPERTY_NAME);
  credentials.tls_expires_at =
      pem.empty() ? absl::InfinitePast() : ExpiryOf(pem.front());
}

// "waggle.v1.EventService/GetEvent".
std::string LabelOf(std::string_view method) {
  return std::string(method.substr(1));
}

// The reason of an error that errors.h made.
std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) ||
      details.details().empty() || !details.details(0).UnpackTo(&info)) {
    return "";
  }
  return info.reason();
}

}  // namespace

Gate::Gate(const AccessControl& access, const GateLimits& limits,
           Metrics& metrics)
    : access_(access),
      limits_(limits),
      metrics_(metrics),
      addresses_({.per_second = limits.requests_per_second_per_address,
                  .burst = limits.requests_per_second_per_address}),
      principals_({.per_second = limits.requests_per_second_per_principal,
                   .burst = limits.requests_per_second_per_principal}),
      lines_({.per_second = kLoggedPerSecond, .burst = kLoggedPerSecond}) {}

grpc::Status Gate::Admit(const grpc::CallbackServerContext& context,
                         std::string_view method, Admission& admission) {
  grpc::Status status = Decide(context, method, admission);
  if (!status.ok()) Note(status, method, admission);
  return status;
}

grpc::Status Gate::AdmitAnybody(const grpc::CallbackServerContext& context,
                                std::string_view method, Admission& admission) {
  grpc::Status status = CountAddress(context, admission);
  if (!status.ok()) Note(status, method, admission);
  return status;
}

grpc::Status Gate::CountAddress(const grpc::CallbackServerContext& context,
                                Admission& admission) {
  admission.connection = context.peer();
  admission.address = AddressKey(PeerAddress(admission.connection));
  if (addresses_.Take(admission.address)) return grpc::Status::OK;
  return TooManyRequests(
      "address", static_cast<int>(limits_.requests_per_second_per_address));
}

grpc::Status Gate::Decide(const grpc::CallbackServerContext& context,
                          std::string_view method, Admission& admission) {
  // Before anybody is recognised, so that guessing is bounded.
  grpc::Status counted = CountAddress(context, admission);
  if (!counted.ok()) return counted;
  const MethodRule* rule = FindRule(method);
  if (rule == nullptr) return MethodNotAllowed();

  Credentials credentials;
  TakeCertificate(context.auth_context().get(), credentials);
  const auto [first, last] =
      context.client_metadata().equal_range(kAuthorization);
  if (first != last) {
    if (std::next(first) != last) {
      return CredentialsInvalid("show one authorization only");
    }
    credentials.authorization.emplace(first->second.data(),
                                      first->second.size());
  }
  admission.generation = access_.generation();
  absl::StatusOr<Caller> caller = access_.Authenticate(credentials);
  if (!caller.ok()) {
    if (absl::IsPermissionDenied(caller.status())) {
      return PrincipalUnknown(caller.status().message());
    }
    return credentials.empty() ? CredentialsMissing()
                               : CredentialsInvalid(caller.status().message());
  }
  admission.caller = *std::move(caller);
  const Principal& principal = *admission.caller.principal;
  if (!principals_.Take(principal.name)) {
    return TooManyRequests(
        "principal",
        static_cast<int>(limits_.requests_per_second_per_principal));
  }
  if (rule->capability.has_value() &&
      !principal.rights.Has(*rule->capability)) {
    return RightMissing(principal.name, CapabilityMissing(*rule->capability));
  }
  return grpc::Status::OK;
}

grpc::Status Gate::Refuse(const Admission& admission, std::string_view method,
                          grpc::Status status) {
  Note(status, method, admission);
  return status;
}

void Gate::Note(const grpc::Status& status, std::string_view method,
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

void Gate::CountEnd(std::string_view method, grpc::StatusCode code) {
  metrics_
      .Counter("waggle_grpc_requests_total",
               "Calls that ended, by method and code; streams, too.",
               {{"method", LabelOf(method)},
                {"code", absl::StatusCodeToString(
                             static_cast<absl::StatusCode>(code))}})
      .Increment();
}

void Gate::CountEnd(std::string_view method, grpc::StatusCode code,
                    absl::Duration duration) {
  CountEnd(method, code);
  metrics_
      .Histogram("waggle_grpc_request_seconds",
                 "Time to answer a call with one response, refused ones "
                 "included.",
                 Metrics::LatencyBuckets(), {{"method", LabelOf(method)}})
      .Observe(absl::ToDoubleSeconds(duration));
}

std::string PeerAddress(std::string_view peer) {
  const size_t scheme = peer.find(':');
  const size_t port = peer.rfind(':');
  if (scheme == port ||
      !(peer.starts_with("ipv4:") || peer.starts_with("ipv6:"))) {
    return std::string(peer);
  }
  std::string address =
      absl::StrReplaceAll(AsAbsl(peer.substr(scheme + 1, port - scheme - 1)),
                          {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
  // An address of a link is followed by the link's name.
  return address.substr(0, address.find('%'));
}

}  // namespace waggle::rpc
