// TLS for the gRPC listener, with certificates that are exchanged while it
// runs: each handshake is shown the newest material of a TlsSource. gRPC's own
// watcher of files serves what it reads without a look at it, so that a file
// half written would turn every client away; what a TlsSource gives is checked.
#ifndef WAGGLE_RPC_TLS_CREDENTIALS_H_
#define WAGGLE_RPC_TLS_CREDENTIALS_H_

#include <memory>

#include "base/client_certificates.h"
#include "grpcpp/security/server_credentials.h"
#include "security/tls_material.h"

namespace waggle::rpc {

// TLS 1.2 and 1.3. Certificates that clients show are verified against the
// material's client_ca_pem, of which the newest counts, too. `source` must
// outlive every server that uses the credentials.
std::shared_ptr<grpc::ServerCredentials> TlsServerCredentials(
    const TlsSource& source, ClientCertificates client_certificates);

}  // namespace waggle::rpc

#endif  // WAGGLE_RPC_TLS_CREDENTIALS_H_
