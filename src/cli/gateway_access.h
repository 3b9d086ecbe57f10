// How a command reaches a gateway, which may ask who is calling: its address,
// TLS, a client certificate, a bearer token. The same flags for every command.
#ifndef WAGGLE_CLI_GATEWAY_ACCESS_H_
#define WAGGLE_CLI_GATEWAY_ACCESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/dial.h"

namespace CLI {
class App;
}

namespace waggle {

// As they were written on the command line; empty is absent.
struct GatewayAccessFlags {
  std::string address = "127.0.0.1:50051";
  bool tls = false;
  // Each of these means TLS, too.
  std::string tls_ca{};
  std::string tls_cert{};
  std::string tls_key{};
  std::string tls_server_name{};
  std::string token_file{};
};

// Describes the flags to the parser: who is calling and TLS, or these and the
// address. `flags` must outlive it.
void AddAccessFlags(CLI::App& command, GatewayAccessFlags& flags);
void AddGatewayFlags(CLI::App& command, GatewayAccessFlags& flags);

// What to dial with. INVALID_ARGUMENT names the flag; else a file cannot be
// read.
absl::StatusOr<DialOptions> ToDialOptions(const GatewayAccessFlags& flags);

// Reads the token anew for each attempt, since Kubernetes exchanges it; null if
// there is none. The first reading's error is this function's.
absl::StatusOr<BearerTokenSource> ToTokenSource(
    const GatewayAccessFlags& flags);

}  // namespace waggle

#endif  // WAGGLE_CLI_GATEWAY_ACCESS_H_
