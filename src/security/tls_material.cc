#include "security/tls_material.h"

#include <cstdint>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/deleter.h"
#include "base/status_macros.h"
#include "openssl/err.h"
#include "openssl/pem.h"
#include "openssl/ssl.h"
#include "openssl/x509.h"
#include "security/secret_file.h"

namespace waggle {
namespace {

constexpr size_t kMaxCertificateBytes = 256 << 10;
constexpr size_t kMaxKeyBytes = 64 << 10;

// Forward secrecy and authenticated encryption only; those of TLS 1.3 all are.
constexpr char kTls12Ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
// ALPN: the only protocol that the doors speak, with its length.
constexpr unsigned char kAlpn[] = "\x08http/1.1";

using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

BioPtr Open(std::string_view pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// Never asks a terminal for a passphrase.
int NoPassphrase(char*, int, int, void*) { return 0; }

// All certificates of a PEM file; empty if it is not one.
std::vector<X509Ptr> ReadCertificates(std::string_view pem) {
  std::vector<X509Ptr> certificates;
  const BioPtr bio = Open(pem);
  while (X509* certificate =
             PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr)) {
    certificates.emplace_back(certificate);
  }
  // The end shows as "no start line"; anything else is a broken certificate.
  const bool at_end =
      ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) certificates.clear();
  return certificates;
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return absl::InfinitePast();
  }
  return absl::FromTM(parts, absl::UTCTimeZone());
}

int ChooseAlpn(SSL*, const unsigned char** out, unsigned char* out_size,
               const unsigned char* offered, unsigned int offered_size, void*) {
  // SSL_select_next_proto gives a non-const pointer into either list.
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof(kAlpn) - 1,
                            offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// Of a certificate and key that fit.
std::shared_ptr<SSL_CTX> ServerContext(const std::vector<X509Ptr>& chain,
                                       EVP_PKEY* key) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()),
                                   SSL_CTX_free);
  SSL_CTX* ctx = context.get();
  if (ctx == nullptr) return nullptr;
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  // No tickets: their key would outlive the certificate in memory, and
  // Bindbee's connections are few.
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(ctx, 0);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  // An idle connection holds no buffers.
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                            SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(ctx, ChooseAlpn, nullptr);
  bool ok = SSL_CTX_set_cipher_list(ctx, kTls12Ciphers) == 1 &&
            SSL_CTX_use_certificate(ctx, chain.front().get()) == 1 &&
            SSL_CTX_use_PrivateKey(ctx, key) == 1;
  for (size_t i = 1; ok && i < chain.size(); ++i) {
    ok = SSL_CTX_add1_chain_cert(ctx, chain[i].get()) == 1;
  }
  ERR_clear_error();
  return ok ? context : nullptr;
}

absl::Status Wrong(const std::string& file, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": ", absl::string_view(what.data(), what.size())));
}

absl::Status CheckTime(const std::string& file, X509* certificate,
                       absl::Time now) {
  const absl::Time from = ToTime(X509_get0_notBefore(certificate));
  const absl::Time until = ToTime(X509_get0_notAfter(certificate));
  if (now >= until) {
    return absl::FailedPreconditionError(absl::StrCat(
        file, ": the certificate expired at ",
        absl::FormatTime(absl::RFC3339_sec, until, absl::UTCTimeZone()),
        "; renew it"));
  }
  if (now < from) {
    return absl::FailedPreconditionError(absl::StrCat(
        file, ": the certificate is not valid before ",
        absl::FormatTime(absl::RFC3339_sec, from, absl::UTCTimeZone()),
        "; check the clock"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const TlsMaterial>> Load(const TlsFiles& files,
                                                        absl::Time now,
                                                        bool warn) {
  WAGGLE_ASSIGN_OR_RETURN(
      std::string certificate_pem,
      ReadTrustedFile(files.certificate_file, kMaxCertificateBytes));
  WAGGLE_ASSIGN_OR_RETURN(
      Secret key_pem, ReadSecretFile(files.key_file, {.max_bytes = kMaxKeyBytes,
                                                      .warn = warn}));
  std::string client_ca_pem;
  if (!files.client_ca_file.empty()) {
    WAGGLE_ASSIGN_OR_RETURN(
        client_ca_pem,
        ReadTrustedFile(files.client_ca_file, kMaxCertificateBytes));
    if (ReadCertificates(client_ca_pem).empty()) {
      return Wrong(files.client_ca_file, "holds no certificates in PEM");
    }
  }
  const std::vector<X509Ptr> chain = ReadCertificates(certificate_pem);
  if (chain.empty()) {
    return Wrong(files.certificate_file, "holds no certificates in PEM");
  }
  const KeyPtr key(PEM_read_bio_PrivateKey(Open(key_pem.Reveal()).get(),
                                           nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return Wrong(files.key_file,
                 "holds no private key in PEM, or one with a passphrase; "
                 "remove that by `openssl pkey -in KEY -out NEW`");
  }
  const bool fits = X509_check_private_key(chain.front().get(), key.get()) == 1;
  ERR_clear_error();
  if (!fits) {
    return Wrong(files.key_file,
                 absl::StrCat("is not the key of the first certificate in ",
                              files.certificate_file));
  }
  WAGGLE_RETURN_IF_ERROR(
      CheckTime(files.certificate_file, chain.front().get(), now));
  std::shared_ptr<SSL_CTX> context = ServerContext(chain, key.get());
  if (context == nullptr) {
    return Wrong(files.certificate_file,
                 "cannot be served: its key may be too short");
  }
  return std::make_shared<const TlsMaterial>(TlsMaterial{
      std::move(certificate_pem), std::move(key_pem), std::move(client_ca_pem),
      ToTime(X509_get0_notAfter(chain.front().get())), std::move(context)});
}

}  // namespace

absl::Time ExpiryOf(std::string_view certificate_pem) {
  const std::vector<X509Ptr> chain = ReadCertificates(certificate_pem);
  return chain.empty() ? absl::InfinitePast()
                       : ToTime(X509_get0_notAfter(chain.front().get()));
}

absl::StatusOr<std::unique_ptr<TlsSource>> TlsSource::Open(TlsFiles files,
                                                           const Clock& clock) {
  // Not make_unique: the constructor is private.
  std::unique_ptr<TlsSource> source(new TlsSource(std::move(files), clock));
  WAGGLE_ASSIGN_OR_RETURN(auto material,
                          Load(source->files_, clock.Now(), /*warn=*/true));
  MutexLock lock(source->mu_);
  source->current_ = std::move(material);
  return source;
}

TlsSource::TlsSource(TlsFiles files, const Clock& clock)
    : files_(std::move(files)), clock_(clock) {}

std::shared_ptr<const TlsMaterial> TlsSource::current() const {
  MutexLock lock(mu_);
  return current_;
}

absl::StatusOr<bool> TlsSource::Reload() {
  const std::shared_ptr<const TlsMaterial> before = current();
  WAGGLE_ASSIGN_OR_RETURN(auto material,
                          Load(files_, clock_.Now(), /*warn=*/false));
  if (material->certificate_pem == before->certificate_pem &&
      material->key_pem.Reveal() == before->key_pem.Reveal() &&
      material->client_ca_pem == before->client_ca_pem) {
    return false;
  }
  MutexLock lock(mu_);
  current_ = std::move(material);
  return true;
}

}  // namespace waggle
