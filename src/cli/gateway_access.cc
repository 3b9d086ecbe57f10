#include "cli/gateway_access.h"

#include <cstddef>

#include "CLI/App.hpp"
#include "base/status_macros.h"
#include "cli/io.h"
#include "security/secret_file.h"

namespace waggle {
namespace {

// As much as a gateway takes of a token, and ample for a private key.
constexpr size_t kMaxTokenBytes = 8 << 10;
constexpr size_t kMaxKeyBytes = 64 << 10;

}  // namespace

void AddAccessFlags(CLI::App& command, GatewayAccessFlags& flags) {
  constexpr char kGroup[] = "Access";
  const auto add = [&](const char* name, std::string& value,
                       const char* description, const char* type = "FILE") {
    command.add_option(name, value, description)
        ->type_name(type)
        ->group(kGroup);
  };
  add("--token-file", flags.token_file,
      "A file that holds the bearer token; read anew for each attempt");
  command
      .add_flag("--tls", flags.tls,
                "Over TLS, verified by the system's authorities")
      ->group(kGroup);
  add("--tls-ca", flags.tls_ca,
      "Over TLS, verified by these authorities (PEM) instead");
  add("--tls-cert", flags.tls_cert, "The client certificate to show (PEM)");
  add("--tls-key", flags.tls_key, "Its private key (PEM)");
  add("--tls-server-name", flags.tls_server_name,
      "The name that the gateway's certificate is for, if it is not the "
      "address's host",
      "NAME");
}

void AddGatewayFlags(CLI::App& command, GatewayAccessFlags& flags) {
  command.add_option("--address", flags.address, "The gateway's gRPC address")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  AddAccessFlags(command, flags);
}

absl::StatusOr<DialOptions> ToDialOptions(const GatewayAccessFlags& flags) {
  DialOptions options;
  if (flags.tls_cert.empty() != flags.tls_key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key belong together");
  }
  const bool tls = flags.tls || !flags.tls_ca.empty() ||
                   !flags.tls_cert.empty() || !flags.tls_server_name.empty();
  if (!tls) return options;
  grpc::SslCredentialsOptions ssl;
  if (!flags.tls_ca.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadInput(flags.tls_ca));
  }
  if (!flags.tls_cert.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadInput(flags.tls_cert));
    WAGGLE_ASSIGN_OR_RETURN(
        const Secret key,
        ReadSecretFile(flags.tls_key, {.max_bytes = kMaxKeyBytes}));
    ssl.pem_private_key = key.Reveal();
  }
  options.credentials = grpc::SslCredentials(ssl);
  options.tls_server_name = flags.tls_server_name;
  return options;
}

absl::StatusOr<BearerTokenSource> ToTokenSource(
    const GatewayAccessFlags& flags) {
  if (flags.token_file.empty()) return nullptr;
  WAGGLE_RETURN_IF_ERROR(
      ReadSecretFile(flags.token_file, {.max_bytes = kMaxTokenBytes}).status());
  return [file = flags.token_file] {
    return ReadSecretFile(file, {.max_bytes = kMaxTokenBytes, .warn = false});
  };
}

}  // namespace waggle
