#include "rpc/tls_credentials.h"

#include <string>

#include "base/mutex.h"
#include "grpc/grpc.h"
#include "grpc/grpc_security.h"

namespace waggle::rpc {
namespace {

grpc_ssl_client_certificate_request_type RequestType(
    ClientCertificates client_certificates) {
  switch (client_certificates) {
    case ClientCertificates::kOff:
      return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    case ClientCertificates::kOptional:
      return GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
    case ClientCertificates::kRequired:
      return GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
}

// Asked for at each handshake, by threads of gRPC's.
class NewestMaterial {
 public:
  explicit NewestMaterial(const TlsSource& source) : source_(source) {}

  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<NewestMaterial*>(self)->Fetch(config);
  }

 private:
  grpc_ssl_certificate_config_reload_status Fetch(
      grpc_ssl_server_certificate_config** config) {
    std::shared_ptr<const TlsMaterial> newest = source_.current();
    MutexLock lock(mu_);
    if (newest == given_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    given_ = std::move(newest);
    // A string's view ends with a null byte, up to which gRPC copies.
    grpc_ssl_pem_key_cert_pair pair{given_->key_pem.Reveal().data(),
                                    given_->certificate_pem.c_str()};
    // gRPC wants authorities even if it is not going to ask for certificates.
    const std::string& authorities = given_->client_ca_pem.empty()
                                         ? given_->certificate_pem
                                         : given_->client_ca_pem;
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(),
                                                        &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const TlsSource& source_;
  Mutex mu_;
  std::shared_ptr<const TlsMaterial> given_ ABSL_GUARDED_BY(mu_);
};

// gRPC for C++ offers no credentials that fetch their certificates; its core
// does. As gRPC 1.51 wants a class of its own credentials to be; since
// grpc#36176 the base class takes the core's credentials instead, and there is
// no AddPortToServer() to override.
class FetchingCredentials final : public grpc::ServerCredentials {
 public:
  FetchingCredentials(const TlsSource& source,
                      ClientCertificates client_certificates)
      : material_(source),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                RequestType(client_certificates), &NewestMaterial::Fetch,
                &material_))) {}
  ~FetchingCredentials() override {
    grpc_server_credentials_release(credentials_);
  }

  // Callers are authenticated by each call's handler.
  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address,
                      grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  NewestMaterial material_;
  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> TlsServerCredentials(
    const TlsSource& source, ClientCertificates client_certificates) {
  return std::make_shared<FetchingCredentials>(source, client_certificates);
}

}  // namespace waggle::rpc
