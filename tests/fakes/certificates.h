// Real certificates, made on the spot, for tests.
//
//   CertificateAuthority ca("Test CA");
//   const IssuedCertificate server =
//       ca.Issue({.common_name = "gateway", .sans =
//       "DNS:localhost,IP:127.0.0.1"});
#ifndef WAGGLE_TESTS_FAKES_CERTIFICATES_H_
#define WAGGLE_TESTS_FAKES_CERTIFICATES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "openssl/bio.h"
#include "openssl/ec.h"
#include "openssl/evp.h"
#include "openssl/pem.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace waggle::testing {

struct CertificateRequest {
  std::string common_name;
  // As OpenSSL's configuration writes them: "DNS:a,URI:spiffe://b/c,IP:::1".
  std::string sans = "";
  absl::Time not_before = absl::Now() - absl::Hours(1);
  absl::Time not_after = absl::Now() + absl::Hours(1);
};

struct IssuedCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name)
      : name_(name), key_(EVP_EC_gen("P-256"), EVP_PKEY_free) {
    certificate_ = Sign({.common_name = name}, key_.get(), "critical,CA:TRUE");
  }

  // The authority's own certificate.
  std::string pem() const { return Pem(certificate_.get()); }

  IssuedCertificate Issue(const CertificateRequest& request) const {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        EVP_EC_gen("P-256"), EVP_PKEY_free);
    const X509Ptr certificate = Sign(request, key.get(), "critical,CA:FALSE");
    return {Pem(certificate.get()), KeyPem(key.get())};
  }

 private:
  using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

  static std::string Drain(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(bio);
    return text;
  }
  static std::string Pem(X509* certificate) {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    return Drain(bio);
  }
  static std::string KeyPem(EVP_PKEY* key) {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    return Drain(bio);
  }
  static void SetName(X509_NAME* name, const std::string& common_name) {
    if (common_name.empty()) return;
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_UTF8,
        reinterpret_cast<const unsigned char*>(common_name.data()),
        static_cast<int>(common_name.size()), -1, 0);
  }

  X509Ptr Sign(const CertificateRequest& request, EVP_PKEY* key,
               const char* constraints) const {
    X509Ptr certificate(X509_new(), X509_free);
    X509* x = certificate.get();
    X509_set_version(x, 2);
    static std::int64_t serial = 1000;
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    ASN1_TIME_set(X509_getm_notBefore(x), absl::ToTimeT(request.not_before));
    ASN1_TIME_set(X509_getm_notAfter(x), absl::ToTimeT(request.not_after));
    SetName(X509_get_subject_name(x), request.common_name);
    SetName(X509_get_issuer_name(x), name_);
    X509_set_pubkey(x, key);
    AddExtension(x, NID_basic_constraints, constraints);
    if (!request.sans.empty()) {
      AddExtension(x, NID_subject_alt_name, request.sans.c_str());
    }
    X509_sign(x, key_.get(), EVP_sha256());
    return certificate;
  }
  static void AddExtension(X509* x, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x, x, nullptr, nullptr, 0);
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
  }

  const std::string name_;
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  X509Ptr certificate_{nullptr, X509_free};
};

}  // namespace waggle::testing

#endif  // WAGGLE_TESTS_FAKES_CERTIFICATES_H_
