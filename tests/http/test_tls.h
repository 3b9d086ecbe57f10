// Both sides' TLS for tests, from certificates made on the spot.
//
//   TestTls tls;
//   options.tls_context = [&] { return tls.server(); };
//   RawClient client(port, {.tls = tls.client()});
#ifndef WAGGLE_TESTS_HTTP_TEST_TLS_H_
#define WAGGLE_TESTS_HTTP_TEST_TLS_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "openssl/ssl.h"
#include "tests/fakes/certificates.h"

namespace waggle::testing {

class TestTls {
 public:
  TestTls() : authority_("Test CA") {}

  // As a listener would use it, with a new certificate for `host`.
  std::shared_ptr<SSL_CTX> server(const std::string& host = "localhost") const {
    const IssuedCertificate issued = authority_.Issue(
        {.common_name = host, .sans = "DNS:" + host + ",IP:127.0.0.1"});
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()),
                                     SSL_CTX_free);
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    const auto certificate = Parse(issued.certificate_pem, PEM_read_bio_X509);
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate.get()), 1);
    const auto key = Parse(issued.key_pem, PEM_read_bio_PrivateKey);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
    return context;
  }

  // Trusts the authority only.
  std::shared_ptr<SSL_CTX> client() const {
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()),
                                     SSL_CTX_free);
    const auto authority = Parse(authority_.pem(), PEM_read_bio_X509);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authority.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    return context;
  }

  std::string authority_pem() const { return authority_.pem(); }

 private:
  static void Free(X509* x) { X509_free(x); }
  static void Free(EVP_PKEY* key) { EVP_PKEY_free(key); }

  template <typename T>
  static std::shared_ptr<T> Parse(const std::string& pem,
                                  T* (*read)(BIO*, T**, pem_password_cb*,
                                             void*)) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    std::shared_ptr<T> parsed(read(bio, nullptr, nullptr, nullptr),
                              [](T* t) { Free(t); });
    BIO_free(bio);
    return parsed;
  }

  const CertificateAuthority authority_;
};

}  // namespace waggle::testing

#endif  // WAGGLE_TESTS_HTTP_TEST_TLS_H_
