// How a command reaches a gateway that asks who is calling: TLS, a client
// certificate, a bearer token.
#ifndef WAGGLE_CLI_GATEWAY_ACCESS_H_
#define WAGGLE_CLI_GATEWAY_ACCESS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cli/subscriber_client.h"
#include "grpcpp/security/credentials.h"

namespace waggle {

// As they were written on the command line; empty is absent.
struct GatewayAccessFlags {
  bool tls = false;
  // Each of these means TLS, too.
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_server_name;
  std::string token_file;
};

// What to dial with. INVALID_ARGUMENT names the flag; else a file cannot be
// read.
absl::StatusOr<DialOptions> ToDialOptions(const GatewayAccessFlags& flags);

// Reads the token anew for each attempt, since Kubernetes exchanges it; null if
// there is none. The first reading's error is this function's.
absl::StatusOr<BearerTokenSource> ToTokenSource(
    const GatewayAccessFlags& flags);

}  // namespace waggle

#endif  // WAGGLE_CLI_GATEWAY_ACCESS_H_
