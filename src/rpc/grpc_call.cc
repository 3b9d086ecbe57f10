#include "rpc/grpc_call.h"

#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "api/errors.h"
#include "base/strings.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/grpc_security_constants.h"
#include "security/tls_material.h"

namespace waggle::rpc {
namespace {

constexpr char kAuthorization[] = "authorization";

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

template <typename Detail>
void AddDetail(const absl::Status& error, google::rpc::Status& proto) {
  if (const auto detail = DetailOf<Detail>(error)) {
    proto.add_details()->PackFrom(*detail);
  }
}

}  // namespace

Call AnonymousCallOf(const grpc::CallbackServerContext& context) {
  Call call;
  call.connection = context.peer();
  call.address = PeerAddress(call.connection);
  return call;
}

Call CallOf(const grpc::CallbackServerContext& context) {
  Call call = AnonymousCallOf(context);
  TakeCertificate(context.auth_context().get(), call.credentials);
  const auto [first, last] =
      context.client_metadata().equal_range(kAuthorization);
  if (first == last) return call;
  call.several_authorizations = std::next(first) != last;
  call.credentials.authorization.emplace(first->second.data(),
                                         first->second.size());
  return call;
}

grpc::Status ToGrpc(const absl::Status& error) {
  const auto code = static_cast<grpc::StatusCode>(error.code());
  google::rpc::Status proto;
  proto.set_code(code);
  proto.set_message(std::string(error.message()));
  AddDetail<google::rpc::ErrorInfo>(error, proto);
  AddDetail<google::rpc::BadRequest>(error, proto);
  AddDetail<google::rpc::QuotaFailure>(error, proto);
  AddDetail<google::rpc::RetryInfo>(error, proto);
  return proto.details().empty()
             ? grpc::Status(code, proto.message())
             : grpc::Status(code, proto.message(), proto.SerializeAsString());
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
